// KvPessimisticLock and KVPessimisticRollback.
//
// Locking never waits here: a foreign lock is answered at once; the service waits (pessimistic_service.h). Not modelled:
// TiKV's in-memory pessimistic locks (invisible to clients), shared locks.
// Source: TiKV 8.5.0, storage/txn/actions/acquire_pessimistic_lock.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

/// All keys or none.
CommandResult<kvrpcpb::PessimisticLockResponse> AcquirePessimisticLock(const Snapshot& snapshot,
                                                                       ConcurrencyManager* concurrency,
                                                                       const kvrpcpb::PessimisticLockRequest& request);

/// Removes own pessimistic locks with for_update_ts up to the given one; leaves no record. Without keys: in
/// the whole region.
CommandResult<kvrpcpb::PessimisticRollbackResponse> PessimisticRollback(
    const Snapshot& snapshot, const RegionBounds& region, const kvrpcpb::PessimisticRollbackRequest& request);

}  // namespace kvjury::tikv
