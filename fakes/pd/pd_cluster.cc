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

}  // namespace kvjury::pd
