#include "fakes/pd/gc_states.h"

#include <algorithm>

#include "fakes/pd/gc_states_internal.h"
#include "fakes/pd/pd.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::pd {

namespace {

constexpr Micros kMicrosPerSecond = 1'000'000;
// A range of TTLs that cannot overflow virtual time.
constexpr int64_t kTtlSecondsMax = int64_t{1} << 40;

void SaveBarriers(const GcStates::Barriers& barriers, int64_t clock_offset_ms,
                  google::protobuf::RepeatedPtrField<record::PdState::ServiceSafePoint>* out) {
  for (const auto& [service, barrier] : barriers) {
    record::PdState::ServiceSafePoint* added = out->Add();
    added->set_service(service);
    added->set_safe_point(barrier.ts.value());
    added->set_expires_ms(barrier.expires_us == INT64_MAX ? 0 : clock_offset_ms + barrier.expires_us / 1000);
  }
}

void RestoreBarriers(const google::protobuf::RepeatedPtrField<record::PdState::ServiceSafePoint>& saved, int64_t clock_offset_ms,
                     GcStates::Barriers* barriers) {
  for (const record::PdState::ServiceSafePoint& entry : saved) {
    const Micros expires_us = entry.expires_ms() == 0 ? INT64_MAX : (entry.expires_ms() - clock_offset_ms) * 1000;
    (*barriers)[entry.service()] = GcStates::Barrier{Timestamp(entry.safe_point()), expires_us};
  }
}

}  // namespace

void GcStates::Register(sim::MethodTable* methods) {
  methods->Add(kGetGcSafePoint, this, &GcStates::GetGcSafePoint);
  methods->Add(kUpdateGcSafePoint, this, &GcStates::UpdateGcSafePoint);
  methods->Add(kUpdateServiceGcSafePoint, this, &GcStates::UpdateServiceGcSafePoint);
  methods->Add(kGetGcSafePointV2, this, &GcStates::GetGcSafePointV2);
  methods->Add(kUpdateGcSafePointV2, this, &GcStates::UpdateGcSafePointV2);
  methods->Add(kUpdateServiceSafePointV2, this, &GcStates::UpdateServiceSafePointV2);
  methods->Add(kGetAllGcSafePointV2, this, &GcStates::GetAllGcSafePointV2);
  methods->Add(kAdvanceGcSafePoint, this, &GcStates::AdvanceGcSafePoint);
  methods->Add(kAdvanceTxnSafePoint, this, &GcStates::AdvanceTxnSafePoint);
  methods->Add(kSetGcBarrier, this, &GcStates::SetGcBarrier);
  methods->Add(kDeleteGcBarrier, this, &GcStates::DeleteGcBarrier);
  methods->Add(kSetGlobalGcBarrier, this, &GcStates::SetGlobalGcBarrier);
  methods->Add(kDeleteGlobalGcBarrier, this, &GcStates::DeleteGlobalGcBarrier);
  methods->Add(kGetGcState, this, &GcStates::GetGcState);
  methods->Add(kGetAllKeyspacesGcStates, this, &GcStates::GetAllKeyspacesGcStates);
}

// --- the state ---

Timestamp GcStates::gc_safe_point() const {
  const auto found = states_.find(kNullKeyspace);
  return found == states_.end() ? Timestamp() : found->second.gc_safe_point;
}

Timestamp GcStates::service_safe_point() const {
  Timestamp smallest = Timestamp::Max();
  if (const auto found = states_.find(kNullKeyspace); found != states_.end()) {
    for (const auto& [service, barrier] : found->second.barriers) {
      if (barrier.expires_us > pd_->now_us() && barrier.ts.valid()) {
        smallest = std::min(smallest, barrier.ts);
      }
    }
  }
  return smallest;
}

void GcStates::DropExpired(Barriers* barriers) const {
  std::erase_if(*barriers, [now_us = pd_->now_us()](const auto& entry) { return entry.second.expires_us <= now_us; });
}

GcStates::Barriers GcStates::LiveServices() {
  DropExpired(&states_[kNullKeyspace].barriers);
  return states_[kNullKeyspace].barriers;
}

void GcStates::RemoveService(const std::string& service) {
  states_[kNullKeyspace].barriers.erase(service);
  pd_->StateChanged();
}

Timestamp GcStates::Move(Timestamp safe_point) {
  Timestamp& current = states_[kNullKeyspace].gc_safe_point;
  current = std::max(current, safe_point);
  pd_->StateChanged();
  pd_->Log("gc safe point", current.value());
  return current;
}

int64_t GcStates::TtlSeconds(const Barrier& barrier) const {
  return barrier.expires_us == INT64_MAX ? INT64_MAX - pd_->UnixSeconds() : (barrier.expires_us - pd_->now_us()) / kMicrosPerSecond;
}

Result<GcStates::Smallest> GcStates::UpdateService(State* state, const std::string& service, Timestamp ts, int64_t ttl_s,
                                                   bool remove) {
  DropExpired(&state->barriers);
  // The GC worker has an entry of its own from the start, at 0 and without an end.
  state->barriers.try_emplace(kGcWorker, Barrier{Timestamp(), INT64_MAX});
  const auto smallest = [state]() {
    return std::min_element(state->barriers.begin(), state->barriers.end(),
                            [](const auto& a, const auto& b) { return a.second.ts < b.second.ts; });
  };
  if (remove) {
    if (service == kGcWorker) {
      return Status::Rejected("cannot remove service safe point of gc_worker");
    }
    state->barriers.erase(service);
  } else if (ts >= smallest()->second.ts) {
    if (service.empty()) {
      return Status::Rejected("service id of service safepoint cannot be empty");
    }
    const bool for_ever = ttl_s > kTtlSecondsMax;
    if (service == kGcWorker && !for_ever) {
      return Status::Rejected("TTL of gc_worker's service safe point must be infinity");
    }
    state->barriers[service] = Barrier{ts, for_ever ? INT64_MAX : pd_->now_us() + ttl_s * kMicrosPerSecond};
  }
  const auto answer = smallest();
  pd_->StateChanged();
  pd_->Log("service safe point", Hash64(service), answer->second.ts.value());
  return Smallest{answer->first, answer->second.ts, TtlSeconds(answer->second)};
}

// --- the calls of 8.5 ---

GcStates::Answer<pdpb::GetGCSafePointResponse> GcStates::GetGcSafePoint(Ptr<pdpb::GetGCSafePointRequest> request,
                                                                        sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::GetGCSafePointResponse response;
  pd_->PutHeader(&response);
  response.set_safe_point(gc_safe_point().value());
  co_return response;
}

GcStates::Answer<pdpb::UpdateGCSafePointResponse> GcStates::UpdateGcSafePoint(Ptr<pdpb::UpdateGCSafePointRequest> request,
                                                                              sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::UpdateGCSafePointResponse response;
  pd_->PutHeader(&response);
  response.set_new_safe_point(Move(Timestamp(request->safe_point())).value());
  co_return response;
}

GcStates::Answer<pdpb::UpdateServiceGCSafePointResponse> GcStates::UpdateServiceGcSafePoint(
    Ptr<pdpb::UpdateServiceGCSafePointRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  CO_ASSIGN_OR_RETURN(const Smallest smallest,
                      UpdateService(&states_[kNullKeyspace], request->service_id(), Timestamp(request->safe_point()),
                                    request->ttl(), request->ttl() <= 0));
  pdpb::UpdateServiceGCSafePointResponse response;
  pd_->PutHeader(&response);
  response.set_service_id(smallest.service);
  response.set_ttl(smallest.ttl_s);
  response.set_min_safe_point(smallest.ts.value());
  co_return response;
}

// A key space without a safe point of its own has the cluster's.
GcStates::Answer<pdpb::GetGCSafePointV2Response> GcStates::GetGcSafePointV2(Ptr<pdpb::GetGCSafePointV2Request> request,
                                                                            sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  const Result<keyspacepb::KeyspaceMeta> keyspace = pd_->keyspaces_.Find(request->keyspace_id());
  if (!keyspace.ok()) {
    co_return Status::Rejected(keyspace.error().message());
  }
  const Timestamp own = states_[request->keyspace_id()].gc_safe_point;
  pdpb::GetGCSafePointV2Response response;
  pd_->PutHeader(&response);
  response.set_safe_point(own.valid() ? own.value() : gc_safe_point().value());
  co_return response;
}

GcStates::Answer<pdpb::UpdateGCSafePointV2Response> GcStates::UpdateGcSafePointV2(Ptr<pdpb::UpdateGCSafePointV2Request> request,
                                                                                  sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  CO_RETURN_IF_ERROR(CheckMayUpdate(pd_->keyspaces_.Find(request->keyspace_id())));
  State& state = states_[request->keyspace_id()];
  const Timestamp old = state.gc_safe_point.valid() ? state.gc_safe_point : gc_safe_point();
  if (Timestamp(request->safe_point()) > old) {
    state.gc_safe_point = Timestamp(request->safe_point());
    pd_->StateChanged();
  }
  pdpb::UpdateGCSafePointV2Response response;
  pd_->PutHeader(&response);
  response.set_new_safe_point(std::max(old.value(), request->safe_point()));
  co_return response;
}

GcStates::Answer<pdpb::UpdateServiceSafePointV2Response> GcStates::UpdateServiceSafePointV2(
    Ptr<pdpb::UpdateServiceSafePointV2Request> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  CO_RETURN_IF_ERROR(CheckMayUpdate(pd_->keyspaces_.Find(request->keyspace_id())));
  CO_ASSIGN_OR_RETURN(const Smallest smallest, UpdateService(&states_[request->keyspace_id()], request->service_id(),
                                                             Timestamp(request->safe_point()), request->ttl(), request->ttl() < 0));
  pdpb::UpdateServiceSafePointV2Response response;
  pd_->PutHeader(&response);
  response.set_service_id(smallest.service);
  response.set_ttl(smallest.ttl_s);
  response.set_min_safe_point(smallest.ts.value());
  co_return response;
}

GcStates::Answer<pdpb::GetAllGCSafePointV2Response> GcStates::GetAllGcSafePointV2(Ptr<pdpb::GetAllGCSafePointV2Request> request,
                                                                                  sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::GetAllGCSafePointV2Response response;
  pd_->PutHeader(&response);
  for (const auto& [keyspace, state] : states_) {
    if (keyspace != kNullKeyspace && state.gc_safe_point.valid()) {
      pdpb::GCSafePointV2* told = response.add_gc_safe_points();
      told->set_keyspace_id(keyspace);
      told->set_gc_safe_point(state.gc_safe_point.value());
    }
  }
  response.set_revision(pd_->etcd_.revision());
  co_return response;
}

// --- over a restart ---

void GcStates::Save(record::PdState* state, int64_t clock_offset_ms) const {
  state->set_gc_safe_point(gc_safe_point().value());
  for (const auto& [keyspace, known] : states_) {
    if (keyspace == kNullKeyspace) {
      SaveBarriers(known.barriers, clock_offset_ms, state->mutable_service_safe_point());
    } else {
      record::PdState::KeyspaceGc* saved = state->add_keyspace_gc();
      saved->set_keyspace(keyspace);
      saved->set_gc_safe_point(known.gc_safe_point.value());
      SaveBarriers(known.barriers, clock_offset_ms, saved->mutable_barrier());
    }
  }
  SaveBarriers(global_, clock_offset_ms, state->mutable_global_barrier());
}

void GcStates::Restore(const record::PdState& state, int64_t clock_offset_ms) {
  State& cluster = states_[kNullKeyspace];
  cluster.gc_safe_point = Timestamp(state.gc_safe_point());
  RestoreBarriers(state.service_safe_point(), clock_offset_ms, &cluster.barriers);
  for (const record::PdState::KeyspaceGc& saved : state.keyspace_gc()) {
    State& known = states_[saved.keyspace()];
    known.gc_safe_point = Timestamp(saved.gc_safe_point());
    RestoreBarriers(saved.barrier(), clock_offset_ms, &known.barriers);
  }
  RestoreBarriers(state.global_barrier(), clock_offset_ms, &global_);
}

}  // namespace kvjury::pd
