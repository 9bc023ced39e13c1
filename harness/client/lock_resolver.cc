#include "harness/client/lock_resolver.h"

#include <algorithm>

namespace kvjury::client {

namespace {

constexpr size_t kRememberedFates = 2048;
constexpr uint64_t kResolveRegionFromKeys = 16;
constexpr uint32_t kScanLockLimit = 1024;

int64_t ExpiryMs(uint64_t start_ts, uint64_t ttl_ms) {
  return Timestamp(start_ts).physical_ms() + static_cast<int64_t>(ttl_ms);
}

// The primary's own lock is gone once the primary was asked, unless its fate was found through the secondaries.
bool IsClearedWithStatus(const kvrpcpb::LockInfo& lock, const TxnStatus& status) {
  return lock.txn_size() < kResolveRegionFromKeys && lock.key() == lock.primary_lock() && !status.recovered;
}

bool IsAsyncPrimary(const TxnStatus& status) {
  return status.primary_lock.has_value() && status.primary_lock->use_async_commit();
}

}  // namespace

void LockResolver::Remember(uint64_t start_ts, const TxnStatus& status) {
  if (!resolved_.emplace(start_ts, status).second) {
    return;
  }
  resolved_order_.push_back(start_ts);
  if (resolved_order_.size() > kRememberedFates) {
    resolved_.erase(resolved_order_.front());
    resolved_order_.pop_front();
  }
}

int64_t LockResolver::UntilExpiredMs(uint64_t start_ts, uint64_t ttl_ms) const {
  return ExpiryMs(start_ts, ttl_ms) - services_.pd->newest().physical_ms();
}

sim::Task<Result<ResolveOutcome>> LockResolver::Resolve(std::vector<kvrpcpb::LockInfo> locks, ResolveOptions options,
                                                        Backoffer* backoff) {
  ResolveOutcome outcome;
  CleanRegions clean;
  services_.messenger->counters().locks_met += locks.size();
  for (const kvrpcpb::LockInfo& lock : locks) {
    auto resolve = ResolveOne(lock, options, &clean, backoff);
    CO_ASSIGN_OR_RETURN(const TxnStatus status, co_await std::move(resolve));
    services_.messenger->Note("lock", lock.lock_version(), status.commit_ts.value());
    const bool alive = status.ttl_ms != 0;
    if (options.for_read) {
      if (status.action == kvrpcpb::MinCommitTSPushed || (!alive && !status.committed()) ||
          (status.committed() && status.commit_ts > options.caller_start_ts)) {
        outcome.ignore.push_back(lock.lock_version());
        continue;
      }
      if (status.committed()) {
        outcome.access.push_back(lock.lock_version());
        continue;
      }
    }
    if (alive) {
      // At least one millisecond: a lock that expires this very moment is alive for the store and expired for us.
      const int64_t wait_ms = std::max<int64_t>(UntilExpiredMs(lock.lock_version(), status.ttl_ms), 1);
      outcome.wait_ms = outcome.wait_ms == 0 ? wait_ms : std::min(outcome.wait_ms, wait_ms);
    }
  }
  co_return outcome;
}

sim::Task<Result<TxnStatus>> LockResolver::ResolveOne(kvrpcpb::LockInfo lock, ResolveOptions options, CleanRegions* clean,
                                                      Backoffer* backoff) {
  auto ask = StatusFromLock(lock, options, false, backoff);
  CO_ASSIGN_OR_RETURN(TxnStatus status, co_await std::move(ask));
  if (options.force && IsAsyncPrimary(status)) {
    status.ttl_ms = 0;
  }
  if (status.ttl_ms != 0) {
    co_return status;
  }
  if (IsAsyncPrimary(status)) {
    auto recover = RecoverAsync(lock, status, options.for_read, backoff);
    CO_ASSIGN_OR_RETURN(const std::optional<TxnStatus> recovered, co_await std::move(recover));
    if (recovered.has_value()) {
      co_return *recovered;  // and all its locks are cleared or about to be
    }
    // Some lock of it is an ordinary one: it fell back to two phases, so its primary decides after all.
    auto ask_again = StatusFromLock(lock, options, true, backoff);
    CO_ASSIGN_OR_RETURN(status, co_await std::move(ask_again));
    if (status.ttl_ms != 0) {
      co_return status;
    }
  }
  if (IsClearedWithStatus(lock, status)) {
    co_return status;
  }
  if (options.for_read) {
    services_.background->Spawn(services_.messenger->name() + " clears a lock",
                                ClearLockInBackground(this, lock, status.commit_ts, backoff->labels()));
    co_return status;
  }
  auto clear = ClearLock(lock, status.commit_ts, clean, backoff);
  CO_RETURN_IF_ERROR(co_await std::move(clear));
  co_return status;
}

sim::Task<Result<TxnStatus>> LockResolver::StatusFromLock(kvrpcpb::LockInfo lock, ResolveOptions options,
                                                          bool force_sync_commit, Backoffer* backoff) {
  const uint64_t ttl_ms = options.force ? 0 : lock.lock_ttl();
  kvrpcpb::CheckTxnStatusRequest request;
  request.set_primary_key(lock.primary_lock());
  request.set_lock_ts(lock.lock_version());
  request.set_caller_start_ts(options.caller_start_ts.value());
  request.set_force_sync_commit(force_sync_commit);
  request.set_resolving_pessimistic_lock(lock.lock_type() == kvrpcpb::PessimisticLock);
  while (true) {
    if (auto known = resolved_.find(lock.lock_version()); known != resolved_.end()) {
      co_return known->second;
    }
    // A lock without a time to live is to be taken as expired whatever the clock says.
    request.set_current_ts(Timestamp::Max().value());
    if (ttl_ms != 0) {
      auto recent = services_.pd->RecentTimestamp(ExpiryMs(lock.lock_version(), ttl_ms), backoff);
      CO_ASSIGN_OR_RETURN(const Timestamp now, co_await std::move(recent));
      request.set_current_ts(now.value());
    }
    auto ask = AskPrimary(request, backoff);
    CO_ASSIGN_OR_RETURN(const std::optional<TxnStatus> status, co_await std::move(ask));
    if (status.has_value()) {
      co_return *status;
    }
    if (UntilExpiredMs(lock.lock_version(), ttl_ms) <= 0 || ttl_ms == 0) {
      request.set_rollback_if_not_exist(true);
      CO_RETURN_IF_ERROR(backoff->CountTry("the primary of an expired lock is not there"));
      continue;
    }
    auto wait = backoff->Wait(BackoffKind::kTxnNotFound, "the primary of a young lock is not there yet");
    CO_RETURN_IF_ERROR(co_await std::move(wait));
  }
}

sim::Task<Result<std::optional<TxnStatus>>> LockResolver::AskPrimary(kvrpcpb::CheckTxnStatusRequest request,
                                                                    Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  while (true) {
    auto locate = services_.regions->LocateKey(request.primary_key(), backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    auto send = sender.Send(tikv::kKvCheckTxnStatus, "check_txn_status", region, request);
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::CheckTxnStatusResponse> response, co_await std::move(send));
    if (response != nullptr) {
      co_return ReadStatus(request, *response);
    }
  }
}

Result<std::optional<TxnStatus>> LockResolver::ReadStatus(const kvrpcpb::CheckTxnStatusRequest& request,
                                                          const kvrpcpb::CheckTxnStatusResponse& response) {
  if (response.error().has_txn_not_found()) {
    return std::optional<TxnStatus>();
  }
  if (response.has_error()) {
    return Status::Rejected("the primary's status: " + response.error().ShortDebugString());
  }
  TxnStatus status;
  status.action = response.action();
  if (response.has_lock_info()) {
    status.primary_lock = response.lock_info();
  }
  if (IsAsyncPrimary(status) && !request.force_sync_commit()) {
    // Whether it is over is for its secondaries to say, once its time is up.
    const bool expired = request.current_ts() == Timestamp::Max().value() ||
                         UntilExpiredMs(request.lock_ts(), response.lock_ttl()) <= 0;
    status.ttl_ms = expired ? 0 : response.lock_ttl();
    return std::optional<TxnStatus>(status);
  }
  status.ttl_ms = response.lock_ttl();
  if (status.ttl_ms == 0) {
    status.commit_ts = Timestamp(response.commit_version());
    status.primary_lock.reset();
    const bool for_good = status.action != kvrpcpb::LockNotExistDoNothing &&
                          status.action != kvrpcpb::TTLExpirePessimisticRollback;
    if (status.committed() || for_good) {
      Remember(request.lock_ts(), status);
    }
  }
  return std::optional<TxnStatus>(status);
}

// No value: some lock is not an async-commit one.
sim::Task<Result<std::optional<TxnStatus>>> LockResolver::RecoverAsync(kvrpcpb::LockInfo lock, TxnStatus status,
                                                                      bool in_background, Backoffer* backoff) {
  const kvrpcpb::LockInfo& primary = *status.primary_lock;
  Secondaries found;
  found.commit_ts = primary.min_commit_ts();
  std::vector<Bytes> secondaries(primary.secondaries().begin(), primary.secondaries().end());
  auto group = services_.regions->GroupKeys(std::move(secondaries), backoff);
  CO_ASSIGN_OR_RETURN(std::vector<KeyGroup> groups, co_await std::move(group));
  for (KeyGroup& part : groups) {
    auto check = CheckSecondaries(std::move(part.keys), lock.lock_version(), &found, backoff);
    CO_RETURN_IF_ERROR(co_await std::move(check));
    if (found.not_async) {
      co_return std::optional<TxnStatus>();
    }
  }
  ++services_.messenger->counters().async_recoveries;
  TxnStatus fate;
  fate.commit_ts = Timestamp(found.commit_ts);
  fate.recovered = true;
  Remember(lock.lock_version(), fate);
  found.keys.push_back(lock.primary_lock());
  if (in_background) {
    services_.background->Spawn(services_.messenger->name() + " clears a transaction",
                                ClearKeysInBackground(this, std::move(found.keys), lock.lock_version(), fate.commit_ts,
                                                      backoff->labels()));
  } else {
    auto clear = ClearKeys(std::move(found.keys), lock.lock_version(), fate.commit_ts, backoff);
    CO_RETURN_IF_ERROR(co_await std::move(clear));
  }
  co_return std::optional<TxnStatus>(fate);
}

// One region's secondaries; grouped again as often as the region moves.
sim::Task<Status> LockResolver::CheckSecondaries(std::vector<Bytes> keys, uint64_t start_ts, Secondaries* out,
                                                 Backoffer* backoff) {
  std::deque<std::vector<Bytes>> open;
  open.push_back(std::move(keys));
  RegionSender sender(services_, backoff);
  while (!open.empty()) {
    auto group = services_.regions->GroupKeys(std::move(open.front()), backoff);
    open.pop_front();
    CO_ASSIGN_OR_RETURN(std::vector<KeyGroup> groups, co_await std::move(group));
    for (KeyGroup& part : groups) {
      kvrpcpb::CheckSecondaryLocksRequest request;
      request.mutable_keys()->Assign(part.keys.begin(), part.keys.end());
      request.set_start_version(start_ts);
      auto send = sender.Send(tikv::kKvCheckSecondaryLocks, "check_secondary_locks", part.region, std::move(request));
      CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::CheckSecondaryLocksResponse> response, co_await std::move(send));
      if (response == nullptr) {
        open.push_back(std::move(part.keys));
        continue;
      }
      CO_RETURN_IF_ERROR(AddSecondaries(*response, part.keys.size(), start_ts, out));
    }
  }
  co_return Status::Ok();
}

Status LockResolver::AddSecondaries(const kvrpcpb::CheckSecondaryLocksResponse& response, size_t expected,
                                    uint64_t start_ts, Secondaries* out) {
  if (response.has_error()) {
    return Status::Rejected("secondary locks: " + response.error().ShortDebugString());
  }
  if (static_cast<size_t>(response.locks_size()) < expected) {
    // A lock is missing: committed already (the timestamp says when), or rolled back, perhaps by this very request.
    const uint64_t commit_ts = response.commit_ts();
    if (!out->missing_lock) {
      if (commit_ts != 0 && commit_ts < out->commit_ts) {
        return Status::DataLoss("an async commit at " + std::to_string(commit_ts) + " is below the least of " +
                                std::to_string(out->commit_ts));
      }
      out->commit_ts = commit_ts;
    }
    out->missing_lock = true;
    if (out->commit_ts != commit_ts) {
      return Status::DataLoss("an async commit has two fates: " + std::to_string(out->commit_ts) + " and " +
                              std::to_string(commit_ts));
    }
    return Status::Ok();
  }
  for (const kvrpcpb::LockInfo& lock : response.locks()) {
    if (lock.lock_version() != start_ts) {
      return Status::DataLoss("the lock of another transaction among the secondaries");
    }
    if (!lock.use_async_commit()) {
      out->not_async = true;
      return Status::Ok();
    }
    if (!out->missing_lock) {
      out->commit_ts = std::max(out->commit_ts, lock.min_commit_ts());
    }
    out->keys.push_back(lock.key());
  }
  return Status::Ok();
}

sim::Task<Status> LockResolver::ClearLock(kvrpcpb::LockInfo lock, Timestamp commit_ts, CleanRegions* clean,
                                          Backoffer* backoff) {
  const bool one_key = lock.txn_size() < kResolveRegionFromKeys;
  RegionSender sender(services_, backoff);
  while (true) {
    auto locate = services_.regions->LocateKey(lock.key(), backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    std::set<RegionVersion>& cleaned = (*clean)[lock.lock_version()];
    if (cleaned.count(region->version) != 0) {
      co_return Status::Ok();
    }
    kvrpcpb::ResolveLockRequest request;
    request.set_start_version(lock.lock_version());
    request.set_commit_version(commit_ts.value());
    if (one_key) {
      request.add_keys(lock.key());
    }
    const RegionVersion version = region->version;
    auto send = sender.Send(tikv::kKvResolveLock, "resolve_lock", region, std::move(request));
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::ResolveLockResponse> response, co_await std::move(send));
    if (response == nullptr) {
      continue;
    }
    if (response->has_error()) {
      co_return Status::Rejected("resolve lock: " + response->error().ShortDebugString());
    }
    ++services_.messenger->counters().locks_resolved;
    if (!one_key) {
      (*clean)[lock.lock_version()].insert(version);
    }
    co_return Status::Ok();
  }
}

sim::Task<Status> LockResolver::ClearKeys(std::vector<Bytes> keys, uint64_t start_ts, Timestamp commit_ts,
                                          Backoffer* backoff) {
  std::deque<std::vector<Bytes>> open;
  open.push_back(std::move(keys));
  RegionSender sender(services_, backoff);
  while (!open.empty()) {
    auto group = services_.regions->GroupKeys(std::move(open.front()), backoff);
    open.pop_front();
    CO_ASSIGN_OR_RETURN(std::vector<KeyGroup> groups, co_await std::move(group));
    for (KeyGroup& part : groups) {
      kvrpcpb::ResolveLockRequest request;
      request.set_start_version(start_ts);
      request.set_commit_version(commit_ts.value());
      request.mutable_keys()->Assign(part.keys.begin(), part.keys.end());
      auto send = sender.Send(tikv::kKvResolveLock, "resolve_lock", part.region, std::move(request));
      CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::ResolveLockResponse> response, co_await std::move(send));
      if (response == nullptr) {
        open.push_back(std::move(part.keys));
        continue;
      }
      if (response->has_error()) {
        co_return Status::Rejected("resolve lock: " + response->error().ShortDebugString());
      }
      ++services_.messenger->counters().locks_resolved;
    }
  }
  co_return Status::Ok();
}

// A failure in the background costs nothing but time: whoever meets the lock next clears it.
sim::Task<void> LockResolver::ClearLockInBackground(LockResolver* self, kvrpcpb::LockInfo lock, Timestamp commit_ts,
                                                    LabelsPtr labels) {
  Backoffer backoff(self->services_.messenger, std::move(labels), kResolveBudgetUs);
  CleanRegions clean;
  auto clear = self->ClearLock(std::move(lock), commit_ts, &clean, &backoff);
  const Status status = co_await std::move(clear);
  self->services_.messenger->Note("cleared", static_cast<uint64_t>(status.code()));
}

sim::Task<void> LockResolver::ClearKeysInBackground(LockResolver* self, std::vector<Bytes> keys, uint64_t start_ts,
                                                    Timestamp commit_ts, LabelsPtr labels) {
  Backoffer backoff(self->services_.messenger, std::move(labels), kResolveBudgetUs);
  auto clear = self->ClearKeys(std::move(keys), start_ts, commit_ts, &backoff);
  const Status status = co_await std::move(clear);
  self->services_.messenger->Note("cleared", static_cast<uint64_t>(status.code()));
}

sim::Task<Status> LockResolver::ResolveUntilGone(std::vector<kvrpcpb::LockInfo> locks, ResolveOptions options,
                                                 Backoffer* backoff) {
  while (!locks.empty()) {
    auto resolve = Resolve(locks, options, backoff);
    CO_ASSIGN_OR_RETURN(const ResolveOutcome outcome, co_await std::move(resolve));
    if (outcome.wait_ms == 0) {
      break;
    }
    auto wait = backoff->Wait(BackoffKind::kTxnLock, "a transaction is alive", outcome.wait_ms * 1000);
    CO_RETURN_IF_ERROR(co_await std::move(wait));
  }
  co_return Status::Ok();
}

sim::Task<Result<std::vector<kvrpcpb::LockInfo>>> LockResolver::ScanLocks(RegionPtr region, Timestamp below, Bytes start,
                                                                          Bytes end, Backoffer* backoff, bool* moved) {
  std::vector<kvrpcpb::LockInfo> locks;
  kvrpcpb::ScanLockRequest request;
  request.set_max_version(below.value());
  request.set_start_key(std::move(start));
  request.set_end_key(std::move(end));
  request.set_limit(kScanLockLimit);
  RegionSender sender(services_, backoff);
  while (true) {
    auto send = sender.Send(tikv::kKvScanLock, "scan_lock", region, request);
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::ScanLockResponse> response, co_await std::move(send));
    *moved = response == nullptr;
    if (*moved) {
      co_return locks;
    }
    if (!response->has_error()) {
      locks.assign(response->locks().begin(), response->locks().end());
      co_return locks;
    }
    if (!response->error().has_locked()) {
      co_return Status::Rejected("scan lock: " + response->error().ShortDebugString());
    }
    // A lock that so far is only in the store's memory: it is on its way to be written.
    auto wait = backoff->Wait(BackoffKind::kTxnLockFast, "a lock in memory");
    CO_RETURN_IF_ERROR(co_await std::move(wait));
  }
}

sim::Task<Result<uint64_t>> LockResolver::ResolveBelow(Timestamp below, Bytes start, Bytes end, bool force,
                                                       LabelsPtr labels) {
  uint64_t met = 0;
  Bytes next = std::move(start);
  ResolveOptions options;
  options.force = force;
  while (true) {
    Backoffer backoff(services_.messenger, labels, kResolveBudgetUs);
    auto locate = services_.regions->LocateKey(next, &backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    const Bytes region_end = region->end;
    const bool last = region_end.empty() || (!end.empty() && end <= region_end);
    const Bytes part_end = last ? end : region_end;
    bool moved = false;
    auto scan = ScanLocks(region, below, next, part_end, &backoff, &moved);
    CO_ASSIGN_OR_RETURN(std::vector<kvrpcpb::LockInfo> locks, co_await std::move(scan));
    if (moved) {
      continue;
    }
    const bool complete = locks.size() < kScanLockLimit;
    const Bytes resume = complete ? part_end : NextKey(locks.back().key());
    met += locks.size();
    auto resolve = ResolveUntilGone(std::move(locks), options, &backoff);
    CO_RETURN_IF_ERROR(co_await std::move(resolve));
    if (complete && last) {
      co_return met;
    }
    next = resume;
  }
}

sim::Task<Result<std::optional<Timestamp>>> LockResolver::Settle(Timestamp start_ts, Bytes primary, Backoffer* backoff) {
  kvrpcpb::LockInfo lock;
  lock.set_primary_lock(primary);
  lock.set_key(std::move(primary));
  lock.set_lock_version(start_ts.value());
  lock.set_lock_type(kvrpcpb::Put);
  ResolveOptions options;
  options.force = true;
  CleanRegions clean;
  auto resolve = ResolveOne(std::move(lock), options, &clean, backoff);
  CO_ASSIGN_OR_RETURN(const TxnStatus status, co_await std::move(resolve));
  if (status.ttl_ms != 0) {
    co_return Status::Unavailable("the transaction is still alive");
  }
  co_return status.committed() ? std::optional<Timestamp>(status.commit_ts) : std::nullopt;
}

}  // namespace kvjury::client
