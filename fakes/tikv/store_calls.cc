#include "fakes/tikv/store_calls.h"

namespace kvjury::tikv {

RegionBounds StoreCalls::BoundsOf(const kvrpcpb::Context& context) const {
  const Region* region = cluster_->regions().Find(RegionId(context.region_id()));
  CHECK(region != nullptr) << "checked before";
  return RegionBounds{region->id.value(), region->start, region->end};
}

sim::Task<Result<std::optional<errorpb::Error>>> StoreCalls::Admit(StoreRunPtr run, const kvrpcpb::Context& context,
                                                                   Micros cost_us, const sim::CallContext& call) const {
  sim::Task<bool> working = cluster_->Work(store_, run, cost_us, call.label.hash());
  if (!co_await std::move(working)) {
    co_return StoreIsDown();
  }
  if (context.cluster_id() != 0 && context.cluster_id() != cluster_->options().cluster_id) {
    co_return Status::InvalidArgument("the cluster id of the request does not match the TiKV cluster");
  }
  if (const uint64_t backoff_ms = cluster_->TakeBusy(call.label); backoff_ms > 0) {
    co_return std::optional<errorpb::Error>(ServerIsBusyError("scheduler is busy", backoff_ms));
  }
  co_return cluster_->Check(store_, context, false);
}

// --- those who wait for locks ---

void StoreCalls::WaitBegins(const StoreRunPtr& run, const LockWaits::WaiterPtr& waiter) const {
  DeadlockDetector* detector = cluster_->Deadlocks();
  // A transaction that holds nothing yet keeps nobody waiting.
  if (detector == nullptr || waiter->entry.is_first_lock) {
    return;
  }
  const WaitForLock wait = waiter->ToWait();
  std::optional<kvrpcpb::Deadlock> deadlock =
      detector->Detect(wait, cluster_->world()->scheduler().now_us(), config_->wait_for_lock_timeout_us());
  if (!deadlock.has_value()) {
    waiter->told = wait;
    return;
  }
  cluster_->Log(store_, "deadlock", wait.waiter.value(), wait.owner.value());
  LockWaits::WakeUp wake_up;
  wake_up.end = LockWaits::End::kDeadlock;
  wake_up.deadlock = *std::move(deadlock);
  run->memory.lock_waits->Finish(waiter, std::move(wake_up));
}

void StoreCalls::WaitEnds(const LockWaits::Waiter& waiter) const {
  DeadlockDetector* detector = cluster_->Deadlocks();
  if (detector != nullptr && waiter.told.has_value()) {
    detector->CleanUp(*waiter.told);
  }
}

StoreCalls::NewLocks StoreCalls::NewLocksOf(const StoreRunPtr& run, const WriteBatch& writes) {
  NewLocks locks;
  if (run->memory.lock_waits->empty()) {
    return locks;
  }
  for (const WriteBatch::Operation& operation : writes.operations) {
    if (operation.cf == ColumnFamily::kLock && operation.kind == WriteBatch::Kind::kPut) {
      locks.emplace_back(operation.key, DescribeLock(operation.key, MvccReader::DecodeLock(operation.value)));
    }
  }
  return locks;
}

void StoreCalls::TellWaiters(const StoreRunPtr& run, const std::vector<ReleasedLock>& released, const NewLocks& locks) const {
  LockWaits& waits = *run->memory.lock_waits;
  if (waits.empty()) {
    return;
  }
  waits.Released(released, config_->wake_up_delay_us());
  for (const auto& [key, lock] : locks) {
    for (const LockWaits::WaiterPtr& waiter : waits.Acquired(key, lock)) {
      WaitEnds(*waiter);
      waiter->told.reset();
      WaitBegins(run, waiter);
    }
  }
}

}  // namespace kvjury::tikv
