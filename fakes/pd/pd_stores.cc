// Pd: what stores tell PD and ask of it. The stores of this cluster do so without messages; these are for others.
#include <algorithm>

#include "fakes/pd/pd.h"

namespace kvjury::pd {

namespace {

template <class Response>
void PutError(pdpb::ErrorType type, const std::string& message, Response* response) {
  response->mutable_header()->mutable_error()->set_type(type);
  response->mutable_header()->mutable_error()->set_message(message);
}

// Whether regions follow each other and none is turned round.
bool Adjoin(const metapb::Region& left, const metapb::Region& right) {
  return left.end_key() == right.start_key() && (right.end_key().empty() || left.start_key() < right.end_key());
}

}  // namespace

void Pd::RegisterStoreMethods() {
  methods_.Add(kBootstrap, this, &Pd::Bootstrap);
  methods_.Add(kPutStore, this, &Pd::AddStore);
  methods_.Add(kPutClusterConfig, this, &Pd::PutClusterConfig);
  methods_.Add(kAskSplit, this, &Pd::AskSplit);
  methods_.Add(kAskBatchSplit, this, &Pd::AskBatchSplit);
  methods_.Add(kReportSplit, this, &Pd::ReportSplit);
  methods_.Add(kReportBatchSplit, this, &Pd::ReportBatchSplit);
  methods_.Add(kReportMinResolvedTs, this, &Pd::ReportMinResolvedTs);
  methods_.Add(kSyncMaxTs, this, &Pd::SyncMaxTs);
  methods_.Add(kGetDcLocationInfo, this, &Pd::GetDcLocationInfo);
}

Pd::Answer<pdpb::BootstrapResponse> Pd::Bootstrap(Ptr<pdpb::BootstrapRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::BootstrapResponse response;
  PutHeader(&response);
  PutError(pdpb::ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped", &response);
  co_return response;
}

void Pd::FillStats(const metapb::Store& store, pdpb::StoreStats* stats) const {
  uint32_t regions = 0;
  for (const auto& [start, info] : views_.newest()) {
    for (const metapb::Peer& peer : info->region.peers()) {
      regions += peer.store_id() == store.id() ? 1 : 0;
    }
  }
  stats->set_store_id(store.id());
  stats->set_capacity(kStoreCapacity);
  stats->set_available(kStoreCapacity);
  stats->set_region_count(regions);
  stats->set_start_time(static_cast<uint32_t>(store.start_timestamp()));
  stats->set_slow_score(1);
  // Heartbeats come every ten seconds.
  const auto heard_s = static_cast<uint64_t>(store.last_heartbeat() / 1'000'000'000);
  stats->mutable_interval()->set_start_timestamp(heard_s - 10);
  stats->mutable_interval()->set_end_timestamp(heard_s);
}

// A store that is known keeps its state and the labels that are not named anew.
Pd::Answer<pdpb::PutStoreResponse> Pd::AddStore(Ptr<pdpb::PutStoreRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::PutStoreResponse response;
  PutHeader(&response);
  const metapb::Store& given = request->store();
  const auto known = stores_.find(given.id());
  if (known != stores_.end() && known->second.state() == metapb::Tombstone) {
    PutError(pdpb::STORE_TOMBSTONE, "store is tombstone", &response);
    co_return response;
  }
  if (given.id() == 0) {
    PutError(pdpb::UNKNOWN, "invalid put store " + given.ShortDebugString() + " ", &response);
    co_return response;
  }
  for (const auto& [id, other] : stores_) {
    if (id != given.id() && other.state() != metapb::Tombstone && !other.physically_destroyed() &&
        other.address() == given.address()) {
      PutError(
          pdpb::UNKNOWN,
          "duplicated store address: " + given.ShortDebugString() + " , already registered by " + other.ShortDebugString() + " ",
          &response);
      co_return response;
    }
  }
  metapb::Store store = given;
  if (known != stores_.end()) {
    store.set_state(known->second.state());
    store.set_node_state(known->second.node_state());
    store.set_last_heartbeat(known->second.last_heartbeat());
    for (const metapb::StoreLabel& label : known->second.labels()) {
      const bool anew =
          std::any_of(given.labels().begin(), given.labels().end(), [&label](const auto& l) { return l.key() == label.key(); });
      if (!anew) {
        *store.add_labels() = label;
      }
    }
  }
  Log("put store", store.id());
  PutStore(std::move(store));
  co_return response;
}

Pd::Answer<pdpb::PutClusterConfigResponse> Pd::PutClusterConfig(Ptr<pdpb::PutClusterConfigRequest> request,
                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::PutClusterConfigResponse response;
  PutHeader(&response);
  if (request->cluster().id() != options_.cluster_id) {
    PutError(pdpb::UNKNOWN,
             "invalid cluster " + request->cluster().ShortDebugString() + " , mismatch cluster id " +
                 std::to_string(options_.cluster_id),
             &response);
    co_return response;
  }
  max_peer_count_ = request->cluster().max_peer_count();
  StateChanged();
  co_return response;
}

// --- splits ---

template <class Request, class Response>
bool Pd::MaySplit(const Request& request, Response* response) const {
  if (!request.has_region()) {
    PutError(pdpb::REGION_NOT_FOUND, "missing region for split", response);
    return false;
  }
  const metapb::RegionEpoch& asked = request.region().region_epoch();
  const metapb::RegionEpoch& now = FindRegion(views_.newest(), request.region().start_key())->region.region_epoch();
  if (asked.version() < now.version() || asked.conf_ver() < now.conf_ver()) {
    PutError(pdpb::UNKNOWN,
             "invalid region epoch, request: " + asked.ShortDebugString() + " , current: " + now.ShortDebugString() + " ", response);
    return false;
  }
  return true;
}

Pd::Answer<pdpb::AskSplitResponse> Pd::AskSplit(Ptr<pdpb::AskSplitRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::AskSplitResponse response;
  PutHeader(&response);
  if (!MaySplit(*request, &response)) {
    co_return response;
  }
  response.set_new_region_id(AllocateId());
  for (int i = 0; i < request->region().peers_size(); ++i) {
    response.add_new_peer_ids(AllocateId());
  }
  co_return response;
}

Pd::Answer<pdpb::AskBatchSplitResponse> Pd::AskBatchSplit(Ptr<pdpb::AskBatchSplitRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::AskBatchSplitResponse response;
  PutHeader(&response);
  if (!MaySplit(*request, &response)) {
    co_return response;
  }
  for (uint32_t n = 0; n < request->split_count(); ++n) {
    pdpb::SplitID* ids = response.add_ids();
    ids->set_new_region_id(AllocateId());
    for (int i = 0; i < request->region().peers_size(); ++i) {
      ids->add_new_peer_ids(AllocateId());
    }
  }
  co_return response;
}

// PD only looks whether a report makes sense: it learns of regions by heartbeats.
Pd::Answer<pdpb::ReportSplitResponse> Pd::ReportSplit(Ptr<pdpb::ReportSplitRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::ReportSplitResponse response;
  PutHeader(&response);
  if (!request->has_left() || !request->has_right() || !Adjoin(request->left(), request->right())) {
    PutError(pdpb::UNKNOWN, "invalid split region", &response);
  }
  co_return response;
}

Pd::Answer<pdpb::ReportBatchSplitResponse> Pd::ReportBatchSplit(Ptr<pdpb::ReportBatchSplitRequest> request,
                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::ReportBatchSplitResponse response;
  PutHeader(&response);
  bool sound = request->regions_size() > 1;
  for (int i = 1; i < request->regions_size(); ++i) {
    sound = sound && Adjoin(request->regions(i - 1), request->regions(i));
  }
  if (!sound) {
    PutError(pdpb::UNKNOWN, "invalid split region", &response);
  }
  co_return response;
}

// --- timestamps ---

Pd::Answer<pdpb::ReportMinResolvedTsResponse> Pd::ReportMinResolvedTs(Ptr<pdpb::ReportMinResolvedTsRequest> request,
                                                                      sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  if (!stores_.contains(request->store_id())) {
    co_return Status::Rejected("[PD:core:ErrStoreNotFound]store " + std::to_string(request->store_id()) + " not found");
  }
  min_resolved_ts_[request->store_id()] = request->min_resolved_ts();
  pdpb::ReportMinResolvedTsResponse response;
  PutHeader(&response);
  co_return response;
}

// Local timestamps are switched off, as they are by default: there are no places to synchronise.
Pd::Answer<pdpb::SyncMaxTSResponse> Pd::SyncMaxTs(Ptr<pdpb::SyncMaxTSRequest> request, sim::CallContext) {
  const uint64_t leader = leader_ + 1;
  if (request->header().sender_id() != leader) {
    co_return Status::Rejected("mismatch leader id, need " + std::to_string(leader) + " but got " +
                               std::to_string(request->header().sender_id()));
  }
  pdpb::SyncMaxTSResponse response;
  PutHeader(&response);
  PutError(pdpb::UNKNOWN, "empty cluster dc-location found, checker may not work properly", &response);
  co_return response;
}

Pd::Answer<pdpb::GetDCLocationInfoResponse> Pd::GetDcLocationInfo(Ptr<pdpb::GetDCLocationInfoRequest> request,
                                                                  sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLeader(context));
  pdpb::GetDCLocationInfoResponse response;
  PutHeader(&response);
  PutError(pdpb::UNKNOWN, "dc-location " + request->dc_location() + " is not found", &response);
  co_return response;
}

}  // namespace kvjury::pd
