#include "fakes/pd/pd.h"

#include <algorithm>
#include <charconv>

#include "fakes/pd/region_messages.h"

namespace kvjury::pd {

namespace {

constexpr int64_t kGcWorkerTtlS = INT64_MAX;
constexpr char kGcWorker[] = "gc_worker";
// Finished operators are remembered for ten minutes.
constexpr Micros kOperatorKnownUs = 600'000'000;
constexpr Micros kMicrosPerSecond = 1'000'000;
// A range of TTLs that cannot overflow virtual time.
constexpr int64_t kTtlSecondsMax = int64_t{1} << 40;

}  // namespace

Pd::Pd(sim::World* world, PdOptions options)
    : world_(world),
      options_(std::move(options)),
      component_(world->log().Component(ClusterAddress(options_.cluster))),
      timers_(&world->scheduler()),
      etcd_(options_.cluster_id, [this]() { return Members(); }),
      http_(this),
      oracle_(options_.clock_start_ms) {
  CHECK_NE(options_.cluster_id, 0U);
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
  methods_.Add(kGetGcSafePoint, this, &Pd::GetGcSafePoint);
  methods_.Add(kUpdateGcSafePoint, this, &Pd::UpdateGcSafePoint);
  methods_.Add(kUpdateServiceGcSafePoint, this, &Pd::UpdateServiceGcSafePoint);
  methods_.Add(kResetTs, this, &Pd::ResetTs);
  RegisterClusterMethods();
  etcd_.Register(&methods_);
  http_.Register(&methods_);
}

// --- for the cluster, and faults ---

void Pd::PutStore(metapb::Store store) { stores_[store.id()] = std::move(store); }

void Pd::Learn(RegionTablePtr table) {
  Log("learn", table->size());
  views_.Learn(std::move(table), now_us());
}

bool Pd::available() const { return now_us() >= down_until_us_; }

Result<Timestamp> Pd::AllocateTimestamp() {
  RETURN_IF_ERROR(CheckLeader());
  const Timestamp ts = oracle_.Allocate(now_us(), 1);
  SaveLimitIfMoved();
  Log("tso", ts.value(), 1);
  return ts;
}

Timestamp Pd::service_safe_point() const {
  Timestamp smallest = Timestamp::Max();
  for (const auto& [name, entry] : service_safe_points_) {
    if (entry.expires_us > now_us() && entry.safe_point.valid()) {
      smallest = std::min(smallest, entry.safe_point);
    }
  }
  return smallest;
}

void Pd::ChangeLeader(Micros down_us) {
  CHECK_GE(down_us, 0);
  down_until_us_ = std::max(down_until_us_, now_us() + down_us);
  ++leader_term_;
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

Timestamp Pd::MoveGcSafePoint(Timestamp safe_point) {
  gc_safe_point_ = std::max(gc_safe_point_, safe_point);
  StateChanged();
  Log("gc safe point", gc_safe_point_.value());
  return gc_safe_point_;
}

void Pd::Heal() {
  views_.EndStale();
  down_until_us_ = 0;
}

// --- checks in front of every call ---

Status Pd::CheckLeader() const {
  return available() ? Status::Ok() : Status::Unavailable("rpc error: code = Unavailable desc = not leader");
}

Status Pd::CheckClusterId(uint64_t cluster_id) const {
  RETURN_IF_ERROR(CheckLeader());
  if (cluster_id != options_.cluster_id) {
    return Status::Rejected("mismatch cluster id, need " + std::to_string(options_.cluster_id) + " but got " +
                            std::to_string(cluster_id));
  }
  return Status::Ok();
}

// --- timestamps, ids, members, stores ---

Pd::Answer<pdpb::TsoResponse> Pd::Tso(Ptr<pdpb::TsoRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  if (request->count() == 0 || request->count() >= (uint32_t{1} << Timestamp::kLogicalBits)) {
    co_return Status::Rejected("[PD:tso:ErrGenerateTimestamp]generate timestamp failed, tso count should be positive");
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

Pd::Answer<pdpb::GetMembersResponse> Pd::GetMembers(Ptr<pdpb::GetMembersRequest>, sim::CallContext) {
  // The only call without a look at the cluster id: clients learn the id from it.
  CO_RETURN_IF_ERROR(CheckLeader());
  pdpb::GetMembersResponse response;
  PutHeader(&response);
  for (const Etcd::Member& known : Members()) {
    pdpb::Member* member = response.add_members();
    member->set_name(known.name);
    member->set_member_id(known.id);
    member->mutable_client_urls()->Add(known.client_urls.begin(), known.client_urls.end());
    member->mutable_peer_urls()->Add(known.peer_urls.begin(), known.peer_urls.end());
  }
  *response.mutable_leader() = response.members(0);
  *response.mutable_etcd_leader() = response.members(0);
  co_return response;
}

Pd::Answer<pdpb::AllocIDResponse> Pd::AllocId(Ptr<pdpb::AllocIDRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::AllocIDResponse response;
  PutHeader(&response);
  response.set_id(AllocateId());
  co_return response;
}

Pd::Answer<pdpb::GetStoreResponse> Pd::GetStore(Ptr<pdpb::GetStoreRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetStoreResponse response;
  PutHeader(&response);
  const auto found = stores_.find(request->store_id());
  if (found == stores_.end()) {
    pdpb::Error* error = response.mutable_header()->mutable_error();
    error->set_type(pdpb::UNKNOWN);
    error->set_message("invalid store ID " + std::to_string(request->store_id()) + ", not found");
  } else {
    *response.mutable_store() = found->second;
  }
  co_return response;
}

Pd::Answer<pdpb::GetAllStoresResponse> Pd::GetAllStores(Ptr<pdpb::GetAllStoresRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetAllStoresResponse response;
  PutHeader(&response);
  for (const auto& [id, store] : stores_) {
    if (!request->exclude_tombstone_stores() || store.state() != metapb::Tombstone) {
      *response.add_stores() = store;
    }
  }
  co_return response;
}

// --- routing ---

Pd::Answer<pdpb::GetRegionResponse> Pd::GetRegion(Ptr<pdpb::GetRegionRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetRegionResponse response;
  PutHeader(&response);
  FillRegion(FindRegion(views_.At(now_us()), request->region_key()), &response);
  Log("get region", Hash64(request->region_key()), response.region().id());
  co_return response;
}

Pd::Answer<pdpb::GetRegionResponse> Pd::GetPrevRegion(Ptr<pdpb::GetRegionRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetRegionResponse response;
  PutHeader(&response);
  FillRegion(FindPrevRegion(views_.At(now_us()), request->region_key()), &response);
  Log("get prev region", Hash64(request->region_key()), response.region().id());
  co_return response;
}

Pd::Answer<pdpb::GetRegionResponse> Pd::GetRegionById(Ptr<pdpb::GetRegionByIDRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetRegionResponse response;
  PutHeader(&response);
  FillRegion(FindRegionById(views_.At(now_us()), RegionId(request->region_id())), &response);
  Log("get region by id", request->region_id(), response.region().id());
  co_return response;
}

Pd::Answer<pdpb::ScanRegionsResponse> Pd::ScanRegions(Ptr<pdpb::ScanRegionsRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
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

Pd::Answer<pdpb::ScatterRegionResponse> Pd::ScatterRegion(Ptr<pdpb::ScatterRegionRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
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

Pd::Answer<pdpb::GetOperatorResponse> Pd::GetOperator(Ptr<pdpb::GetOperatorRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
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

// --- GC ---

Pd::Answer<pdpb::GetGCSafePointResponse> Pd::GetGcSafePoint(Ptr<pdpb::GetGCSafePointRequest> request,
                                                            sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::GetGCSafePointResponse response;
  PutHeader(&response);
  response.set_safe_point(gc_safe_point_.value());
  co_return response;
}

Pd::Answer<pdpb::UpdateGCSafePointResponse> Pd::UpdateGcSafePoint(Ptr<pdpb::UpdateGCSafePointRequest> request,
                                                                  sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  pdpb::UpdateGCSafePointResponse response;
  PutHeader(&response);
  response.set_new_safe_point(MoveGcSafePoint(Timestamp(request->safe_point())).value());
  co_return response;
}

Pd::Answer<pdpb::UpdateServiceGCSafePointResponse> Pd::UpdateServiceGcSafePoint(
    Ptr<pdpb::UpdateServiceGCSafePointRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckRequest(*request));
  for (auto entry = service_safe_points_.begin(); entry != service_safe_points_.end();) {
    entry = entry->second.expires_us <= now_us() ? service_safe_points_.erase(entry) : std::next(entry);
  }
  // The GC worker has an entry of its own from the start, at 0 and without an end.
  service_safe_points_.try_emplace(kGcWorker, ServiceSafePoint{Timestamp(), INT64_MAX});
  const auto smallest = [this]() {
    return std::min_element(service_safe_points_.begin(), service_safe_points_.end(),
                            [](const auto& a, const auto& b) { return a.second.safe_point < b.second.safe_point; });
  };
  const Timestamp wanted(request->safe_point());
  if (request->ttl() <= 0) {
    if (request->service_id() != kGcWorker) {
      service_safe_points_.erase(request->service_id());
    }
  } else if (wanted >= smallest()->second.safe_point) {
    const Micros expires_us =
        request->ttl() > kTtlSecondsMax ? INT64_MAX : now_us() + request->ttl() * kMicrosPerSecond;
    service_safe_points_[request->service_id()] = ServiceSafePoint{wanted, expires_us};
  }
  const auto answer = smallest();
  StateChanged();
  Log("service safe point", Hash64(request->service_id()), answer->second.safe_point.value());
  pdpb::UpdateServiceGCSafePointResponse response;
  PutHeader(&response);
  response.set_service_id(answer->first);
  response.set_ttl(answer->second.expires_us == INT64_MAX ? kGcWorkerTtlS
                                                          : (answer->second.expires_us - now_us()) / kMicrosPerSecond);
  response.set_min_safe_point(answer->second.safe_point.value());
  co_return response;
}

// --- HTTP ---

Pd::Answer<pdhttp::ResetTsResponse> Pd::ResetTs(Ptr<pdhttp::ResetTsRequest> request, sim::CallContext) {
  CO_RETURN_IF_ERROR(CheckLeader());
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
