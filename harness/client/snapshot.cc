#include "harness/client/snapshot.h"

#include <algorithm>

#include "harness/client/key_error.h"

namespace kvjury::client {

namespace {

constexpr size_t kBatchGetKeys = 5120;
constexpr size_t kVersionsAtOnce = 64;

}  // namespace

void Snapshot::FillLocks(kvrpcpb::Context* context) const {
  for (uint64_t start_ts : resolved_locks_) {
    context->add_resolved_locks(start_ts);
  }
  for (uint64_t start_ts : committed_locks_) {
    context->add_committed_locks(start_ts);
  }
}

void Snapshot::Remember(const Bytes& key, std::optional<Bytes> value) {
  if (!version_.is_max()) {
    cache_[key] = std::move(value);
  }
}

sim::Task<Status> Snapshot::ResolveLock(kvrpcpb::LockInfo lock, Backoffer* backoff) {
  std::vector<kvrpcpb::LockInfo> locks;
  locks.push_back(std::move(lock));
  auto resolve = ResolveLocks(std::move(locks), backoff);
  co_return co_await std::move(resolve);
}

sim::Task<Status> Snapshot::SettleByReads(kvrpcpb::LockInfo lock, Backoffer* backoff) {
  ++services_.messenger->counters().locks_met;
  auto finding = fates_.Find(lock, backoff);
  CO_ASSIGN_OR_RETURN(const FateReader::Fate fate, co_await std::move(finding));
  if (fate == FateReader::Fate::kUndecided) {
    auto waiting = WaitForOwner(std::move(lock), backoff);
    co_return co_await std::move(waiting);
  }
  (fate == FateReader::Fate::kCommitted ? committed_locks_ : resolved_locks_).insert(lock.lock_version());
  co_return Status::Ok();
}

sim::Task<Status> Snapshot::WaitForOwner(kvrpcpb::LockInfo lock, Backoffer* backoff) {
  const Micros left_us = services_.messenger->options().lock_wait_us - backoff->waited_us();
  const std::string words = "the key 0x" + ToHex(lock.key()) + " is locked by the transaction that began at " +
                            std::to_string(lock.lock_version()) + " (primary 0x" + ToHex(lock.primary_lock()) + ")";
  if (left_us <= 0) {
    co_return Status::Undetermined(words + ", still so after " + std::to_string(backoff->waited_us() / 1000) + " ms of waiting");
  }
  auto wait = backoff->Wait(BackoffKind::kTxnLockFast, words, left_us);
  co_return co_await std::move(wait);
}

sim::Task<Status> Snapshot::ResolveLocks(std::vector<kvrpcpb::LockInfo> locks, Backoffer* backoff) {
  CO_RETURN_IF_ERROR(backoff->CountTry("locks are met all the time"));
  if (services_.messenger->options().passive) {
    for (kvrpcpb::LockInfo& lock : locks) {
      auto settling = SettleByReads(std::move(lock), backoff);
      CO_RETURN_IF_ERROR(co_await std::move(settling));
    }
    co_return Status::Ok();
  }
  ResolveOptions options;
  options.caller_start_ts = version_;
  options.for_read = true;
  auto resolve = resolver_->Resolve(std::move(locks), options, backoff);
  CO_ASSIGN_OR_RETURN(const ResolveOutcome outcome, co_await std::move(resolve));
  resolved_locks_.insert(outcome.ignore.begin(), outcome.ignore.end());
  committed_locks_.insert(outcome.access.begin(), outcome.access.end());
  if (outcome.wait_ms > 0) {
    auto wait = backoff->Wait(BackoffKind::kTxnLockFast, "a read met the lock of a live transaction", outcome.wait_ms * 1000);
    CO_RETURN_IF_ERROR(co_await std::move(wait));
  }
  co_return Status::Ok();
}

sim::Task<Result<std::optional<Bytes>>> Snapshot::Get(Bytes key) {
  if (auto known = cache_.find(key); known != cache_.end()) {
    co_return known->second;
  }
  Backoffer backoff(services_.messenger, labels_, kReadBudgetUs);
  auto read = ReadOne(key, &backoff);
  Result<std::optional<Bytes>> value = co_await std::move(read);
  if (value.ok()) {
    Remember(key, *value);
  }
  co_return value;
}

sim::Task<Result<std::optional<Bytes>>> Snapshot::ReadOne(Bytes key, Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  std::optional<uint64_t> first_lock;
  while (true) {
    auto locate = services_.regions->LocateKey(key, backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    kvrpcpb::GetRequest request;
    request.set_key(key);
    request.set_version(version_.value());
    FillLocks(request.mutable_context());
    auto send = sender.Send(tikv::kKvGet, "get", region, std::move(request));
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::GetResponse> response, co_await std::move(send));
    if (response == nullptr) {
      continue;
    }
    if (!response->has_error()) {
      if (response->not_found()) {
        co_return std::optional<Bytes>();
      }
      co_return std::optional<Bytes>(response->value());
    }
    if (!response->error().has_locked()) {
      co_return KeyErrorStatus(response->error());
    }
    const kvrpcpb::LockInfo& lock = response->error().locked();
    if (version_.is_max() && first_lock.has_value() && *first_lock != lock.lock_version()) {
      // Reading the latest waits for one transaction only; any later one may as well commit after this read.
      resolved_locks_.insert(lock.lock_version());
      CO_RETURN_IF_ERROR(backoff->CountTry("locks are met all the time"));
      continue;
    }
    first_lock = lock.lock_version();
    auto resolve = ResolveLock(lock, backoff);
    CO_RETURN_IF_ERROR(co_await std::move(resolve));
  }
}

sim::Task<Result<std::map<Bytes, Bytes>>> Snapshot::BatchGet(std::vector<Bytes> keys) {
  std::map<Bytes, Bytes> found;
  std::set<Bytes> unknown;
  for (Bytes& key : keys) {
    auto known = cache_.find(key);
    if (known == cache_.end()) {
      unknown.insert(std::move(key));
    } else if (known->second.has_value()) {
      found.emplace(key, *known->second);
    }
  }
  if (unknown.empty()) {
    co_return found;
  }
  Backoffer backoff(services_.messenger, labels_, kReadBudgetUs);
  std::vector<Bytes> wanted(unknown.begin(), unknown.end());
  auto group = services_.regions->GroupKeys(std::move(wanted), &backoff);
  CO_ASSIGN_OR_RETURN(std::vector<KeyGroup> groups, co_await std::move(group));

  std::vector<std::unique_ptr<Batch>> batches;
  sim::Scope scope(services_.messenger->scheduler());
  for (KeyGroup& part : groups) {
    for (size_t begin = 0; begin < part.keys.size(); begin += kBatchGetKeys) {
      const size_t end = std::min(begin + kBatchGetKeys, part.keys.size());
      batches.push_back(std::make_unique<Batch>());
      Batch* batch = batches.back().get();
      batch->keys.assign(part.keys.begin() + static_cast<ptrdiff_t>(begin), part.keys.begin() + static_cast<ptrdiff_t>(end));
      scope.Spawn("batch get " + Printable(batch->keys.front()), ReadBatch(this, part.region, batch, backoff.Fork()));
    }
  }
  co_await scope.Join();
  for (std::unique_ptr<Batch>& batch : batches) {
    CO_RETURN_IF_ERROR(batch->status);
    found.merge(batch->found);
  }
  for (const Bytes& key : unknown) {
    auto value = found.find(key);
    Remember(key, value == found.end() ? std::nullopt : std::optional<Bytes>(value->second));
  }
  co_return found;
}

// Until all keys of the batch are read, whatever regions they are in by now.
sim::Task<void> Snapshot::ReadBatch(Snapshot* self, RegionPtr region, Batch* batch, Backoffer backoff) {
  while (batch->status.ok() && !batch->keys.empty()) {
    if (region != nullptr && region->valid) {
      auto read = self->ReadBatchOnce(region, batch, &backoff);
      batch->status = co_await std::move(read);
      region = nullptr;
      continue;
    }
    std::vector<Bytes> keys = std::move(batch->keys);
    batch->keys.clear();
    auto group = self->services_.regions->GroupKeys(std::move(keys), &backoff);
    Result<std::vector<KeyGroup>> groups = co_await std::move(group);
    if (!groups.ok()) {
      batch->status = groups.error();
      co_return;
    }
    std::vector<Bytes> left;
    for (KeyGroup& part : *groups) {
      batch->keys = std::move(part.keys);
      if (batch->status.ok()) {
        auto read = self->ReadBatchOnce(part.region, batch, &backoff);
        batch->status = co_await std::move(read);
      }
      left.insert(left.end(), batch->keys.begin(), batch->keys.end());
    }
    batch->keys = std::move(left);
  }
}

// Reads what it can of batch->keys and leaves there what met locks or a moved region.
sim::Task<Status> Snapshot::ReadBatchOnce(RegionPtr region, Batch* batch, Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  kvrpcpb::BatchGetRequest request;
  request.mutable_keys()->Assign(batch->keys.begin(), batch->keys.end());
  request.set_version(version_.value());
  FillLocks(request.mutable_context());
  auto send = sender.Send(tikv::kKvBatchGet, "batch_get", region, std::move(request));
  CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::BatchGetResponse> response, co_await std::move(send));
  if (response == nullptr) {
    co_return Status::Ok();
  }
  std::vector<kvrpcpb::LockInfo> locks;
  if (response->has_error()) {
    if (!response->error().has_locked()) {
      co_return KeyErrorStatus(response->error());
    }
    locks.push_back(response->error().locked());
  } else {
    std::vector<Bytes> locked;
    for (const kvrpcpb::KvPair& pair : response->pairs()) {
      if (!pair.has_error()) {
        batch->found[pair.key()] = pair.value();
        continue;
      }
      if (!pair.error().has_locked()) {
        co_return KeyErrorStatus(pair.error());
      }
      locks.push_back(pair.error().locked());
      locked.push_back(pair.error().locked().key());
    }
    batch->keys = std::move(locked);
  }
  if (!locks.empty()) {
    auto resolve = ResolveLocks(std::move(locks), backoff);
    CO_RETURN_IF_ERROR(co_await std::move(resolve));
  }
  co_return Status::Ok();
}

sim::Task<Result<Snapshot::Page>> Snapshot::ScanPage(Bytes start, Bytes end, uint32_t batch) {
  // The wait for locks has a bound of its own.
  const Micros lock_wait_us = services_.messenger->options().passive ? services_.messenger->options().lock_wait_us : 0;
  Backoffer backoff(services_.messenger, labels_, kReadBudgetUs + lock_wait_us);
  RegionSender sender(services_, &backoff);
  while (true) {
    auto locate = services_.regions->LocateKey(start, &backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    const Bytes region_end = region->end;
    const bool last = region_end.empty() || (!end.empty() && end <= region_end);
    kvrpcpb::ScanRequest request;
    request.set_start_key(start);
    request.set_end_key(last ? end : region_end);
    request.set_limit(batch);
    request.set_version(version_.value());
    request.mutable_context()->set_not_fill_cache(true);
    FillLocks(request.mutable_context());
    auto send = sender.Send(tikv::kKvScan, "scan", region, std::move(request));
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::ScanResponse> response, co_await std::move(send));
    if (response == nullptr) {
      continue;
    }
    if (response->has_error()) {
      if (!response->error().has_locked()) {
        co_return KeyErrorStatus(response->error());
      }
      auto resolve = ResolveLock(response->error().locked(), &backoff);
      CO_RETURN_IF_ERROR(co_await std::move(resolve));
      continue;
    }
    Page page;
    for (const kvrpcpb::KvPair& pair : response->pairs()) {
      if (!pair.has_error()) {
        page.pairs.emplace_back(pair.key(), pair.value());
        continue;
      }
      if (!pair.error().has_locked()) {
        co_return KeyErrorStatus(pair.error());
      }
      // A locked key does not end the scan: it is read by itself.
      const Bytes key = pair.key().empty() ? pair.error().locked().key() : pair.key();
      auto read = ReadOne(key, &backoff);
      CO_ASSIGN_OR_RETURN(std::optional<Bytes> value, co_await std::move(read));
      if (value.has_value()) {
        page.pairs.emplace_back(key, *std::move(value));
      }
    }
    if (static_cast<uint32_t>(response->pairs_size()) < batch) {
      page.done = last;
      page.next = region_end;
    } else {
      const kvrpcpb::KvPair& tail = response->pairs(response->pairs_size() - 1);
      page.next = NextKey(tail.has_error() && tail.key().empty() ? tail.error().locked().key() : tail.key());
      page.done = !end.empty() && page.next >= end;
    }
    co_return page;
  }
}

sim::Task<void> Snapshot::ReadVersions(Snapshot* self, const std::vector<Bytes>* keys, size_t* next,
                                       std::vector<FateReader::Version>* versions, Status* status, Backoffer backoff) {
  while (status->ok() && *next < keys->size()) {
    const size_t at = (*next)++;
    auto reading = self->fates_.VersionOf((*keys)[at], &backoff);
    Result<FateReader::Version> version = co_await std::move(reading);
    if (!version.ok()) {
      *status = version.error();
      co_return;
    }
    (*versions)[at] = *version;
  }
}

sim::Task<Result<std::vector<FateReader::Version>>> Snapshot::VersionsOf(std::vector<Bytes> keys) {
  std::vector<FateReader::Version> versions(keys.size());
  Status status;
  size_t next = 0;
  const Backoffer backoff(services_.messenger, labels_, kReadBudgetUs);
  sim::Scope scope(services_.messenger->scheduler());
  for (size_t i = 0; i < std::min(kVersionsAtOnce, keys.size()); ++i) {
    scope.Spawn("versions " + std::to_string(i), ReadVersions(this, &keys, &next, &versions, &status, backoff.Fork()));
  }
  co_await scope.Join();
  CO_RETURN_IF_ERROR(status);
  co_return versions;
}

}  // namespace kvjury::client
