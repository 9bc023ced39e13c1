#include "fakes/tikv/commands_read.h"

#include <algorithm>
#include <optional>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

bool Holds(const google::protobuf::RepeatedField<uint64_t>& list, Timestamp ts) {
  return std::find(list.begin(), list.end(), ts.value()) != list.end();
}

/// What a reader finds at one key. None of the three: the key is absent.
struct KeyRead {
  std::optional<kvrpcpb::KeyError> error;
  bool is_error_of_command = false;  // not a lock: ends a scan
  std::optional<VersionedValue> value;
};

class TimestampReader {
 public:
  TimestampReader(const Snapshot& snapshot, const ConcurrencyManager& concurrency, const kvrpcpb::Context& context,
                  Timestamp ts)
      : reader_(snapshot), concurrency_(concurrency), context_(context), ts_(ts) {}

  KeyRead Read(const Bytes& key) const {
    KeyRead result;
    const MemoryLock* memory_lock = concurrency_.Find(key);
    if (memory_lock != nullptr && Consider(key, memory_lock->lock, memory_lock->is_one_phase, &result)) {
      return result;
    }
    if (context_.isolation_level() != kvrpcpb::RC) {
      const std::optional<LockRecord> lock = reader_.LoadLock(key);
      if (lock.has_value() && Consider(key, *lock, false, &result)) {
        return result;
      }
    }
    if (context_.isolation_level() == kvrpcpb::RCCheckTS && FindNewerChange(key, &result)) {
      return result;
    }
    result.value = reader_.ReadAt(key, ts_);
    CheckValue(key, &result);
    return result;
  }

 private:
  // True if the lock decides the answer.
  bool Consider(const Bytes& key, const LockRecord& lock, bool is_one_phase, KeyRead* result) const {
    const bool is_change = lock.type == LockType::kPut || lock.type == LockType::kDelete;
    if (context_.isolation_level() == kvrpcpb::RC || !is_change || Holds(context_.resolved_locks(), lock.start_ts)) {
      return false;
    }
    if (context_.isolation_level() == kvrpcpb::RCCheckTS) {
      CommittedWrite pending;
      pending.write.start_ts = lock.start_ts;
      result->error = WriteConflictError(key, ts_, pending, lock.primary, kvrpcpb::WriteConflict::RcCheckTs);
      result->is_error_of_command = true;
      return true;
    }
    if (lock.start_ts > ts_ || lock.min_commit_ts > ts_) {
      return false;
    }
    if (ts_.is_max() && !lock.use_async_commit && !is_one_phase && EncodeKey(lock.primary) == key) {
      return false;  // the newest committed version before the primary commits
    }
    if (Holds(context_.committed_locks(), lock.start_ts)) {
      ReadThroughLock(key, lock, result);
      return true;
    }
    result->error = LockedError(key, lock);
    return true;
  }

  void ReadThroughLock(const Bytes& key, const LockRecord& lock, KeyRead* result) const {
    if (lock.type == LockType::kDelete) {
      return;
    }
    WriteRecord as_write;
    as_write.start_ts = lock.start_ts;
    as_write.short_value = lock.short_value;
    std::optional<Bytes> value = reader_.LoadValue(key, as_write);
    result->value.emplace();
    result->value->is_value_missing = !value.has_value();
    result->value->value = std::move(value).value_or(Bytes());
    result->value->start_ts = lock.start_ts;
    CheckValue(key, result);
  }

  bool FindNewerChange(const Bytes& key, KeyRead* result) const {
    Timestamp from = Timestamp::Max();
    while (true) {
      const std::optional<CommittedWrite> newest = reader_.SeekWrite(key, from);
      if (!newest.has_value() || newest->commit_ts <= ts_) {
        return false;
      }
      if (newest->write.type == WriteType::kPut || newest->write.type == WriteType::kDelete) {
        result->error = WriteConflictError(key, ts_, *newest, {}, kvrpcpb::WriteConflict::RcCheckTs);
        result->is_error_of_command = true;
        return true;
      }
      from = newest->commit_ts.Previous();
    }
  }

  static void CheckValue(const Bytes& key, KeyRead* result) {
    if (result->value.has_value() && result->value->is_value_missing) {
      result->error = DefaultNotFoundError(key, result->value->start_ts);
      result->is_error_of_command = true;
      result->value.reset();
    }
  }

  MvccReader reader_;
  const ConcurrencyManager& concurrency_;
  const kvrpcpb::Context& context_;
  Timestamp ts_;
};

void RaiseMaxTs(ConcurrencyManager* concurrency, const kvrpcpb::Context& context, uint64_t version) {
  if (!context.stale_read()) {
    concurrency->UpdateMaxTs(Timestamp(version));
  }
}

/// The keys of a range that a scan has to look at, in its order: those with a version or with a lock.
class KeyCursor {
 public:
  KeyCursor(const Snapshot& snapshot, const ConcurrencyManager& concurrency, std::string_view lower,
            std::string_view upper, bool reverse)
      : reverse_(reverse),
        writes_(reverse ? snapshot.ReverseScan(ColumnFamily::kWrite, lower, upper)
                        : snapshot.Scan(ColumnFamily::kWrite, lower, upper)),
        locks_(reverse ? snapshot.ReverseScan(ColumnFamily::kLock, lower, upper)
                       : snapshot.Scan(ColumnFamily::kLock, lower, upper)),
        memory_locks_(concurrency.FindInRange(lower, upper)) {
    if (reverse) {
      std::reverse(memory_locks_.begin(), memory_locks_.end());
    }
  }

  std::optional<Bytes> Take() {
    std::optional<Bytes> next;
    if (writes_.Valid()) {
      next = Bytes(KeyOfVersion(writes_.key()));
    }
    if (locks_.Valid()) {
      Prefer(locks_.key(), &next);
    }
    if (memory_position_ < memory_locks_.size()) {
      Prefer(memory_locks_[memory_position_]->key, &next);
    }
    if (next.has_value()) {
      StepPast(*next);
    }
    return next;
  }

 private:
  void Prefer(const Bytes& candidate, std::optional<Bytes>* next) const {
    if (!next->has_value() || (reverse_ ? candidate > **next : candidate < **next)) {
      *next = candidate;
    }
  }

  void StepPast(const Bytes& key) {
    if (locks_.Valid() && locks_.key() == key) {
      locks_.Next();
    }
    if (memory_position_ < memory_locks_.size() && memory_locks_[memory_position_]->key == key) {
      ++memory_position_;
    }
    // Most keys have one or two versions: a few steps are cheaper than a search.
    for (int steps = 0; writes_.Valid() && KeyOfVersion(writes_.key()) == key; ++steps) {
      if (steps == 4) {
        writes_.Seek(reverse_ ? key : NextKey(VersionKey(key, Timestamp(0))));
        return;
      }
      writes_.Next();
    }
  }

  bool reverse_;
  Iterator writes_;
  Iterator locks_;
  std::vector<const MemoryLock*> memory_locks_;
  size_t memory_position_ = 0;
};

void AnswerScanError(kvrpcpb::KeyError error, kvrpcpb::ScanResponse* response) {
  response->clear_pairs();
  *response->add_pairs()->mutable_error() = error;
  *response->mutable_error() = std::move(error);
}

}  // namespace

void Get(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
         const kvrpcpb::GetRequest& request, kvrpcpb::GetResponse* response) {
  const Bytes key = EncodeKey(request.key());
  RaiseMaxTs(concurrency, request.context(), request.version());
  if (!region.Contains(key)) {
    *response->mutable_error() = KeyOutOfRegionError(key, region);
    return;
  }
  KeyRead read = TimestampReader(snapshot, *concurrency, request.context(), Timestamp(request.version())).Read(key);
  if (read.error.has_value()) {
    *response->mutable_error() = std::move(*read.error);
  } else if (read.value.has_value()) {
    response->set_value(std::move(read.value->value));
    if (request.need_commit_ts()) {
      response->set_commit_ts(read.value->commit_ts.value());
    }
  } else {
    response->set_not_found(true);
  }
}

void BatchGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
              const kvrpcpb::BatchGetRequest& request, kvrpcpb::BatchGetResponse* response) {
  RaiseMaxTs(concurrency, request.context(), request.version());
  const TimestampReader reader(snapshot, *concurrency, request.context(), Timestamp(request.version()));
  for (const Bytes& user_key : request.keys()) {
    const Bytes key = EncodeKey(user_key);
    KeyRead read;
    if (region.Contains(key)) {
      read = reader.Read(key);
    } else {
      read.error = KeyOutOfRegionError(key, region);
      read.is_error_of_command = true;
    }
    if (read.error.has_value() && read.is_error_of_command) {
      response->clear_pairs();
      *response->add_pairs()->mutable_error() = *read.error;
      *response->mutable_error() = std::move(*read.error);
      return;
    }
    if (read.error.has_value()) {
      *response->add_pairs()->mutable_error() = std::move(*read.error);
    } else if (read.value.has_value()) {
      kvrpcpb::KvPair* pair = response->add_pairs();
      pair->set_key(user_key);
      pair->set_value(std::move(read.value->value));
      if (request.need_commit_ts()) {
        pair->set_commit_ts(read.value->commit_ts.value());
      }
    }
  }
}

void Scan(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
          const kvrpcpb::ScanRequest& request, kvrpcpb::ScanResponse* response) {
  // In reverse the start key is the exclusive upper bound.
  const Bytes& lower_key = request.reverse() ? request.end_key() : request.start_key();
  const Bytes& upper_key = request.reverse() ? request.start_key() : request.end_key();
  Bytes lower = EncodeBoundary(lower_key);
  Bytes upper = EncodeBoundary(upper_key);
  RaiseMaxTs(concurrency, request.context(), request.version());
  const bool starts_outside = !lower.empty() && lower < region.start;
  const bool ends_outside = !upper.empty() && !region.end.empty() && upper > region.end;
  if (starts_outside || ends_outside) {
    AnswerScanError(InvalidRangeError(lower, upper, region), response);
    return;
  }
  lower = std::max(lower, region.start);
  if (upper.empty()) {
    upper = region.end;
  }
  if (!upper.empty() && lower >= upper) {
    return;
  }
  const TimestampReader reader(snapshot, *concurrency, request.context(), Timestamp(request.version()));
  KeyCursor cursor(snapshot, *concurrency, lower, upper, request.reverse());
  const uint64_t sample_step = std::max<uint64_t>(request.sample_step(), 1);
  uint64_t found = 0;
  while (static_cast<uint32_t>(response->pairs_size()) < request.limit()) {
    const std::optional<Bytes> key = cursor.Take();
    if (!key.has_value()) {
      return;
    }
    KeyRead read = reader.Read(*key);
    if (read.error.has_value() && read.is_error_of_command) {
      AnswerScanError(std::move(*read.error), response);
      return;
    }
    if (!read.error.has_value() && !read.value.has_value()) {
      continue;
    }
    if (found++ % sample_step != 0) {
      continue;
    }
    kvrpcpb::KvPair* pair = response->add_pairs();
    if (read.error.has_value()) {
      *pair->mutable_error() = std::move(*read.error);
    } else {
      pair->set_key(UserKey(*key));
      if (!request.key_only()) {
        pair->set_value(std::move(read.value->value));
      }
    }
  }
}

}  // namespace kvjury::tikv
