#include "fakes/tikv/commands_commit.h"

#include <algorithm>

namespace kvjury::tikv {

std::optional<kvrpcpb::KeyError> CommitKey(const MvccReader& reader, std::string_view key, Timestamp start_ts,
                                           Timestamp commit_ts, WriteBatch* writes, std::vector<ReleasedLock>* released) {
  const std::optional<LockRecord> lock = reader.LoadLock(key);
  if (!lock.has_value() || lock->start_ts != start_ts) {
    if (reader.FindCommitRecord(key, start_ts).is_commit()) {
      return std::nullopt;
    }
    return TxnLockNotFoundError(key, start_ts, commit_ts);
  }
  if (commit_ts < lock->min_commit_ts) {
    kvrpcpb::KeyError error;
    kvrpcpb::CommitTsExpired* detail = error.mutable_commit_ts_expired();
    detail->set_start_ts(start_ts.value());
    detail->set_attempted_commit_ts(commit_ts.value());
    detail->set_key(UserKey(key));
    detail->set_min_commit_ts(lock->min_commit_ts.value());
    return error;
  }
  if (lock->type != LockType::kPessimistic) {
    WriteRecord write;
    write.type = WriteTypeOf(lock->type);
    write.start_ts = start_ts;
    write.short_value = lock->short_value;
    write.last_change = lock->last_change;
    write.txn_source = lock->txn_source;
    write.has_overlapped_rollback =
        std::find(lock->rollback_ts.begin(), lock->rollback_ts.end(), commit_ts) != lock->rollback_ts.end();
    writes->Put(ColumnFamily::kWrite, VersionKey(key, commit_ts), write.Encode());
  }
  writes->Delete(ColumnFamily::kLock, Bytes(key));
  released->push_back(ReleasedLock{Bytes(key), start_ts, lock->type == LockType::kPessimistic ? Timestamp() : commit_ts});
  return std::nullopt;
}

CommandResult<kvrpcpb::CommitResponse> Commit(const Snapshot& snapshot, const kvrpcpb::CommitRequest& request) {
  const Timestamp start_ts(request.start_version());
  const Timestamp commit_ts(request.commit_version());
  CommandResult<kvrpcpb::CommitResponse> result;
  if (commit_ts <= start_ts) {
    *result.response.mutable_error() = InvalidTxnTsoError(start_ts, commit_ts);
    return result;
  }
  const MvccReader reader(snapshot);
  for (const Bytes& key : KeysOf(request)) {
    std::optional<kvrpcpb::KeyError> error =
        CommitKey(reader, key, start_ts, commit_ts, &result.writes, &result.released);
    if (error.has_value()) {
      CommandResult<kvrpcpb::CommitResponse> failed;
      *failed.response.mutable_error() = std::move(*error);
      return failed;
    }
  }
  result.response.set_commit_version(commit_ts.value());
  return result;
}

}  // namespace kvjury::tikv
