// Commands over ranges: KvScanLock, KvDeleteRange, UnsafeDestroyRange.
//
// The store checks that ranges lie in the region before it calls. Source: TiKV 8.5, storage/mod.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

/// Locks of every kind with start_ts <= max_version, ascending; raises max_ts first. A memory lock in the
/// range answers locked. Bounds of the request that are missing are the region's.
void ScanLock(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
              const kvrpcpb::ScanLockRequest& request, kvrpcpb::ScanLockResponse* response);

/// Removes every record of the range without a trace, locks too. notify_only changes nothing.
CommandResult<kvrpcpb::DeleteRangeResponse> DeleteRange(const kvrpcpb::DeleteRangeRequest& request);

/// The same on a whole store, without a region. An empty bound is an error (TiKV panics).
CommandResult<kvrpcpb::UnsafeDestroyRangeResponse> UnsafeDestroyRange(const kvrpcpb::UnsafeDestroyRangeRequest& request);

}  // namespace kvjury::tikv
