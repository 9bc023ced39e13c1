// What became of a transaction: KvCheckTxnStatus, KvCheckSecondaryLocks, KvTxnHeartBeat.
//
// The two checks raise max_ts, so that no async commit may later choose a timestamp below what they have
// told. Source: TiKV 8.5, storage/txn/actions/check_txn_status and commands/check_secondary_locks.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

CommandResult<kvrpcpb::CheckTxnStatusResponse> CheckTxnStatus(const Snapshot& snapshot, ConcurrencyManager* concurrency,
                                                              const kvrpcpb::CheckTxnStatusRequest& request);

CommandResult<kvrpcpb::CheckSecondaryLocksResponse> CheckSecondaryLocks(
    const Snapshot& snapshot, ConcurrencyManager* concurrency, const kvrpcpb::CheckSecondaryLocksRequest& request);

/// The time to live never shrinks.
CommandResult<kvrpcpb::TxnHeartBeatResponse> TxnHeartBeat(const Snapshot& snapshot,
                                                          const kvrpcpb::TxnHeartBeatRequest& request);

}  // namespace kvjury::tikv
