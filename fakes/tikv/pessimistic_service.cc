#include "fakes/tikv/pessimistic_service.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_pessimistic.h"
#include "fakes/tikv/methods.h"

namespace kvjury::tikv {

namespace {

bool MayLockInConflict(const kvrpcpb::PessimisticLockRequest& request) {
  return request.wake_up_mode() == kvrpcpb::WakeUpModeForceLock;
}

bool IsLocked(const Result<kvrpcpb::PessimisticLockResponse>& response) {
  return response.ok() && response->errors_size() > 0 && response->errors(0).has_locked();
}

// The answer of a request whose wait ended without the lock.
kvrpcpb::PessimisticLockResponse Refusal(const kvrpcpb::PessimisticLockRequest& request, kvrpcpb::KeyError error) {
  kvrpcpb::PessimisticLockResponse response;
  *response.add_errors() = std::move(error);
  if (MayLockInConflict(request)) {
    response.add_results()->set_type(kvrpcpb::LockResultFailed);
  }
  return response;
}

kvrpcpb::KeyError ConflictOf(const kvrpcpb::PessimisticLockRequest& request, const LockWaits::Waiter& waiter,
                             const LockWaits::WakeUp& wake_up) {
  CommittedWrite released;
  released.commit_ts = wake_up.conflict_commit_ts;
  released.write.start_ts = wake_up.conflict_start_ts;
  return WriteConflictError(waiter.entry.key, Timestamp(request.start_version()), released, request.primary_lock(),
                            kvrpcpb::WriteConflict::PessimisticRetry);
}

kvrpcpb::KeyError TimeOutOf(const LockWaits::Waiter& waiter, Micros now_us) {
  kvrpcpb::KeyError error;
  *error.mutable_locked() = waiter.lock;
  if (waiter.owner_changed_us >= 0) {
    // Rounded up, since zero means that it never changed.
    error.mutable_locked()->set_duration_to_last_update_ms(
        std::max<uint64_t>(static_cast<uint64_t>(now_us - waiter.owner_changed_us) / 1000, 1));
  }
  return error;
}

// TiKV's timer ticks in milliseconds: a wait never ends early, and clients count on it.
Micros NextTick(Micros us) { return (us / 1000 + 1) * 1000; }

kvrpcpb::KeyError DeadlockOf(const LockWaits::WakeUp& wake_up) {
  kvrpcpb::KeyError error;
  *error.mutable_deadlock() = wake_up.deadlock;
  return error;
}

}  // namespace

void PessimisticService::Register(sim::MethodTable* methods) {
  methods->Add(kKvPessimisticLock, this, &PessimisticService::Lock);
  methods->Add(kKvPessimisticRollback, this, &PessimisticService::Rollback);
  methods->Add(kGetLockWaitInfo, this, &PessimisticService::GetLockWaitInfo);
}

LockWaits::Entry PessimisticService::EntryOf(const Request& request, const kvrpcpb::LockInfo& lock, uint64_t order,
                                             Micros give_up_us) const {
  LockWaits::Entry entry;
  entry.key = EncodeKey(lock.key());
  entry.start_ts = Timestamp(request.start_version());
  entry.may_lock_in_conflict = MayLockInConflict(request);
  entry.is_first_lock = request.is_first_lock();
  entry.resource_group_tag = request.context().resource_group_tag();
  entry.order = order;
  entry.give_up_us = give_up_us;
  return entry;
}

sim::Task<PessimisticService::Attempt> PessimisticService::TryLock(Ptr<Request> request, sim::CallContext context,
                                                                   StoreRunPtr run, Micros give_up_us,
                                                                   std::optional<ReleasedLock> woken_by) const {
  LockWaits& waits = *run->memory.lock_waits;
  sim::Task<Latches::Guard> latching = run->memory.latches->Acquire(KeysOf(*request), context.label.hash());
  const Latches::Guard guard = co_await std::move(latching);
  StoreCalls::Compute<Request, Response> compute = [](const Snapshot& snapshot, const RegionBounds&,
                                                      ConcurrencyManager* concurrency, const Request& asked) {
    return AcquirePessimisticLock(snapshot, concurrency, asked);
  };
  Answer<Response> once = calls_->WriteOnce<Request, Response>(request, context, run, std::move(compute));
  Attempt attempt;
  attempt.response = co_await std::move(once);
  if (IsLocked(attempt.response)) {
    if (request->wait_timeout() >= 0 && run->alive && give_up_us > calls_->cluster()->world()->scheduler().now_us()) {
      attempt.waiter = waits.Add(EntryOf(*request, attempt.response->errors(0).locked(), context.label.hash(), give_up_us),
                                 attempt.response->errors(0).locked());
    }
  } else if (woken_by.has_value() && attempt.response.ok()) {
    if (attempt.response->errors_size() > 0 && attempt.response->results().empty()) {
      attempt.response->add_results()->set_type(kvrpcpb::LockResultFailed);
    }
    if (!MvccReader(calls_->cluster()->engine().Latest()).LoadLock(woken_by->key).has_value()) {
      waits.Released({*woken_by}, calls_->config().wake_up_delay_us());
    }
  }
  co_return attempt;
}

PessimisticService::Answer<PessimisticService::Response> PessimisticService::Lock(Ptr<Request> request,
                                                                                  sim::CallContext context) {
  Cluster* const cluster = calls_->cluster();
  const StoreRunPtr run = cluster->Run(calls_->store());
  sim::Task<Result<std::optional<errorpb::Error>>> admitting = calls_->Admit(run, request->context(), kWriteUs, context);
  Result<std::optional<errorpb::Error>> admitted = co_await std::move(admitting);
  if (!admitted.ok()) {
    co_return admitted.error();
  }
  if (admitted->has_value()) {
    cluster->Log(calls_->store(), "refuse lock", context.label.hash(), request->context().region_id());
    co_return RegionErrorOf<Response>(std::move(**admitted));
  }
  const Micros limit_us = calls_->config().wait_for_lock_timeout_us();
  const Micros asked_us =
      request->wait_timeout() == 0 ? limit_us : std::min<Micros>(request->wait_timeout(), limit_us / 1000) * 1000;
  const Micros give_up_us =
      std::min(NextTick(cluster->world()->scheduler().now_us() + std::max<Micros>(asked_us, 0)), context.deadline_us);
  std::optional<ReleasedLock> woken_by;
  while (true) {
    sim::Task<Attempt> trying = TryLock(request, context, run, give_up_us, woken_by);
    Attempt attempt = co_await std::move(trying);
    if (attempt.waiter == nullptr) {
      co_return std::move(attempt.response);
    }
    const LockWaits::WaiterPtr waiter = attempt.waiter;
    cluster->Log(calls_->store(), "wait", context.label.hash(), waiter->lock.lock_version());
    calls_->WaitBegins(run, waiter);
    const LockWaits::WakeUp wake_up = co_await waiter->woken;
    calls_->WaitEnds(*waiter);
    if (!run->alive) {
      co_return StoreIsDown();
    }
    cluster->Log(calls_->store(), "woken", context.label.hash(), static_cast<uint64_t>(wake_up.end));
    switch (wake_up.end) {
      case LockWaits::End::kConflict:
        co_return Refusal(*request, ConflictOf(*request, *waiter, wake_up));
      case LockWaits::End::kTimedOut:
        co_return Refusal(*request, TimeOutOf(*waiter, cluster->world()->scheduler().now_us()));
      case LockWaits::End::kDeadlock:
        co_return Refusal(*request, DeadlockOf(wake_up));
      case LockWaits::End::kTryAgain:
        woken_by = ReleasedLock{waiter->entry.key, wake_up.conflict_start_ts, wake_up.conflict_commit_ts};
    }
  }
}

PessimisticService::Answer<kvrpcpb::PessimisticRollbackResponse> PessimisticService::Rollback(
    Ptr<kvrpcpb::PessimisticRollbackRequest> request, sim::CallContext context) {
  StoreCalls::Compute<kvrpcpb::PessimisticRollbackRequest, kvrpcpb::PessimisticRollbackResponse> compute =
      [](const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager*,
         const kvrpcpb::PessimisticRollbackRequest& asked) { return tikv::PessimisticRollback(snapshot, region, asked); };
  auto writing = calls_->Write<kvrpcpb::PessimisticRollbackRequest, kvrpcpb::PessimisticRollbackResponse>(
      request, context, KeysOf(*request), std::move(compute));
  co_return co_await std::move(writing);
}

PessimisticService::Answer<kvrpcpb::GetLockWaitInfoResponse> PessimisticService::GetLockWaitInfo(
    Ptr<kvrpcpb::GetLockWaitInfoRequest>, sim::CallContext) {
  kvrpcpb::GetLockWaitInfoResponse response;
  for (const WaitForLock& wait : calls_->cluster()->Run(calls_->store())->memory.lock_waits->List()) {
    *response.add_entries() = ToEntry(wait);
  }
  co_return response;
}

}  // namespace kvjury::tikv
