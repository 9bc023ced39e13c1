// GcStates: the calls that are newer than 8.5. Their refusals are errors in the response's header.
#include <algorithm>
#include <charconv>

#include "fakes/pd/gc_states_internal.h"
#include "fakes/pd/go_text.h"
#include "fakes/pd/pd.h"

namespace kvjury::pd {

namespace {

constexpr Micros kMicrosPerSecond = 1'000'000;
// TTLs from here on never end, as in a duration of nanoseconds.
constexpr int64_t kForEverSeconds = INT64_MAX / 1'000'000'000;
constexpr uint32_t kKeyspaceIdMask = 0x00ffffff;
constexpr char kSavedSafePoint[] = "/tidb/store/gcworker/saved_safe_point";
constexpr char kMinStartTs[] = "/tidb/server/minstartts/";

template <class Response>
void PutError(const Status& status, Response* response) {
  pdpb::Error* error = response->mutable_header()->mutable_error();
  error->set_type(pdpb::UNKNOWN);
  error->set_message(status.message());
}

Bytes TxnSafePointKey(uint32_t keyspace) {
  return keyspace == GcStates::kNullKeyspace ? kSavedSafePoint : "/keyspaces/tidb/" + std::to_string(keyspace) + kSavedSafePoint;
}

Timestamp ParseTimestamp(const Bytes& text) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? Timestamp(value) : Timestamp();
}

Status TooSmall(const char* what, const char* code, Timestamp current, Timestamp given) {
  return Status::Rejected(std::string("[PD:gc:") + code + "]trying to update " + what + " to a smaller value, current value: " +
                          std::to_string(current.value()) + ", given: " + std::to_string(given.value()));
}

}  // namespace

Result<uint32_t> GcStates::Redirect(const pdpb::KeyspaceScope* scope, bool for_collecting) const {
  const uint32_t id = scope == nullptr ? kNullKeyspace : scope->keyspace_id();
  if ((id & ~kKeyspaceIdMask) != 0) {
    return kNullKeyspace;
  }
  const Result<keyspacepb::KeyspaceMeta> meta = pd_->keyspaces_.Find(id);
  RETURN_IF_ERROR(meta.status());
  if (Keyspaces::HasOwnGc(*meta)) {
    return id;
  }
  if (for_collecting) {
    return Status::Rejected("[PD:gc:ErrGCOnInvalidKeyspace]trying to manage GC in keyspace " + meta->name() +
                            " (id: " + std::to_string(id) + ") where keyspace level GC is not enabled");
  }
  return kNullKeyspace;
}

Timestamp GcStates::TxnSafePoint(uint32_t keyspace) {
  const std::optional<Bytes> saved = pd_->etcd_.Find(TxnSafePointKey(keyspace));
  return std::max(saved ? ParseTimestamp(*saved) : Timestamp(), states_[keyspace].gc_safe_point);
}

void GcStates::SetTxnSafePoint(uint32_t keyspace, Timestamp ts) {
  pd_->etcd_.Set(TxnSafePointKey(keyspace), std::to_string(ts.value()));
}

Timestamp GcStates::Hold(uint32_t keyspace, Timestamp target, std::string* description) {
  Timestamp smallest = target;
  const auto consider = [this, &smallest, description](const char* kind, Barriers* barriers) {
    DropExpired(barriers);
    for (const auto& [id, barrier] : *barriers) {
      if (id != kGcWorker && barrier.ts < smallest) {
        smallest = barrier.ts;
        const std::string ends = barrier.expires_us == INT64_MAX ? "<nil>" : GoTime(pd_->UnixMicros(barrier.expires_us));
        *description = std::string(kind) + " { BarrierID: \"" + id + "\", BarrierTS: " + std::to_string(barrier.ts.value()) +
                       ", ExpirationTime: \"" + ends + "\" }";
      }
    }
  };
  consider("GCBarrier", &states_[keyspace].barriers);
  etcdserverpb::RangeRequest servers;
  const Bytes prefix = keyspace == kNullKeyspace ? kMinStartTs : "/keyspaces/tidb/" + std::to_string(keyspace) + kMinStartTs;
  servers.set_key(prefix);
  servers.set_range_end(prefix.substr(0, prefix.size() - 1) + static_cast<char>(prefix.back() + 1));
  const etcdserverpb::RangeResponse running = pd_->etcd_.ReadRange(servers);
  for (const etcdserverpb::KeyValue& server : running.kvs()) {
    const Timestamp started = ParseTimestamp(server.value());
    if (started.valid() && started < smallest) {
      smallest = started;
      *description = "TiDBMinStartTS { Key: \"" + server.key() + "\", MinStartTS: " + server.value() + " }";
    }
  }
  consider("GlobalGCBarrier", &global_);
  return smallest;
}

Result<pdpb::AdvanceTxnSafePointResponse> GcStates::Advance(uint32_t keyspace, Timestamp target) {
  const Timestamp old = TxnSafePoint(keyspace);
  if (target < old) {
    return TooSmall("txn safe point", "ErrDecreasingTxnSafePoint", old, target);
  }
  pdpb::AdvanceTxnSafePointResponse response;
  const Timestamp reached = std::max(old, Hold(keyspace, target, response.mutable_blocker_description()));
  if (const auto worker = states_[keyspace].barriers.find(kGcWorker); worker != states_[keyspace].barriers.end()) {
    worker->second.ts = reached;
  }
  SetTxnSafePoint(keyspace, reached);
  pd_->Log("txn safe point", reached.value(), keyspace);
  response.set_old_txn_safe_point(old.value());
  response.set_new_txn_safe_point(reached.value());
  return response;
}

Status GcStates::CheckBarrier(const std::string& id, bool reserved_ids) const {
  if (reserved_ids && id == kGcWorker) {
    return Status::Rejected("[PD:gc:ErrReservedGCBarrierID]trying to set a GC barrier with a barrier ID that is reserved: " + id);
  }
  return id.empty() ? Status::Rejected("[PD:common:ErrInvalidArgument]invalid argument for barrierID: ") : Status::Ok();
}

GcStates::Barrier GcStates::NewBarrier(uint64_t ts, int64_t ttl_s) const {
  Barrier barrier{Timestamp(ts), INT64_MAX};
  if (ttl_s < kForEverSeconds) {
    // Ends with a whole second of the clock.
    const int64_t unix_us = pd_->UnixMicros(pd_->now_us());
    const int64_t round_up_us = (kMicrosPerSecond - unix_us % kMicrosPerSecond) % kMicrosPerSecond;
    barrier.expires_us = pd_->now_us() + ttl_s * kMicrosPerSecond + round_up_us;
  }
  return barrier;
}

template <class Field>
void GcStates::FillBarriers(Barriers* barriers, Field* out) {
  DropExpired(barriers);
  for (const auto& [id, barrier] : *barriers) {
    if (id != kGcWorker) {
      auto* told = out->Add();
      told->set_barrier_id(id);
      told->set_barrier_ts(barrier.ts.value());
      told->set_ttl_seconds(barrier.expires_us == INT64_MAX ? INT64_MAX : TtlSeconds(barrier));
    }
  }
}

void GcStates::FillState(uint32_t keyspace, bool own, bool with_barriers, pdpb::GCState* out) {
  out->mutable_keyspace_scope()->set_keyspace_id(keyspace);
  out->set_is_keyspace_level_gc(own);
  out->set_txn_safe_point(TxnSafePoint(keyspace).value());
  out->set_gc_safe_point(states_[keyspace].gc_safe_point.value());
  if (with_barriers) {
    FillBarriers(&states_[keyspace].barriers, out->mutable_gc_barriers());
  }
}

// --- calls ---

GcStates::Answer<pdpb::AdvanceGCSafePointResponse> GcStates::AdvanceGcSafePoint(Ptr<pdpb::AdvanceGCSafePointRequest> request,
                                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::AdvanceGCSafePointResponse response;
  pd_->PutHeader(&response);
  const Result<uint32_t> keyspace = Redirect(request->has_keyspace_scope() ? &request->keyspace_scope() : nullptr, true);
  if (!keyspace.ok()) {
    PutError(keyspace.error(), &response);
    co_return response;
  }
  const Timestamp target(request->target());
  const Timestamp txn_safe_point = TxnSafePoint(*keyspace);
  Timestamp& current = states_[*keyspace].gc_safe_point;
  if (target < current) {
    PutError(TooSmall("GC safe point", "ErrDecreasingGCSafePoint", current, target), &response);
    co_return response;
  }
  if (target > txn_safe_point) {
    PutError(Status::Rejected("[PD:gc:ErrGCSafePointExceedsTxnSafePoint]trying to update GC safe point to a too large value that "
                              "exceeds the txn safe point, current value: " +
                              std::to_string(current.value()) + ", given: " + std::to_string(target.value()) +
                              ", current txn safe point: " + std::to_string(txn_safe_point.value())),
             &response);
    co_return response;
  }
  response.set_old_gc_safe_point(current.value());
  response.set_new_gc_safe_point(target.value());
  current = target;
  pd_->StateChanged();
  pd_->Log("gc safe point", current.value());
  co_return response;
}

GcStates::Answer<pdpb::AdvanceTxnSafePointResponse> GcStates::AdvanceTxnSafePoint(Ptr<pdpb::AdvanceTxnSafePointRequest> request,
                                                                                  sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  const Result<uint32_t> keyspace = Redirect(request->has_keyspace_scope() ? &request->keyspace_scope() : nullptr, true);
  Result<pdpb::AdvanceTxnSafePointResponse> advanced = keyspace.ok() ? Advance(*keyspace, Timestamp(request->target()))
                                                                     : Result<pdpb::AdvanceTxnSafePointResponse>(keyspace.error());
  pdpb::AdvanceTxnSafePointResponse response = advanced.ok() ? *advanced : pdpb::AdvanceTxnSafePointResponse();
  pd_->PutHeader(&response);
  if (!advanced.ok()) {
    PutError(advanced.error(), &response);
  }
  co_return response;
}

GcStates::Answer<pdpb::SetGCBarrierResponse> GcStates::SetGcBarrier(Ptr<pdpb::SetGCBarrierRequest> request,
                                                                    sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::SetGCBarrierResponse response;
  pd_->PutHeader(&response);
  const Result<uint32_t> keyspace = Redirect(request->has_keyspace_scope() ? &request->keyspace_scope() : nullptr, false);
  Status allowed = keyspace.status();
  if (request->ttl_seconds() <= 0) {
    allowed = Status::Rejected("[PD:common:ErrInvalidArgument]invalid argument for ttl: " + GoDuration(request->ttl_seconds()));
  }
  if (allowed.ok()) {
    allowed = CheckBarrier(request->barrier_id(), true);
  }
  if (allowed.ok() && Timestamp(request->barrier_ts()) < TxnSafePoint(*keyspace)) {
    allowed = Status::Rejected("[PD:gc:ErrGCBarrierTSBehindTxnSafePoint]trying to set a GC barrier on ts " +
                               std::to_string(request->barrier_ts()) + " which is already behind the txn safe point " +
                               std::to_string(TxnSafePoint(*keyspace).value()));
  }
  if (!allowed.ok()) {
    PutError(allowed, &response);
    co_return response;
  }
  const Barrier barrier = NewBarrier(request->barrier_ts(), request->ttl_seconds());
  states_[*keyspace].barriers[request->barrier_id()] = barrier;
  pd_->StateChanged();
  pd_->Log("gc barrier", Hash64(request->barrier_id()), barrier.ts.value());
  response.mutable_new_barrier_info()->set_barrier_id(request->barrier_id());
  response.mutable_new_barrier_info()->set_barrier_ts(barrier.ts.value());
  response.mutable_new_barrier_info()->set_ttl_seconds(barrier.expires_us == INT64_MAX ? INT64_MAX : TtlSeconds(barrier));
  co_return response;
}

GcStates::Answer<pdpb::DeleteGCBarrierResponse> GcStates::DeleteGcBarrier(Ptr<pdpb::DeleteGCBarrierRequest> request,
                                                                          sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::DeleteGCBarrierResponse response;
  pd_->PutHeader(&response);
  const Result<uint32_t> keyspace = Redirect(request->has_keyspace_scope() ? &request->keyspace_scope() : nullptr, false);
  const Status allowed = keyspace.ok() ? CheckBarrier(request->barrier_id(), true) : keyspace.error();
  if (!allowed.ok()) {
    PutError(allowed, &response);
    co_return response;
  }
  Barriers& barriers = states_[*keyspace].barriers;
  if (const auto found = barriers.find(request->barrier_id()); found != barriers.end()) {
    pdpb::GCBarrierInfo* told = response.mutable_deleted_barrier_info();
    told->set_barrier_id(found->first);
    told->set_barrier_ts(found->second.ts.value());
    told->set_ttl_seconds(found->second.expires_us == INT64_MAX ? INT64_MAX : std::max<int64_t>(TtlSeconds(found->second), 0));
    barriers.erase(found);
    pd_->StateChanged();
  }
  co_return response;
}

GcStates::Answer<pdpb::SetGlobalGCBarrierResponse> GcStates::SetGlobalGcBarrier(Ptr<pdpb::SetGlobalGCBarrierRequest> request,
                                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::SetGlobalGCBarrierResponse response;
  pd_->PutHeader(&response);
  Status allowed = CheckBarrier(request->barrier_id(), false);
  if (request->ttl_seconds() <= 0) {
    allowed = Status::Rejected("[PD:common:ErrInvalidArgument]invalid argument for ttl: " + GoDuration(request->ttl_seconds()));
  }
  // The largest of all key spaces counts; the whole cluster is named only when it alone is the largest.
  Timestamp largest;
  std::string where = "<null_keyspace>";
  if (const auto all = pd_->keyspaces_.List(0, 0); all.ok()) {
    for (const keyspacepb::KeyspaceMeta& meta : *all) {
      if (meta.state() == keyspacepb::ENABLED && TxnSafePoint(meta.id()) > largest) {
        largest = TxnSafePoint(meta.id());
        where = "{ name: \"" + meta.name() + "\", id: " + std::to_string(meta.id()) + " }";
      }
    }
  }
  if (TxnSafePoint(kNullKeyspace) > largest) {
    largest = TxnSafePoint(kNullKeyspace);
    where = "<null_keyspace>";
  }
  if (allowed.ok() && Timestamp(request->barrier_ts()) < largest) {
    allowed = Status::Rejected("[PD:gc:ErrGlobalGCBarrierTSBehindTxnSafePoint]trying to set a global GC barrier on ts " +
                               std::to_string(request->barrier_ts()) + " which is already behind the txn safe point " +
                               std::to_string(largest.value()) + " of keyspace " + where);
  }
  if (!allowed.ok()) {
    PutError(allowed, &response);
    co_return response;
  }
  const Barrier barrier = NewBarrier(request->barrier_ts(), request->ttl_seconds());
  global_[request->barrier_id()] = barrier;
  pd_->StateChanged();
  pd_->Log("global gc barrier", Hash64(request->barrier_id()), barrier.ts.value());
  response.mutable_new_barrier_info()->set_barrier_id(request->barrier_id());
  response.mutable_new_barrier_info()->set_barrier_ts(barrier.ts.value());
  response.mutable_new_barrier_info()->set_ttl_seconds(barrier.expires_us == INT64_MAX ? INT64_MAX : TtlSeconds(barrier));
  co_return response;
}

GcStates::Answer<pdpb::DeleteGlobalGCBarrierResponse> GcStates::DeleteGlobalGcBarrier(
    Ptr<pdpb::DeleteGlobalGCBarrierRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::DeleteGlobalGCBarrierResponse response;
  pd_->PutHeader(&response);
  if (const Status allowed = CheckBarrier(request->barrier_id(), false); !allowed.ok()) {
    PutError(allowed, &response);
    co_return response;
  }
  if (const auto found = global_.find(request->barrier_id()); found != global_.end()) {
    pdpb::GlobalGCBarrierInfo* told = response.mutable_deleted_barrier_info();
    told->set_barrier_id(found->first);
    told->set_barrier_ts(found->second.ts.value());
    told->set_ttl_seconds(found->second.expires_us == INT64_MAX ? INT64_MAX : std::max<int64_t>(TtlSeconds(found->second), 0));
    global_.erase(found);
    pd_->StateChanged();
  }
  co_return response;
}

GcStates::Answer<pdpb::GetGCStateResponse> GcStates::GetGcState(Ptr<pdpb::GetGCStateRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::GetGCStateResponse response;
  pd_->PutHeader(&response);
  const Result<uint32_t> keyspace = Redirect(request->has_keyspace_scope() ? &request->keyspace_scope() : nullptr, false);
  if (!keyspace.ok()) {
    PutError(keyspace.error(), &response);
    co_return response;
  }
  FillState(*keyspace, *keyspace != kNullKeyspace, !request->exclude_gc_barriers(), response.mutable_gc_state());
  if (request->include_global_gc_barriers()) {
    FillBarriers(&global_, response.mutable_global_gc_barriers()->mutable_barriers());
  }
  co_return response;
}

GcStates::Answer<pdpb::GetAllKeyspacesGCStatesResponse> GcStates::GetAllKeyspacesGcStates(
    Ptr<pdpb::GetAllKeyspacesGCStatesRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  pdpb::GetAllKeyspacesGCStatesResponse response;
  pd_->PutHeader(&response);
  FillState(kNullKeyspace, false, !request->exclude_gc_barriers(), response.add_gc_states());
  const Result<std::vector<keyspacepb::KeyspaceMeta>> all = pd_->keyspaces_.List(0, 0);
  CO_RETURN_IF_ERROR(all.status());
  for (const keyspacepb::KeyspaceMeta& meta : *all) {
    if (meta.state() != keyspacepb::ENABLED) {
      continue;
    }
    if (Keyspaces::HasOwnGc(meta)) {
      FillState(meta.id(), true, !request->exclude_gc_barriers(), response.add_gc_states());
    } else {
      response.add_gc_states()->mutable_keyspace_scope()->set_keyspace_id(meta.id());
    }
  }
  if (!request->exclude_global_gc_barriers()) {
    FillBarriers(&global_, response.mutable_global_gc_barriers());
  }
  co_return response;
}

}  // namespace kvjury::pd
