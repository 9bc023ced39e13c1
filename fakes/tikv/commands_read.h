// KvGet, KvBatchGet, KvScan: reads at a timestamp.
//
// They raise max_ts to the request's version first, then look at memory locks, then at the snapshot.
// Isolation levels SI, RC and RCCheckTS; resolved_locks and committed_locks of the context. A locked key is
// data in the answer. The start timestamp is not compared with the GC safe point: TiKV leaves that to
// clients. Not modelled: stale reads' safe_ts (the store decides before it calls), execution details. Source:
// TiKV 8.5, storage/mvcc/reader and storage/mod.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

/// Raises max_ts unless the request's context says stale_read. Keys outside `region` answer an abort.
void Get(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
         const kvrpcpb::GetRequest& request, kvrpcpb::GetResponse* response);

/// Absent keys are left out; a locked key is a pair with its error.
void BatchGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
              const kvrpcpb::BatchGetRequest& request, kvrpcpb::BatchGetResponse* response);

/// A range that leaves the region answers InvalidReqRange; an end that is missing is the region's.
void Scan(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
          const kvrpcpb::ScanRequest& request, kvrpcpb::ScanResponse* response);

}  // namespace kvjury::tikv
