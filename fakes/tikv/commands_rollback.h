// Rolling back and resolving: KvBatchRollback, KvCleanup, KvResolveLock, and the steps that others share with
// them.
//
// A rollback that must not be forgotten leaves a *protected* record; where another transaction committed at
// the very same timestamp, the rollback is noted on that record (overlapped, with a gc_fence); where a
// foreign async-commit lock may commit there, on the lock. Unprotected records collapse: at most one per key
// stays. Source: TiKV 8.5, storage/txn/actions.
#pragma once

#include <optional>

#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

enum class Protection { kUnprotected, kProtected };
enum class Collapse { kNo, kYes };

/// Removes an own lock and leaves the rollback record that it needs: protected for the primary's key.
void RollbackLock(const MvccReader& reader, std::string_view key, const LockRecord& lock, Collapse collapse,
                  WriteBatch* writes, std::vector<ReleasedLock>* released);

/// Leaves a record that the transaction never existed here. `record` is FindCommitRecord's answer (kNone). A
/// lock of another transaction that could commit at `start_ts` is marked.
void RollbackMissingLock(const MvccReader& reader, std::string_view key, Timestamp start_ts, const CommitRecord& record,
                         Protection protection, Collapse collapse, WriteBatch* writes);

/// All keys or none.
CommandResult<kvrpcpb::BatchRollbackResponse> BatchRollback(const Snapshot& snapshot,
                                                            const kvrpcpb::BatchRollbackRequest& request);

/// A committed key answers its commit_version; a lock that has not expired at current_ts (if given) answers
/// locked.
CommandResult<kvrpcpb::CleanupResponse> Cleanup(const Snapshot& snapshot, const kvrpcpb::CleanupRequest& request);

/// With keys: those. Without: every lock of the named transactions in the region, in one batch.
CommandResult<kvrpcpb::ResolveLockResponse> ResolveLock(const Snapshot& snapshot, const RegionBounds& region,
                                                        const kvrpcpb::ResolveLockRequest& request);

}  // namespace kvjury::tikv
