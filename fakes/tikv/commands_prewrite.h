// KvPrewrite: locks and values of a transaction; with async commit its promise, with 1PC already its commit.
//
// Optimistic and pessimistic, constraint and existence checks, assertions, fall-back to two phases when
// max_commit_ts is exceeded, repeated requests after a commit, generations of pipelined flushes. Not modelled: old
// values, the shortcut over empty key spans (it changes no answer). Source: TiKV 8.5, storage/txn/actions/prewrite.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

/// Places the memory locks of async commit and 1PC and takes min_commit_ts from max_ts in one step without
/// suspension. They are listed in the result and must be released once the batch is applied or has failed;
/// with errors none are left. A `generation` that is not zero is a flush: it replaces the transaction's own locks of
/// smaller generations, and passes over those of its own or greater ones.
CommandResult<kvrpcpb::PrewriteResponse> Prewrite(const Snapshot& snapshot, ConcurrencyManager* concurrency,
                                                  const kvrpcpb::PrewriteRequest& request, uint64_t generation = 0);

}  // namespace kvjury::tikv
