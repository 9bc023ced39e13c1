#include "fakes/tikv/commands_rollback.h"

#include <map>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_commit.h"

namespace kvjury::tikv {

namespace {

// The record of a rollback: its own, or a note on the record that stands at the same timestamp.
void PutRollback(std::string_view key, Timestamp start_ts, const CommitRecord& record, Protection protection,
                 WriteBatch* writes) {
  if (record.record.has_value()) {
    if (protection == Protection::kProtected) {
      WriteRecord noted = record.record->write;
      noted.has_overlapped_rollback = true;
      noted.gc_fence = record.gc_fence;
      writes->Put(ColumnFamily::kWrite, VersionKey(key, start_ts), noted.Encode());
    }
    return;
  }
  WriteRecord rollback;
  rollback.type = WriteType::kRollback;
  rollback.start_ts = start_ts;
  if (protection == Protection::kProtected) {
    rollback.short_value = "p";
  }
  writes->Put(ColumnFamily::kWrite, VersionKey(key, start_ts), rollback.Encode());
}

void CollapseOlder(const MvccReader& reader, std::string_view key, Timestamp start_ts, WriteBatch* writes) {
  const std::optional<CommittedWrite> older = reader.SeekWrite(key, start_ts);
  if (older.has_value() && older->write.type == WriteType::kRollback && !older->write.is_protected_rollback()) {
    writes->Delete(ColumnFamily::kWrite, VersionKey(key, older->commit_ts));
  }
}

// The foreign lock may commit at exactly `start_ts` and would overwrite the rollback: it shall remember it.
void MarkForeignLock(const MvccReader& reader, std::string_view key, Timestamp start_ts, WriteBatch* writes) {
  std::optional<LockRecord> lock = reader.LoadLock(key);
  if (lock.has_value() && lock->start_ts != start_ts && lock->use_async_commit && lock->min_commit_ts <= start_ts) {
    lock->rollback_ts.push_back(start_ts);
    writes->Put(ColumnFamily::kLock, Bytes(key), lock->Encode());
  }
}

// Unprotected cleanup of one key, as batch rollback and resolving do it.
std::optional<kvrpcpb::KeyError> RollbackKey(const MvccReader& reader, std::string_view key, Timestamp start_ts,
                                             WriteBatch* writes, std::vector<ReleasedLock>* released) {
  const std::optional<LockRecord> lock = reader.LoadLock(key);
  if (lock.has_value() && lock->start_ts == start_ts) {
    RollbackLock(reader, key, *lock, Collapse::kYes, writes, released);
    return std::nullopt;
  }
  const CommitRecord record = reader.FindCommitRecord(key, start_ts);
  if (record.is_commit()) {
    return CommittedError(key, start_ts, record.record->commit_ts);
  }
  if (!record.is_rollback()) {
    RollbackMissingLock(reader, key, start_ts, record, Protection::kUnprotected, Collapse::kYes, writes);
  }
  return std::nullopt;
}

}  // namespace

void RollbackLock(const MvccReader& reader, std::string_view key, const LockRecord& lock, Collapse collapse,
                  WriteBatch* writes, std::vector<ReleasedLock>* released) {
  const CommitRecord record = reader.FindCommitRecord(key, lock.start_ts);
  if (record.kind == CommitRecord::Kind::kNone) {
    if (lock.type == LockType::kPut && !lock.short_value.has_value()) {
      writes->Delete(ColumnFamily::kDefault, VersionKey(key, lock.start_ts));
    }
    const bool is_protected = EncodeKey(lock.primary) == key || lock.generation > 0;
    if (collapse == Collapse::kYes) {
      CollapseOlder(reader, key, lock.start_ts, writes);
    }
    PutRollback(key, lock.start_ts, record, is_protected ? Protection::kProtected : Protection::kUnprotected, writes);
  }
  writes->Delete(ColumnFamily::kLock, Bytes(key));
  released->push_back(ReleasedLock{Bytes(key), lock.start_ts, Timestamp()});
}

void RollbackMissingLock(const MvccReader& reader, std::string_view key, Timestamp start_ts, const CommitRecord& record,
                         Protection protection, Collapse collapse, WriteBatch* writes) {
  if (protection == Protection::kProtected && !record.record.has_value()) {
    MarkForeignLock(reader, key, start_ts, writes);
  }
  if (collapse == Collapse::kYes) {
    CollapseOlder(reader, key, start_ts, writes);
  }
  PutRollback(key, start_ts, record, protection, writes);
}

CommandResult<kvrpcpb::BatchRollbackResponse> BatchRollback(const Snapshot& snapshot,
                                                            const kvrpcpb::BatchRollbackRequest& request) {
  CommandResult<kvrpcpb::BatchRollbackResponse> result;
  const MvccReader reader(snapshot);
  for (const Bytes& key : KeysOf(request)) {
    std::optional<kvrpcpb::KeyError> error =
        RollbackKey(reader, key, Timestamp(request.start_version()), &result.writes, &result.released);
    if (error.has_value()) {
      CommandResult<kvrpcpb::BatchRollbackResponse> failed;
      *failed.response.mutable_error() = std::move(*error);
      return failed;
    }
  }
  return result;
}

CommandResult<kvrpcpb::CleanupResponse> Cleanup(const Snapshot& snapshot, const kvrpcpb::CleanupRequest& request) {
  CommandResult<kvrpcpb::CleanupResponse> result;
  const MvccReader reader(snapshot);
  const Bytes key = EncodeKey(request.key());
  const Timestamp start_ts(request.start_version());
  const std::optional<LockRecord> lock = reader.LoadLock(key);
  if (lock.has_value() && lock->start_ts == start_ts) {
    const Timestamp now(request.current_ts());
    if (now.valid() && !IsExpired(*lock, now)) {
      *result.response.mutable_error() = LockedError(key, *lock);
      return result;
    }
    RollbackLock(reader, key, *lock, Collapse::kNo, &result.writes, &result.released);
    return result;
  }
  const CommitRecord record = reader.FindCommitRecord(key, start_ts);
  if (record.is_commit()) {
    result.response.set_commit_version(record.record->commit_ts.value());
  } else if (!record.is_rollback()) {
    RollbackMissingLock(reader, key, start_ts, record, Protection::kProtected, Collapse::kNo, &result.writes);
  }
  return result;
}

CommandResult<kvrpcpb::ResolveLockResponse> ResolveLock(const Snapshot& snapshot, const RegionBounds& region,
                                                        const kvrpcpb::ResolveLockRequest& request) {
  CommandResult<kvrpcpb::ResolveLockResponse> result;
  std::map<Timestamp, Timestamp> commit_ts_of;  // zero: roll back
  if (request.txn_infos().empty()) {
    commit_ts_of[Timestamp(request.start_version())] = Timestamp(request.commit_version());
  }
  for (const kvrpcpb::TxnInfo& info : request.txn_infos()) {
    commit_ts_of[Timestamp(info.txn())] = Timestamp(info.status());
  }
  const MvccReader reader(snapshot);
  std::vector<std::pair<Bytes, Timestamp>> keys;
  if (!request.keys().empty()) {
    for (Bytes& key : KeysOf(request)) {
      keys.emplace_back(std::move(key), Timestamp(request.start_version()));
    }
    commit_ts_of[Timestamp(request.start_version())] = Timestamp(request.commit_version());
  } else {
    for (MvccReader::KeyAndLock& found :
         reader.FindLocks(region.start, region.end, 0,
                          [&](const LockRecord& lock) { return commit_ts_of.count(lock.start_ts) != 0; })) {
      keys.emplace_back(std::move(found.key), found.lock.start_ts);
    }
  }
  for (const auto& [key, start_ts] : keys) {
    const Timestamp commit_ts = commit_ts_of.at(start_ts);
    std::optional<kvrpcpb::KeyError> error;
    if (!commit_ts.valid()) {
      error = RollbackKey(reader, key, start_ts, &result.writes, &result.released);
    } else if (commit_ts <= start_ts) {
      error = InvalidTxnTsoError(start_ts, commit_ts);
    } else {
      error = CommitKey(reader, key, start_ts, commit_ts, &result.writes, &result.released);
    }
    if (error.has_value()) {
      CommandResult<kvrpcpb::ResolveLockResponse> failed;
      *failed.response.mutable_error() = std::move(*error);
      return failed;
    }
  }
  return result;
}

}  // namespace kvjury::tikv
