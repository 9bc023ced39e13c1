#include "harness/client/fate_reader.h"

#include <algorithm>

namespace kvjury::client {

sim::Task<Result<kvrpcpb::ScanLockResponse>> FateReader::ScanLock(Bytes key, Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  while (true) {
    auto locate = services_.regions->LocateKey(key, backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    kvrpcpb::ScanLockRequest request;
    request.set_start_key(key);
    request.set_end_key(NextKey(key));
    request.set_max_version(version_.value());
    request.set_limit(1);
    auto send = sender.Send(tikv::kKvScanLock, "scan_lock", region, std::move(request));
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::ScanLockResponse> response, co_await std::move(send));
    if (response == nullptr) {
      continue;
    }
    if (response->has_error() && !response->error().has_locked()) {
      co_return Status::Rejected("scan lock: " + response->error().ShortDebugString());
    }
    co_return *response;
  }
}

sim::Task<Result<kvrpcpb::MvccInfo>> FateReader::Records(Bytes key, Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  while (true) {
    auto locate = services_.regions->LocateKey(key, backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    kvrpcpb::MvccGetByKeyRequest request;
    request.set_key(key);
    auto send = sender.Send(tikv::kMvccGetByKey, "mvcc", region, std::move(request));
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::MvccGetByKeyResponse> response, co_await std::move(send));
    if (response == nullptr) {
      continue;
    }
    if (!response->error().empty()) {
      co_return Status::Rejected("the records of the key 0x" + ToHex(key) + ": " + response->error());
    }
    co_return response->info();
  }
}

sim::Task<Result<FateReader::KeySays>> FateReader::Ask(Bytes key, Timestamp start_ts, Backoffer* backoff) {
  KeySays says;
  auto scanning = ScanLock(key, backoff);
  CO_ASSIGN_OR_RETURN(const kvrpcpb::ScanLockResponse locks, co_await std::move(scanning));
  if (locks.has_error()) {
    says.in_memory = true;
    co_return says;
  }
  for (const kvrpcpb::LockInfo& lock : locks.locks()) {
    // One that is only pessimistic is no prewrite yet.
    if (lock.lock_version() == start_ts.value() && lock.lock_type() != kvrpcpb::PessimisticLock) {
      says.lock = lock;
      co_return says;
    }
  }
  auto reading = Records(std::move(key), backoff);
  CO_ASSIGN_OR_RETURN(const kvrpcpb::MvccInfo info, co_await std::move(reading));
  for (const kvrpcpb::MvccWrite& write : info.writes()) {
    if (write.start_ts() == start_ts.value() && write.type() != kvrpcpb::Rollback) {
      says.commit_ts = Timestamp(write.commit_ts());
    }
  }
  co_return says;
}

FateReader::Fate FateReader::Committed(Timestamp start_ts, Timestamp commit_ts) {
  if (commit_ts > version_) {
    return Fate::kNotVisible;
  }
  commits_[start_ts.value()] = commit_ts;
  return Fate::kCommitted;
}

sim::Task<Result<FateReader::Fate>> FateReader::DecideAsync(kvrpcpb::LockInfo primary, Backoffer* backoff) {
  const Timestamp start_ts(primary.lock_version());
  Timestamp commit_ts(primary.min_commit_ts());
  for (const Bytes& secondary : primary.secondaries()) {
    auto asking = Ask(secondary, start_ts, backoff);
    CO_ASSIGN_OR_RETURN(const KeySays says, co_await std::move(asking));
    if (says.in_memory || (says.lock.has_value() && !says.lock->use_async_commit())) {
      co_return Fate::kUndecided;
    }
    if (!says.lock.has_value()) {
      co_return says.commit_ts.has_value() ? Committed(start_ts, *says.commit_ts) : Fate::kNotVisible;
    }
    commit_ts = std::max(commit_ts, Timestamp(says.lock->min_commit_ts()));
  }
  co_return Committed(start_ts, commit_ts);
}

sim::Task<Result<FateReader::Fate>> FateReader::Decide(kvrpcpb::LockInfo lock, Backoffer* backoff) {
  const Timestamp start_ts(lock.lock_version());
  auto asking = Ask(lock.primary_lock(), start_ts, backoff);
  CO_ASSIGN_OR_RETURN(const KeySays says, co_await std::move(asking));
  if (says.in_memory) {
    co_return Fate::kUndecided;
  }
  if (!says.lock.has_value()) {
    co_return says.commit_ts.has_value() ? Committed(start_ts, *says.commit_ts) : Fate::kNotVisible;
  }
  if (Timestamp(says.lock->min_commit_ts()) > version_) {
    co_return Fate::kNotVisible;
  }
  if (!says.lock->use_async_commit()) {
    co_return Fate::kUndecided;
  }
  auto deciding = DecideAsync(*says.lock, backoff);
  co_return co_await std::move(deciding);
}

sim::Task<Result<FateReader::Fate>> FateReader::Find(kvrpcpb::LockInfo lock, Backoffer* backoff) {
  const uint64_t start_ts = lock.lock_version();
  if (const auto known = known_.find(start_ts); known != known_.end()) {
    co_return known->second;
  }
  auto deciding = Decide(std::move(lock), backoff);
  CO_ASSIGN_OR_RETURN(const Fate fate, co_await std::move(deciding));
  if (fate != Fate::kUndecided) {
    known_[start_ts] = fate;
  }
  co_return fate;
}

sim::Task<Result<FateReader::Version>> FateReader::VersionOf(Bytes key, Backoffer* backoff) {
  auto reading = Records(key, backoff);
  CO_ASSIGN_OR_RETURN(const kvrpcpb::MvccInfo info, co_await std::move(reading));
  if (const auto committed = commits_.find(info.lock().start_ts()); info.has_lock() && committed != commits_.end()) {
    co_return Version{Timestamp(info.lock().start_ts()), committed->second};
  }
  for (const kvrpcpb::MvccWrite& write : info.writes()) {  // newest first
    if (write.commit_ts() <= version_.value() && write.type() == kvrpcpb::Put) {
      co_return Version{Timestamp(write.start_ts()), Timestamp(write.commit_ts())};
    }
  }
  co_return Status::Undetermined("the version of the key 0x" + ToHex(key) + " that was visible at " + std::to_string(version_.value()) +
                                 " is gone while it is read");
}

}  // namespace kvjury::client
