#include "fakes/pd/pd.h"

#include <algorithm>
#include <charconv>

#include "fakes/pd/region_messages.h"

namespace kvjury::pd {

namespace {

// Finished operators are remembered for ten minutes.
constexpr Micros kOperatorKnownUs = 600'000'000;

}  // namespace

Pd::Pd(sim::World* world, PdOptions options)
    : world_(world),
      options_(std::move(options)),
      component_(world->log().Component(ClusterAddress(options_.cluster))),
      timers_(&world->scheduler()),
      oracle_(options_.clock_start_ms),
      etcd_(Etcd::Options{options_.cluster_id, [this]() { return Members(); }, [this]() { return leader_; },
                          [this]() { return now_us(); }, [this]() { StateChanged(); }}),
      meta_storage_(&etcd_, options_.cluster_id),
      gc_(this),
      keyspaces_(this, options_.clock_start_ms / 1000),
      http_(this) {
  CHECK_NE(options_.cluster_id, 0U);
  CHECK_GT(options_.members, 0U);
  methods_.Add(kTso, this, &Pd::Tso);
  methods_.Add(kGetMembers, this, &Pd::GetMembers);
  methods_.Add(kAllocId, this, &Pd::AllocId);
  methods_.Add(kGetStore, this, &Pd::GetStore);
  methods_.Add(kGetAllStores, this, &Pd::GetAllStores);
  methods_.Add(kGetRegion, this, &Pd::GetRegion);
  methods_.Add(kGetPrevRegion, this, &Pd::GetPrevRegion);
  methods_.Add(kGetRegionById, this, &Pd::GetRegionById);
  methods_.Add(kScanRegions, this, &Pd::ScanRegions);
  methods_.Add(kScatterRegion, this, &Pd::ScatterRegion);
  methods_.Add(kGetOperator, this, &Pd::GetOperator);
  methods_.Add(kResetTs, this, &Pd::ResetTs);
  RegisterClusterMethods();
  RegisterStoreMethods();
  gc_.Register(&methods_);
  keyspaces_.Register(&methods_);
  etcd_.Register(&methods_);
  meta_storage_.Register(&methods_);
  http_.Register(&methods_);
}

// --- for the cluster, and faults ---

void Pd::PutStore(metapb::Store store) { stores_[store.id()] = std::move(store); }

void Pd::StoreDied(StoreId store) { silent_since_us_.try_emplace(store.value(), now_us()); }

// A store that lives has just been heard of.
metapb::Store Pd::StoreAsTold(uint64_t id) const {
  metapb::Store store = stores_.at(id);
  const auto silent = silent_since_us_.find(id);
  store.set_last_heartbeat(UnixMicros(silent == silent_since_us_.end() ? now_us() : silent->second) * 1000);
  return store;
}

void Pd::Learn(RegionTablePtr table) {
  Log("learn", table->size());
  views_.Learn(std::move(table), now_us());
}

bool Pd::available() const { return now_us() >= down_until_us_; }

Result<Timestamp> Pd::AllocateTimestamp() {
  RETURN_IF_ERROR(available() ? Status::Ok() : Status::Unavailable("PD has no leader"));
  const Timestamp ts = oracle_.Allocate(now_us(), 1);
  SaveLimitIfMoved();
  Log("tso", ts.value(), 1);
  return ts;
}

void Pd::MoveLeadership(size_t to, Micros down_us) {
  CHECK_GE(down_us, 0);
  CHECK_LT(to, options_.members);
  down_until_us_ = std::max(down_until_us_, now_us() + down_us);
  ++leader_term_;
  leader_ = to;
  oracle_.ChangeLeader(now_us());
  SaveLimitIfMoved();
  Log("leader change", leader_term_, static_cast<uint64_t>(down_us));
}

void Pd::JumpClock(int64_t forward_ms) {
  oracle_.Jump(forward_ms);
  Log("clock jump", static_cast<uint64_t>(forward_ms));
}

void Pd::ServeStale(Micros age_us, Micros duration_us) {
  views_.ServeStale(age_us, now_us() + duration_us);
  Log("serve stale", static_cast<uint64_t>(age_us), static_cast<uint64_t>(duration_us));
}

void Pd::Heal() {
  views_.EndStale();
  down_until_us_ = 0;
}

// --- checks in front of every call ---

Status Pd::CheckLeader(const sim::CallContext& context) const {
  return Leads(context) ? Status::Ok() : Status::Unavailable("not leader");
}

Status Pd::CheckClusterId(uint64_t cluster_id) const {
  if (cluster_id != options_.cluster_id) {
    return Status::Rejected("mismatch cluster id, need " + std::to_string(options_.cluster_id) + " but got " +
                            std::to_string(cluster_id));
  }
  return Status::Ok();
}

// --- timestamps, ids, members, stores ---

Pd::Answer<pdpb::TsoResponse> Pd::Tso(Ptr<pdpb::TsoRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckClusterId(request->header().cluster_id()));
  const std::string refused = !Leads(context)         ? "requested pd is not leader of cluster"
                              : request->count() == 0 ? "tso count should be positive"
                              : request->count() >= (uint32_t{1} << Timestamp::kLogicalBits)
                                  ? "generate tso maximum number of retries exceeded"
                                  : "";
  if (!refused.empty()) {
    co_return Status::Rejected("[PD:tso:ErrGenerateTimestamp]generate timestamp failed, " + refused);
  }
  const Timestamp last = oracle_.Allocate(now_us(), request->count());
  SaveLimitIfMoved();
  Log("tso", last.value(), request->count());
  pdpb::TsoResponse response;
  PutHeader(&response);
  response.set_count(request->count());
  response.mutable_timestamp()->set_physical(last.physical_ms());
  response.mutable_timestamp()->set_logical(last.logical());
  co_return response;
}

// Every member answers, and without a look at the cluster id: clients learn the id, and who leads, from it.
Pd::Answer<pdpb::GetMembersResponse> Pd::GetMembers(Ptr<pdpb::GetMembersRequest>, sim::CallContext) {
  pdpb::GetMembersResponse response;
  PutHeader(&response);
  for (const Etcd::Member& known : Members()) {
    pdpb::Member* member = response.add_members();
    member->set_name(known.name);
    member->set_member_id(known.id);
    member->mutable_client_urls()->Add(known.client_urls.begin(), known.client_urls.end());
    member->mutable_peer_urls()->Add(known.peer_urls.begin(), known.peer_urls.end());
  }
  if (available()) {
    *response.mutable_leader() = response.members(static_cast<int>(leader_));
  }
  *response.mutable_etcd_leader() = response.members(static_cast<int>(leader_));
  co_return response;
}

Pd::Answer<pdpb::AllocIDResponse> Pd::AllocId(Ptr<pdpb::AllocIDRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::AllocIDResponse response;
  PutHeader(&response);
  // Newer clients ask for several at once: the answer is the last of them.
  const uint32_t count = std::max(request->count(), uint32_t{1});
  for (uint32_t i = 1; i < count; ++i) {
    AllocateId();
  }
  response.set_id(AllocateId());
  if (count > 1) {
    response.set_count(count);
  }
  co_return response;
}

Pd::Answer<pdpb::GetStoreResponse> Pd::GetStore(Ptr<pdpb::GetStoreRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::GetStoreResponse response;
  PutHeader(&response);
  if (!stores_.contains(request->store_id())) {
    pdpb::Error* error = response.mutable_header()->mutable_error();
    error->set_type(pdpb::UNKNOWN);
    error->set_message("invalid store ID " + std::to_string(request->store_id()) + ", not found");
    co_return response;
  }
  *response.mutable_store() = StoreAsTold(request->store_id());
  FillStats(response.store(), response.mutable_stats());
  co_return response;
}

Pd::Answer<pdpb::GetAllStoresResponse> Pd::GetAllStores(Ptr<pdpb::GetAllStoresRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::GetAllStoresResponse response;
  PutHeader(&response);
  for (const auto& [id, store] : stores_) {
    if (!request->exclude_tombstone_stores() || store.node_state() != metapb::Removed) {
      *response.add_stores() = StoreAsTold(id);
    }
  }
  co_return response;
}

// --- routing ---

Pd::Answer<pdpb::GetRegionResponse> Pd::GetRegion(Ptr<pdpb::GetRegionRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLookUp(*request, context));
  pdpb::GetRegionResponse response;
  PutHeader(&response);
  FillRegion(FindRegion(views_.At(now_us()), request->region_key()), &response);
  Log("get region", Hash64(request->region_key()), response.region().id());
  co_return response;
}

Pd::Answer<pdpb::GetRegionResponse> Pd::GetPrevRegion(Ptr<pdpb::GetRegionRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLookUp(*request, context));
  pdpb::GetRegionResponse response;
  PutHeader(&response);
  FillRegion(FindPrevRegion(views_.At(now_us()), request->region_key()), &response);
  Log("get prev region", Hash64(request->region_key()), response.region().id());
  co_return response;
}

Pd::Answer<pdpb::GetRegionResponse> Pd::GetRegionById(Ptr<pdpb::GetRegionByIDRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLookUp(*request, context));
  pdpb::GetRegionResponse response;
  PutHeader(&response);
  FillRegion(FindRegionById(views_.At(now_us()), RegionId(request->region_id())), &response);
  Log("get region by id", request->region_id(), response.region().id());
  co_return response;
}

Pd::Answer<pdpb::ScanRegionsResponse> Pd::ScanRegions(Ptr<pdpb::ScanRegionsRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLookUp(*request, context));
  pdpb::ScanRegionsResponse response;
  PutHeader(&response);
  const std::vector<RegionInfoPtr> found =
      pd::ScanRegions(views_.At(now_us()), request->start_key(), request->end_key(), request->limit());
  for (const RegionInfoPtr& info : found) {
    *response.add_region_metas() = info->region;
    *response.add_leaders() = info->leader;
    FillRegion(*info, response.add_regions());
  }
  Log("scan regions", Hash64(request->start_key()), found.size());
  co_return response;
}

// --- scatter ---

void Pd::StartScatter(const RegionInfo& info) {
  // Leaders go round the stores in the order of asking: what matters to the caller is that they move.
  if (info.region.peers_size() == 0) {
    return;
  }
  const metapb::Peer& target = info.region.peers(static_cast<int>(scattered_++ % info.region.peers_size()));
  if (target.id() == info.leader.id()) {
    return;
  }
  const uint64_t region = info.region.id();
  Operator& op = operators_[region];
  op.running = true;
  op.known_until_us = now_us() + options_.operator_us + kOperatorKnownUs;
  Log("scatter", region, target.store_id());
  const StoreId store(target.store_id());
  timers_.After(options_.operator_us, "scatter", [this, region, store]() {
    operators_[region].running = false;
    if (placement_ != nullptr) {
      placement_->MoveLeader(RegionId(region), store);
    }
  });
}

Pd::Answer<pdpb::ScatterRegionResponse> Pd::ScatterRegion(Ptr<pdpb::ScatterRegionRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::ScatterRegionResponse response;
  PutHeader(&response);
  if (request->regions_id_size() == 0) {
    const RegionInfoPtr info = FindRegionById(views_.newest(), RegionId(request->region_id()));
    if (info == nullptr) {
      pdpb::Error* error = response.mutable_header()->mutable_error();
      error->set_type(pdpb::REGION_NOT_FOUND);
      error->set_message("region %d not found");  // so PD says it: the number was never put in
      co_return response;
    }
    StartScatter(*info);
    response.set_finished_percentage(100);
    co_return response;
  }
  std::vector<RegionInfoPtr> found;
  for (const uint64_t id : request->regions_id()) {
    if (RegionInfoPtr info = FindRegionById(views_.newest(), RegionId(id))) {
      found.push_back(std::move(info));
    } else {
      response.add_failed_regions_id(id);
    }
  }
  if (found.empty()) {
    co_return Status::Rejected("region not found");
  }
  for (const RegionInfoPtr& info : found) {
    StartScatter(*info);
  }
  response.set_finished_percentage(found.size() * 100 / static_cast<uint64_t>(request->regions_id_size()));
  co_return response;
}

Pd::Answer<pdpb::GetOperatorResponse> Pd::GetOperator(Ptr<pdpb::GetOperatorRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckRequest(*request, context));
  pdpb::GetOperatorResponse response;
  PutHeader(&response);
  const auto found = operators_.find(request->region_id());
  if (found == operators_.end() || found->second.known_until_us < now_us()) {
    pdpb::Error* error = response.mutable_header()->mutable_error();
    error->set_type(pdpb::REGION_NOT_FOUND);
    error->set_message("Not Found");
    co_return response;
  }
  response.set_region_id(request->region_id());
  response.set_desc("scatter-region");
  response.set_kind("admin,leader");
  response.set_status(found->second.running ? pdpb::RUNNING : pdpb::SUCCESS);
  co_return response;
}

// --- HTTP ---

Pd::Answer<pdhttp::ResetTsResponse> Pd::ResetTs(Ptr<pdhttp::ResetTsRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(CheckLeader(context));
  co_return ResetTsTo(request->tso(), request->force_use_larger());
}

pdhttp::ResetTsResponse Pd::ResetTsTo(const std::string& tso, bool force_use_larger) {
  pdhttp::ResetTsResponse response;
  uint64_t value = 0;
  const auto parsed = std::from_chars(tso.data(), tso.data() + tso.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != tso.data() + tso.size() || value == 0) {
    response.set_status(400);
    response.set_body("\"invalid tso value\"");
    return response;
  }
  const Status done = oracle_.AdvanceTo(Timestamp(value), now_us(), force_use_larger);
  SaveLimitIfMoved();
  Log("reset ts", value, done.ok() ? 1 : 0);
  response.set_status(done.ok() ? 200 : 403);
  response.set_body(done.ok() ? "\"Reset ts successfully.\"" : "\"" + done.message() + "\"");
  return response;
}

}  // namespace kvjury::pd
