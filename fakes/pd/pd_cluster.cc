// Pd: the cluster as a whole, and look-ups of many regions in one call.
#include "fakes/pd/pd.h"
#include "fakes/pd/region_messages.h"

namespace kvjury::pd {

void Pd::RegisterClusterMethods() {
  methods_.Add(kGetClusterInfo, this, &Pd::GetClusterInfo);
  methods_.Add(kIsBootstrapped, this, &Pd::IsBootstrapped);
  methods_.Add(kGetClusterConfig, this, &Pd::GetClusterConfig);
  methods_.Add(kBatchScanRegions, this, &Pd::BatchScanRegions);
  methods_.Add(kQueryRegion, this, &Pd::QueryRegion);
  methods_.Add(kIsSnapshotRecovering, this, &Pd::IsSnapshotRecovering);
  methods_.Add(kSetExternalTimestamp, this, &Pd::SetExternalTimestamp);
  methods_.Add(kGetExternalTimestamp, this, &Pd::GetExternalTimestamp);
  methods_.Add(kGetMinTs, this, &Pd::GetMinTs);
  methods_.Add(kSplitRegions, this, &Pd::SplitRegions);
  methods_.Add(kSplitAndScatterRegions, this, &Pd::SplitAndScatterRegions);
}

std::vector<sim::Address> Pd::addresses() const {
  std::vector<sim::Address> all;
  for (size_t i = 0; i < options_.members; ++i) {
    all.push_back(MemberAddress(options_.cluster, i));
  }
  return all;
}

std::vector<Etcd::Member> Pd::Members() const {
  std::vector<Etcd::Member> members;
  for (const sim::Address& address : addresses()) {
    const size_t place = members.size();
    Etcd::Member& member = members.emplace_back();
    member.id = place + 1;
    member.name = "pd-" + std::to_string(place + 1);
    member.address = address;
    member.client_urls = {place < options_.client_urls.size() ? options_.client_urls[place] : "http://" + address};
    member.peer_urls = {"http://" + address + "-peer"};
  }
  return members;
}

// Like GetMembers: asked before a client knows the cluster's id, and of any member.
Pd::Answer<pdpb::GetClusterInfoResponse> Pd::GetClusterInfo(Ptr<pdpb::GetClusterInfoRequest>, sim::CallContext) {
  pdpb::GetClusterInfoResponse response;
  PutHeader(&response);
  response.add_servicemodes(pdpb::PD_SVC_MODE);
  co_return response;
}

Pd::Answer<pdpb::IsBootstrappedResponse> Pd::IsBootstrapped(Ptr<pdpb::IsBootstrappedRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::IsBootstrappedResponse response;
  PutHeader(&response);
  response.set_bootstrapped(true);
  co_return response;
}

Pd::Answer<pdpb::GetClusterConfigResponse> Pd::GetClusterConfig(Ptr<pdpb::GetClusterConfigRequest> request,
                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::GetClusterConfigResponse response;
  PutHeader(&response);
  response.mutable_cluster()->set_id(options_.cluster_id);
  response.mutable_cluster()->set_max_peer_count(max_peer_count_);
  co_return response;
}

Pd::Answer<pdpb::BatchScanRegionsResponse> Pd::BatchScanRegions(Ptr<pdpb::BatchScanRegionsRequest> request,
                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLookUp(*request, context));
  pdpb::BatchScanRegionsResponse response;
  PutHeader(&response);
  const pdpb::KeyRange* before = nullptr;
  for (const pdpb::KeyRange& range : request->ranges()) {
    const bool overlap = before != nullptr && range.start_key() < before->end_key();
    if (overlap || (!range.end_key().empty() && range.start_key() > range.end_key())) {
      pdpb::Error* error = response.mutable_header()->mutable_error();
      error->set_type(pdpb::UNKNOWN);
      error->set_message(overlap ? "invalid key range, ranges overlapped" : "invalid key range, start key > end key");
      co_return response;
    }
    before = &range;
  }
  // A region that two ranges touch is told once. There are no holes, so that all of a range is always contained.
  uint64_t last = 0;
  for (const pdpb::KeyRange& range : request->ranges()) {
    for (const RegionInfoPtr& info : pd::ScanRegions(views_.At(now_us()), range.start_key(), range.end_key(), request->limit())) {
      const bool full = request->limit() > 0 && response.regions_size() >= request->limit();
      if (info->region.id() != last && !full) {
        last = info->region.id();
        FillRegion(*info, response.add_regions());
      }
    }
  }
  Log("batch scan regions", request->ranges_size(), response.regions_size());
  co_return response;
}

// Followers answer, too.
Pd::Answer<pdpb::QueryRegionResponse> Pd::QueryRegion(Ptr<pdpb::QueryRegionRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckClusterId(request->header().cluster_id()));
  pdpb::QueryRegionResponse response;
  PutHeader(&response);
  const RegionTable& table = views_.At(now_us());
  auto add = [&response](const RegionInfoPtr& info) -> uint64_t {
    if (info == nullptr) {
      return 0;
    }
    pdpb::RegionResponse& region = (*response.mutable_regions_by_id())[info->region.id()];
    *region.mutable_region() = info->region;
    if (info->leader.id() != 0) {
      *region.mutable_leader() = info->leader;
    }
    return info->region.id();
  };
  for (const Bytes& key : request->keys()) {
    response.add_key_id_map(add(FindRegion(table, key)));
  }
  for (const Bytes& key : request->prev_keys()) {
    response.add_prev_key_id_map(add(FindPrevRegion(table, key)));
  }
  for (const uint64_t id : request->ids()) {
    add(FindRegionById(table, RegionId(id)));
  }
  Log("query region", request->keys_size(), response.regions_by_id_size());
  co_return response;
}

Pd::Answer<pdpb::IsSnapshotRecoveringResponse> Pd::IsSnapshotRecovering(Ptr<pdpb::IsSnapshotRecoveringRequest>, sim::CallContext) {
  pdpb::IsSnapshotRecoveringResponse response;
  PutHeader(&response);
  response.set_marked(etcd_.Find(SnapshotRecoveringKey()).has_value());
  co_return response;
}

Pd::Answer<pdpb::SetExternalTimestampResponse> Pd::SetExternalTimestamp(Ptr<pdpb::SetExternalTimestampRequest> request,
                                                                        sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::SetExternalTimestampResponse response;
  PutHeader(&response);
  const Result<Timestamp> now = AllocateTimestamp();
  CO_RETURN_IF_ERROR(now.status());
  if (request->timestamp() > now->value() || request->timestamp() <= external_timestamp_) {
    pdpb::Error* error = response.mutable_header()->mutable_error();
    error->set_type(pdpb::INVALID_VALUE);
    error->set_message(request->timestamp() > now->value()
                           ? "the external timestamp should not be larger than global ts"
                           : "the external timestamp should be larger than current external timestamp");
    co_return response;
  }
  external_timestamp_ = request->timestamp();
  StateChanged();
  co_return response;
}

Pd::Answer<pdpb::GetExternalTimestampResponse> Pd::GetExternalTimestamp(Ptr<pdpb::GetExternalTimestampRequest> request,
                                                                        sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::GetExternalTimestampResponse response;
  PutHeader(&response);
  response.set_timestamp(external_timestamp_);
  co_return response;
}

Pd::Answer<pdpb::GetMinTSResponse> Pd::GetMinTs(Ptr<pdpb::GetMinTSRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  const Result<Timestamp> now = AllocateTimestamp();
  CO_RETURN_IF_ERROR(now.status());
  pdpb::GetMinTSResponse response;
  PutHeader(&response);
  response.mutable_timestamp()->set_physical(now->physical_ms());
  response.mutable_timestamp()->set_logical(now->logical());
  co_return response;
}

Pd::Answer<pdpb::SplitRegionsResponse> Pd::SplitRegions(Ptr<pdpb::SplitRegionsRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::SplitRegionsResponse response;
  PutHeader(&response);
  for (const Bytes& key : request->split_keys()) {
    const RegionId region = placement_ == nullptr ? RegionId() : placement_->SplitAtEncoded(key);
    if (region.valid()) {
      response.add_regions_id(region.value());
    }
  }
  const int asked = request->split_keys_size();
  response.set_finished_percentage(asked == 0 ? 100 : static_cast<uint64_t>(response.regions_id_size() * 100 / asked));
  Log("split regions", static_cast<uint64_t>(asked), static_cast<uint64_t>(response.regions_id_size()));
  co_return response;
}

Pd::Answer<pdpb::SplitAndScatterRegionsResponse> Pd::SplitAndScatterRegions(Ptr<pdpb::SplitAndScatterRegionsRequest> request,
                                                                            sim::CallContext context) {
  auto split = std::make_shared<pdpb::SplitRegionsRequest>();
  *split->mutable_header() = request->header();
  *split->mutable_split_keys() = request->split_keys();
  auto splitting = SplitRegions(std::move(split), std::move(context));
  Result<pdpb::SplitRegionsResponse> done = co_await std::move(splitting);
  CO_RETURN_IF_ERROR(done.status());
  pdpb::SplitAndScatterRegionsResponse response;
  PutHeader(&response);
  response.set_split_finished_percentage(done->finished_percentage());
  *response.mutable_regions_id() = done->regions_id();
  // PD scatters what it knows; a region that was split a moment ago it may learn of later.
  int scattered = 0;
  for (const uint64_t id : response.regions_id()) {
    if (const RegionInfoPtr info = FindRegionById(views_.newest(), RegionId(id))) {
      StartScatter(*info);
      ++scattered;
    }
  }
  response.set_scatter_finished_percentage(
      response.regions_id_size() == 0 ? 100 : static_cast<uint64_t>(scattered * 100 / response.regions_id_size()));
  co_return response;
}

}  // namespace kvjury::pd
