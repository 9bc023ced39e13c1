// KvFlush and KvBufferBatchGet: how a pipelined transaction writes parts of itself before it is done, and reads them back.
//
// A flush is an optimistic prewrite in two phases with a generation: later generations of the same transaction replace the
// locks of earlier ones. Not modelled: nothing that a client sees.
// Source: TiKV 8.5.0, src/storage/txn/commands/flush.rs and buffer_batch_get of src/storage/mod.rs.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

CommandResult<kvrpcpb::FlushResponse> Flush(const Snapshot& snapshot, ConcurrencyManager* concurrency,
                                            const kvrpcpb::FlushRequest& request);

/// The values in the transaction's own locks, in key order: a deletion is an empty value, a key without such a lock is left out.
void BufferBatchGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
                    const kvrpcpb::BufferBatchGetRequest& request, kvrpcpb::BufferBatchGetResponse* response);

}  // namespace kvjury::tikv
