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

std::vector<Etcd::Member> Pd::Members() const {
  Etcd::Member member;
  member.id = 1;
  member.name = "pd-1";
  member.client_urls = {options_.client_urls.empty() ? "http://" + address() : options_.client_urls.front()};
  member.peer_urls = {"http://" + address() + "-peer"};
  return {member};
}

// Like GetMembers it is asked before a client knows the cluster's id.
Pd::Answer<pdpb::GetClusterInfoResponse> Pd::GetClusterInfo(Ptr<pdpb::GetClusterInfoRequest>, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckLeader());
  pdpb::GetClusterInfoResponse response;
  PutHeader(&response);
  response.add_servicemodes(pdpb::PD_SVC_MODE);
  co_return response;
}

Pd::Answer<pdpb::IsBootstrappedResponse> Pd::IsBootstrapped(Ptr<pdpb::IsBootstrappedRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::IsBootstrappedResponse response;
  PutHeader(&response);
  response.set_bootstrapped(true);
  co_return response;
}

Pd::Answer<pdpb::GetClusterConfigResponse> Pd::GetClusterConfig(Ptr<pdpb::GetClusterConfigRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetClusterConfigResponse response;
  PutHeader(&response);
  response.mutable_cluster()->set_id(options_.cluster_id);
  response.mutable_cluster()->set_max_peer_count(static_cast<uint32_t>(stores_.size()));
  co_return response;
}

Pd::Answer<pdpb::BatchScanRegionsResponse> Pd::BatchScanRegions(Ptr<pdpb::BatchScanRegionsRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::BatchScanRegionsResponse response;
  PutHeader(&response);
  // Ranges are ascending; a region that two of them touch is told once.
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

Pd::Answer<pdpb::QueryRegionResponse> Pd::QueryRegion(Ptr<pdpb::QueryRegionRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
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

Pd::Answer<pdpb::IsSnapshotRecoveringResponse> Pd::IsSnapshotRecovering(Ptr<pdpb::IsSnapshotRecoveringRequest> request,
                                                                        sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::IsSnapshotRecoveringResponse response;
  PutHeader(&response);
  co_return response;
}

Pd::Answer<pdpb::SetExternalTimestampResponse> Pd::SetExternalTimestamp(Ptr<pdpb::SetExternalTimestampRequest> request,
                                                                        sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::SetExternalTimestampResponse response;
  PutHeader(&response);
  const Result<Timestamp> now = AllocateTimestamp();
  if (!now.ok() || request->timestamp() > now->value() || request->timestamp() < external_timestamp_) {
    pdpb::Error* error = response.mutable_header()->mutable_error();
    error->set_type(pdpb::UNKNOWN);
    error->set_message(request->timestamp() < external_timestamp_ ? "the external timestamp should be larger than now"
                                                                  : "the external timestamp should not be larger than global ts");
    co_return response;
  }
  external_timestamp_ = request->timestamp();
  co_return response;
}

Pd::Answer<pdpb::GetExternalTimestampResponse> Pd::GetExternalTimestamp(Ptr<pdpb::GetExternalTimestampRequest> request,
                                                                        sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetExternalTimestampResponse response;
  PutHeader(&response);
  response.set_timestamp(external_timestamp_);
  co_return response;
}

Pd::Answer<pdpb::GetMinTSResponse> Pd::GetMinTs(Ptr<pdpb::GetMinTSRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  const Result<Timestamp> now = AllocateTimestamp();
  CO_RETURN_IF_ERROR(now.status());
  pdpb::GetMinTSResponse response;
  PutHeader(&response);
  response.mutable_timestamp()->set_physical(now->physical_ms());
  response.mutable_timestamp()->set_logical(now->logical());
  co_return response;
}

Pd::Answer<pdpb::SplitRegionsResponse> Pd::SplitRegions(Ptr<pdpb::SplitRegionsRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
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
  response.set_scatter_finished_percentage(response.regions_id_size() == 0 ? 100 : static_cast<uint64_t>(scattered * 100 / response.regions_id_size()));
  co_return response;
}

}  // namespace kvjury::pd
