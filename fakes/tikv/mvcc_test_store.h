// MvccTestStore: an engine with its memory locks that answers requests at once, for tests and benchmarks of
// the commands.
//
// One region, one replica, no latches: calls come one after another.
#pragma once

#include <string>

#include "fakes/base/check.h"
#include "fakes/tikv/commands_commit.h"
#include "fakes/tikv/commands_debug.h"
#include "fakes/tikv/commands_flush.h"
#include "fakes/tikv/commands_pessimistic.h"
#include "fakes/tikv/commands_prewrite.h"
#include "fakes/tikv/commands_range.h"
#include "fakes/tikv/commands_read.h"
#include "fakes/tikv/commands_rollback.h"
#include "fakes/tikv/commands_status.h"

namespace kvjury::tikv {

class MvccTestStore {
 public:
  Engine engine;
  ConcurrencyManager concurrency;
  RegionBounds region;

  template <class Response>
  Response Apply(CommandResult<Response> result) {
    engine.Apply(std::move(result.writes));
    concurrency.Release(result.memory_locks);
    return std::move(result.response);
  }

  auto Call(const kvrpcpb::PrewriteRequest& r) { return Apply(Prewrite(engine.Latest(), &concurrency, r)); }
  auto Call(const kvrpcpb::FlushRequest& r) { return Apply(Flush(engine.Latest(), &concurrency, r)); }
  auto Call(const kvrpcpb::BufferBatchGetRequest& r) {
    kvrpcpb::BufferBatchGetResponse response;
    BufferBatchGet(engine.Latest(), region, &concurrency, r, &response);
    return response;
  }
  auto Call(const kvrpcpb::CommitRequest& r) { return Apply(Commit(engine.Latest(), r)); }
  auto Call(const kvrpcpb::BatchRollbackRequest& r) { return Apply(BatchRollback(engine.Latest(), r)); }
  auto Call(const kvrpcpb::CleanupRequest& r) { return Apply(Cleanup(engine.Latest(), r)); }
  auto Call(const kvrpcpb::ResolveLockRequest& r) { return Apply(ResolveLock(engine.Latest(), region, r)); }
  auto Call(const kvrpcpb::CheckTxnStatusRequest& r) {
    return Apply(CheckTxnStatus(engine.Latest(), &concurrency, r));
  }
  auto Call(const kvrpcpb::CheckSecondaryLocksRequest& r) {
    return Apply(CheckSecondaryLocks(engine.Latest(), &concurrency, r));
  }
  auto Call(const kvrpcpb::TxnHeartBeatRequest& r) { return Apply(TxnHeartBeat(engine.Latest(), r)); }
  auto Call(const kvrpcpb::PessimisticLockRequest& r) {
    return Apply(AcquirePessimisticLock(engine.Latest(), &concurrency, r));
  }
  auto Call(const kvrpcpb::PessimisticRollbackRequest& r) {
    return Apply(PessimisticRollback(engine.Latest(), region, r));
  }
  auto Call(const kvrpcpb::DeleteRangeRequest& r) { return Apply(DeleteRange(r)); }
  auto Call(const kvrpcpb::GetRequest& r) {
    kvrpcpb::GetResponse response;
    Get(engine.Latest(), region, &concurrency, r, &response);
    return response;
  }
  auto Call(const kvrpcpb::BatchGetRequest& r) {
    kvrpcpb::BatchGetResponse response;
    BatchGet(engine.Latest(), region, &concurrency, r, &response);
    return response;
  }
  auto Call(const kvrpcpb::ScanRequest& r) {
    kvrpcpb::ScanResponse response;
    Scan(engine.Latest(), region, &concurrency, r, &response);
    return response;
  }
  auto Call(const kvrpcpb::ScanLockRequest& r) {
    kvrpcpb::ScanLockResponse response;
    ScanLock(engine.Latest(), region, &concurrency, r, &response);
    return response;
  }
  auto Call(const kvrpcpb::MvccGetByKeyRequest& r) {
    kvrpcpb::MvccGetByKeyResponse response;
    MvccGetByKey(engine.Latest(), r, &response);
    return response;
  }
  auto Call(const kvrpcpb::MvccGetByStartTsRequest& r) {
    kvrpcpb::MvccGetByStartTsResponse response;
    MvccGetByStartTs(engine.Latest(), region, r, &response);
    return response;
  }
};

}  // namespace kvjury::tikv
