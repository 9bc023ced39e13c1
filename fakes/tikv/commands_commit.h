// KvCommit: locks become write records. Also the step for one key, which resolving locks shares.
//
// Source: TiKV 8.5, storage/txn/actions/commit. Not here: 1PC (commands_prewrite.h).
#pragma once

#include <optional>

#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

/// All keys or none. A repeated commit succeeds, whatever commit timestamp it names.
CommandResult<kvrpcpb::CommitResponse> Commit(const Snapshot& snapshot, const kvrpcpb::CommitRequest& request);

/// Commits one key. The error, or nothing; `writes` and `released` grow only on success. A pessimistic lock
/// is just removed.
std::optional<kvrpcpb::KeyError> CommitKey(const MvccReader& reader, std::string_view key, Timestamp start_ts,
                                           Timestamp commit_ts, WriteBatch* writes, std::vector<ReleasedLock>* released);

}  // namespace kvjury::tikv
