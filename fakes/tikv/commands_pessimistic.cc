#include "fakes/tikv/commands_pessimistic.h"

#include <algorithm>
#include <optional>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

using Request = kvrpcpb::PessimisticLockRequest;

/// One key's result; with an error the command fails.
struct KeyResult {
  std::optional<kvrpcpb::KeyError> error;
  std::optional<Bytes> value;  // what was there, if asked for; empty bytes if only existence was
  Timestamp locked_with_conflict_ts;
};

class PessimisticLockCommand {
 public:
  PessimisticLockCommand(const Snapshot& snapshot, ConcurrencyManager* concurrency, const Request& request)
      : reader_(snapshot), concurrency_(concurrency), request_(request), start_ts_(request.start_version()),
        allows_conflict_(request.wake_up_mode() == kvrpcpb::WakeUpModeForceLock) {}

  CommandResult<kvrpcpb::PessimisticLockResponse> Run() {
    if (allows_conflict_ && request_.mutations_size() > 1) {
      return FailWith(AbortError(
          "Error(Txn(Error(Other(\"[src/storage/txn/commands/acquire_pessimistic_lock.rs:84]: multiple keys in a single request "
          "with allowed_lock_with_conflict set is not allowed\"))))"));
    }
    for (const kvrpcpb::Mutation& mutation : request_.mutations()) {
      const Bytes key = EncodeKey(mutation.key());
      KeyResult key_result;
      if (key.size() > kEncodedKeyBytesMax) {
        key_result.error = KeyTooLargeError(key.size());
      } else {
        key_result = LockKey(key, mutation.assertion() == kvrpcpb::NotExist);
      }
      if (key_result.error.has_value()) {
        return FailWith(std::move(*key_result.error));
      }
      Answer(std::move(key_result));
    }
    return std::move(result_);
  }

 private:
  // A key that is locked is a result of its own where conflicts are allowed; other errors are those of the command.
  [[nodiscard]] CommandResult<kvrpcpb::PessimisticLockResponse> FailWith(kvrpcpb::KeyError error) const {
    CommandResult<kvrpcpb::PessimisticLockResponse> failed;
    if (allows_conflict_ && error.has_locked()) {
      failed.response.add_results()->set_type(kvrpcpb::LockResultFailed);
    }
    *failed.response.add_errors() = std::move(error);
    return failed;
  }

  KeyResult LockKey(const Bytes& key, bool must_not_exist) {
    if (request_.lock_only_if_exists() && !request_.return_values()) {
      return Failed(MvccAbortError("LockIfExistsFailed { start_ts: TimeStamp(" + std::to_string(start_ts_.value()) +
                                   "), key: " + RustBytes(UserKey(key)) + " }"));
    }
    if (must_not_exist || request_.return_values() || request_.check_existence()) {
      concurrency_->UpdateMaxTs(Timestamp(request_.for_update_ts()));
    }
    const std::optional<LockRecord> lock = reader_.LoadLock(key);
    if (lock.has_value()) {
      return CheckLock(key, *lock, must_not_exist);
    }
    return LockFreeKey(key, must_not_exist);
  }

  static KeyResult Failed(kvrpcpb::KeyError error) {
    KeyResult result;
    result.error = std::move(error);
    return result;
  }

  KeyResult CheckLock(const Bytes& key, const LockRecord& lock, bool must_not_exist) {
    if (lock.start_ts != start_ts_) {
      return Failed(LockedError(key, lock));
    }
    if (lock.type != LockType::kPessimistic) {
      return Failed(LockTypeNotMatchError(key, start_ts_, false));
    }
    KeyResult result;
    Timestamp for_update_ts(request_.for_update_ts());
    if (allows_conflict_ && for_update_ts < lock.for_update_ts) {
      for_update_ts = lock.for_update_ts;
      result.locked_with_conflict_ts = for_update_ts;
    }
    if (must_not_exist) {
      if (std::optional<CommittedWrite> found = reader_.FindVisiblePut(key, for_update_ts)) {
        const bool is_newer = found->commit_ts > Timestamp(request_.for_update_ts());
        return Failed(is_newer ? Conflict(key, *found) : AlreadyExistError(key));
      }
    }
    LoadValue(key, for_update_ts, result.locked_with_conflict_ts.valid(), &result);
    if (for_update_ts > lock.for_update_ts) {
      LockRecord updated = lock;
      updated.primary = request_.primary_lock();
      updated.ttl_ms = request_.lock_ttl();
      updated.for_update_ts = for_update_ts;
      updated.min_commit_ts = Timestamp(request_.min_commit_ts());
      result_.writes.Put(ColumnFamily::kLock, key, updated.Encode());
    }
    return result;
  }

  KeyResult LockFreeKey(const Bytes& key, bool must_not_exist) {
    KeyResult result;
    Timestamp for_update_ts(request_.for_update_ts());
    const std::optional<CommittedWrite> newest = reader_.SeekWrite(key, Timestamp::Max());
    if (newest.has_value()) {
      if (newest->commit_ts > for_update_ts) {
        if (!allows_conflict_) {
          return Failed(Conflict(key, *newest));
        }
        for_update_ts = newest->commit_ts;
        result.locked_with_conflict_ts = for_update_ts;
      }
      if (IsRolledBack(key)) {
        return Failed(MvccAbortError("PessimisticLockRolledBack { start_ts: TimeStamp(" +
                                     std::to_string(start_ts_.value()) + "), key: " + RustBytes(UserKey(key)) + " }"));
      }
      if (must_not_exist && reader_.FindVisiblePut(key, Timestamp::Max()).has_value()) {
        return Failed(result.locked_with_conflict_ts.valid() ? Conflict(key, *newest) : AlreadyExistError(key));
      }
    }
    LoadValue(key, for_update_ts, result.locked_with_conflict_ts.valid(), &result);
    if (!request_.lock_only_if_exists() || result.value.has_value()) {
      PutLock(key, for_update_ts, newest, result.locked_with_conflict_ts.valid());
    } else if (result.locked_with_conflict_ts.valid()) {
      return Failed(Conflict(key, *newest));
    }
    return result;
  }

  [[nodiscard]] kvrpcpb::KeyError Conflict(const Bytes& key, const CommittedWrite& newest) const {
    return WriteConflictError(key, start_ts_, newest, request_.primary_lock(), kvrpcpb::WriteConflict::PessimisticRetry);
  }

  bool IsRolledBack(const Bytes& key) const {
    const std::optional<CommittedWrite> at = reader_.SeekWrite(key, start_ts_);
    return at.has_value() && at->commit_ts == start_ts_ &&
           (at->write.type == WriteType::kRollback || at->write.has_overlapped_rollback);
  }

  void LoadValue(const Bytes& key, Timestamp ts, bool is_forced, KeyResult* result) const {
    if (request_.return_values() || is_forced) {
      std::optional<VersionedValue> found = reader_.ReadAt(key, ts);
      if (found.has_value() && found->is_value_missing) {
        result->error = DefaultNotFoundError(key, found->start_ts);
      } else if (found.has_value()) {
        result->value = std::move(found->value);
      }
    } else if (request_.check_existence() && reader_.FindVisiblePut(key, ts).has_value()) {
      result->value = Bytes();
    }
  }

  void PutLock(const Bytes& key, Timestamp for_update_ts, const std::optional<CommittedWrite>& newest,
               bool is_locked_with_conflict) {
    LockRecord lock;
    lock.type = LockType::kPessimistic;
    lock.primary = request_.primary_lock();
    lock.start_ts = start_ts_;
    lock.ttl_ms = request_.lock_ttl();
    lock.for_update_ts = for_update_ts;
    lock.min_commit_ts = Timestamp(request_.min_commit_ts());
    lock.is_locked_with_conflict = is_locked_with_conflict;
    lock.last_change = LastChangeAfter(newest);
    result_.writes.Put(ColumnFamily::kLock, key, lock.Encode());
  }

  void Answer(KeyResult key_result) {
    const bool exists = key_result.value.has_value();
    Bytes value = std::move(key_result.value).value_or(Bytes());
    if (allows_conflict_) {
      kvrpcpb::PessimisticLockKeyResult* out = result_.response.add_results();
      const bool has_conflict = key_result.locked_with_conflict_ts.valid();
      out->set_type(has_conflict ? kvrpcpb::LockResultLockedWithConflict : kvrpcpb::LockResultNormal);
      out->set_locked_with_conflict_ts(key_result.locked_with_conflict_ts.value());
      if (request_.return_values() || has_conflict) {
        out->set_value(std::move(value));
        out->set_existence(exists);
      } else if (request_.check_existence()) {
        out->set_existence(exists);
      }
      return;
    }
    if (request_.return_values()) {
      result_.response.add_values(std::move(value));
      result_.response.add_not_founds(!exists);
    } else if (request_.check_existence()) {
      result_.response.add_not_founds(!exists);
    }
  }

  MvccReader reader_;
  ConcurrencyManager* concurrency_;
  const Request& request_;
  Timestamp start_ts_;
  bool allows_conflict_;
  CommandResult<kvrpcpb::PessimisticLockResponse> result_;
};

}  // namespace

CommandResult<kvrpcpb::PessimisticLockResponse> AcquirePessimisticLock(const Snapshot& snapshot,
                                                                       ConcurrencyManager* concurrency,
                                                                       const kvrpcpb::PessimisticLockRequest& request) {
  return PessimisticLockCommand(snapshot, concurrency, request).Run();
}

CommandResult<kvrpcpb::PessimisticRollbackResponse> PessimisticRollback(
    const Snapshot& snapshot, const RegionBounds& region, const kvrpcpb::PessimisticRollbackRequest& request) {
  CommandResult<kvrpcpb::PessimisticRollbackResponse> result;
  const MvccReader reader(snapshot);
  const auto is_meant = [&](const LockRecord& lock) {
    return lock.type == LockType::kPessimistic && lock.start_ts == Timestamp(request.start_version()) &&
           lock.for_update_ts <= Timestamp(request.for_update_ts());
  };
  std::vector<Bytes> keys;
  if (request.keys().empty()) {
    for (MvccReader::KeyAndLock& found : reader.FindLocks(region.start, region.end, 0, is_meant)) {
      keys.push_back(std::move(found.key));
    }
  } else {
    keys = KeysOf(request);
  }
  for (const Bytes& key : keys) {
    const std::optional<LockRecord> lock = reader.LoadLock(key);
    if (lock.has_value() && is_meant(*lock)) {
      result.writes.Delete(ColumnFamily::kLock, key);
      result.released.push_back(ReleasedLock{key, lock->start_ts, Timestamp()});
    }
  }
  return result;
}

}  // namespace kvjury::tikv
