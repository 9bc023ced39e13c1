#include "fakes/tikv/commands_status.h"

#include <algorithm>
#include <optional>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_rollback.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

using StatusResult = CommandResult<kvrpcpb::CheckTxnStatusResponse>;

void Unlock(const Bytes& key, Timestamp start_ts, WriteBatch* writes, std::vector<ReleasedLock>* released) {
  writes->Delete(ColumnFamily::kLock, key);
  released->push_back(ReleasedLock{key, start_ts, Timestamp()});
}

kvrpcpb::KeyError TxnNotFoundError(Timestamp start_ts, const Bytes& key) {
  kvrpcpb::KeyError error;
  error.mutable_txn_not_found()->set_start_ts(start_ts.value());
  error.mutable_txn_not_found()->set_primary_key(UserKey(key));
  return error;
}

// The primary's own lock is gone (or never was).
void CheckMissingLock(const MvccReader& reader, const Bytes& key, const kvrpcpb::CheckTxnStatusRequest& request,
                      StatusResult* result) {
  const Timestamp start_ts(request.lock_ts());
  const CommitRecord record = reader.FindCommitRecord(key, start_ts);
  if (record.is_commit()) {
    result->response.set_commit_version(record.record->commit_ts.value());
    return;
  }
  if (record.is_rollback()) {
    return;
  }
  if (!request.rollback_if_not_exist()) {
    *result->response.mutable_error() = TxnNotFoundError(start_ts, key);
    return;
  }
  if (request.resolving_pessimistic_lock()) {
    result->response.set_action(kvrpcpb::LockNotExistDoNothing);
    return;
  }
  RollbackMissingLock(reader, key, start_ts, record, Protection::kProtected, Collapse::kNo, &result->writes);
  result->response.set_action(kvrpcpb::LockNotExistRollback);
}

void DescribeLiveLock(const Bytes& key, const LockRecord& lock, StatusResult* result) {
  result->response.set_lock_ttl(lock.ttl_ms);
  *result->response.mutable_lock_info() = DescribeLock(key, lock);
  // As TiKV does: it names the lock's primary, whatever key was asked for.
  result->response.mutable_lock_info()->set_key(lock.primary);
}

// Keeps a reader at caller_start_ts from waiting: the transaction shall commit behind it.
void CheckLiveLock(const Bytes& key, LockRecord lock, const kvrpcpb::CheckTxnStatusRequest& request, StatusResult* result) {
  const Timestamp caller(request.caller_start_ts());
  if (lock.min_commit_ts.valid() && !caller.is_max() && caller >= lock.min_commit_ts) {
    lock.min_commit_ts = std::max(caller.Next(), Timestamp(request.current_ts()));
    result->writes.Put(ColumnFamily::kLock, key, lock.Encode());
  }
  if ((caller.valid() && lock.min_commit_ts > caller) || caller.is_max()) {
    result->response.set_action(kvrpcpb::MinCommitTSPushed);
  }
  DescribeLiveLock(key, lock, result);
}

void CheckOwnLock(const MvccReader& reader, const Bytes& key, const LockRecord& lock,
                  const kvrpcpb::CheckTxnStatusRequest& request, StatusResult* result) {
  const bool is_pessimistic = lock.type == LockType::kPessimistic;
  if (request.verify_is_primary() && EncodeKey(lock.primary) != key) {
    if (is_pessimistic && !request.resolving_pessimistic_lock()) {
      CheckMissingLock(reader, key, request, result);
      if (!result->response.has_error()) {
        Unlock(key, lock.start_ts, &result->writes, &result->released);
      }
      return;
    }
    *result->response.mutable_error()->mutable_primary_mismatch()->mutable_lock_info() = DescribeLock(key, lock);
    return;
  }
  if (lock.use_async_commit && !request.force_sync_commit()) {
    DescribeLiveLock(key, lock, result);
    return;
  }
  if (is_pessimistic && lock.is_locked_with_conflict) {
    const CommitRecord record = reader.FindCommitRecord(key, lock.start_ts);
    if (record.is_commit() || record.is_rollback()) {
      Unlock(key, lock.start_ts, &result->writes, &result->released);
      if (record.is_commit()) {
        result->response.set_commit_version(record.record->commit_ts.value());
      }
      return;
    }
  }
  if (!IsExpired(lock, Timestamp(request.current_ts()))) {
    CheckLiveLock(key, lock, request, result);
  } else if (is_pessimistic && request.resolving_pessimistic_lock()) {
    Unlock(key, lock.start_ts, &result->writes, &result->released);
    result->response.set_action(kvrpcpb::TTLExpirePessimisticRollback);
  } else {
    RollbackLock(reader, key, lock, Collapse::kYes, &result->writes, &result->released);
    result->response.set_action(kvrpcpb::TTLExpireRollback);
  }
}

}  // namespace

CommandResult<kvrpcpb::CheckTxnStatusResponse> CheckTxnStatus(const Snapshot& snapshot, ConcurrencyManager* concurrency,
                                                              const kvrpcpb::CheckTxnStatusRequest& request) {
  concurrency->UpdateMaxTs(Timestamp(request.lock_ts()));
  concurrency->UpdateMaxTs(Timestamp(request.caller_start_ts()));
  concurrency->UpdateMaxTs(Timestamp(request.current_ts()));
  StatusResult result;
  const MvccReader reader(snapshot);
  const Bytes key = EncodeKey(request.primary_key());
  const std::optional<LockRecord> lock = reader.LoadLock(key);
  if (lock.has_value() && lock->start_ts == Timestamp(request.lock_ts())) {
    CheckOwnLock(reader, key, *lock, request, &result);
  } else {
    CheckMissingLock(reader, key, request, &result);
  }
  return result;
}

CommandResult<kvrpcpb::CheckSecondaryLocksResponse> CheckSecondaryLocks(
    const Snapshot& snapshot, ConcurrencyManager* concurrency, const kvrpcpb::CheckSecondaryLocksRequest& request) {
  const Timestamp start_ts(request.start_version());
  concurrency->UpdateMaxTs(start_ts);
  CommandResult<kvrpcpb::CheckSecondaryLocksResponse> result;
  const MvccReader reader(snapshot);
  for (const Bytes& key : KeysOf(request)) {
    const std::optional<LockRecord> lock = reader.LoadLock(key);
    const bool is_own = lock.has_value() && lock->start_ts == start_ts;
    if (is_own && lock->type != LockType::kPessimistic) {
      *result.response.add_locks() = DescribeLock(key, *lock);
      continue;
    }
    // The first key without a prewritten lock decides for all.
    result.response.clear_locks();
    const CommitRecord record = reader.FindCommitRecord(key, start_ts);
    if (record.is_commit()) {
      result.response.set_commit_ts(record.record->commit_ts.value());
    } else if (!record.is_rollback()) {
      RollbackMissingLock(reader, key, start_ts, record, Protection::kProtected,
                          is_own ? Collapse::kNo : Collapse::kYes, &result.writes);
    }
    if (is_own) {
      Unlock(key, start_ts, &result.writes, &result.released);
    }
    return result;
  }
  return result;
}

CommandResult<kvrpcpb::TxnHeartBeatResponse> TxnHeartBeat(const Snapshot& snapshot,
                                                          const kvrpcpb::TxnHeartBeatRequest& request) {
  CommandResult<kvrpcpb::TxnHeartBeatResponse> result;
  const Bytes key = EncodeKey(request.primary_lock());
  const Timestamp start_ts(request.start_version());
  std::optional<LockRecord> lock = MvccReader(snapshot).LoadLock(key);
  if (!lock.has_value() || lock->start_ts != start_ts) {
    *result.response.mutable_error() = TxnNotFoundError(start_ts, key);
    return result;
  }
  const LockRecord before = *lock;
  lock->ttl_ms = std::max(lock->ttl_ms, request.advise_lock_ttl());
  if (lock->generation > 0 && !lock->use_async_commit) {
    lock->min_commit_ts = std::max(lock->min_commit_ts, Timestamp(request.min_commit_ts()));
  }
  if (!(*lock == before)) {
    result.writes.Put(ColumnFamily::kLock, key, lock->Encode());
  }
  result.response.set_lock_ttl(lock->ttl_ms);
  return result;
}

}  // namespace kvjury::tikv
