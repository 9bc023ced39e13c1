#include "fakes/tikv/store_service.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_commit.h"
#include "fakes/tikv/commands_debug.h"
#include "fakes/tikv/commands_flush.h"
#include "fakes/tikv/commands_prewrite.h"
#include "fakes/tikv/commands_range.h"
#include "fakes/tikv/commands_read.h"
#include "fakes/tikv/commands_rollback.h"
#include "fakes/tikv/commands_status.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

std::optional<kvrpcpb::KeyError> WrongApiVersion(const kvrpcpb::Context& context, const char* command) {
  if (context.api_version() == kvrpcpb::V1) {
    return std::nullopt;
  }
  return AbortError("Error(ApiVersionNotMatched { cmd: " + std::string(command) + ", storage_api_version: V1, req_api_version: " +
                    kvrpcpb::APIVersion_Name(context.api_version()) + " })");
}

}  // namespace

StoreService::StoreService(Cluster* cluster, const metapb::Store& store)
    : cluster_(cluster),
      store_(store.id()),
      config_(store.address(), store.status_address()),
      calls_(cluster, store_, &config_),
      locks_(&calls_),
      raw_(&calls_),
      splits_(&calls_),
      status_(&calls_, &config_),
      backup_(cluster, store_),
      import_(cluster, store_) {
  methods_.Add(kKvGet, this, &StoreService::Get);
  methods_.Add(kKvScan, this, &StoreService::Scan);
  methods_.Add(kKvBatchGet, this, &StoreService::BatchGet);
  methods_.Add(kKvPrewrite, this, &StoreService::Prewrite);
  methods_.Add(kKvCommit, this, &StoreService::Commit);
  methods_.Add(kKvCleanup, this, &StoreService::Cleanup);
  methods_.Add(kKvBatchRollback, this, &StoreService::BatchRollback);
  methods_.Add(kKvScanLock, this, &StoreService::ScanLock);
  methods_.Add(kKvResolveLock, this, &StoreService::ResolveLock);
  methods_.Add(kKvTxnHeartBeat, this, &StoreService::TxnHeartBeat);
  methods_.Add(kKvCheckTxnStatus, this, &StoreService::CheckTxnStatus);
  methods_.Add(kKvCheckSecondaryLocks, this, &StoreService::CheckSecondaryLocks);
  methods_.Add(kKvDeleteRange, this, &StoreService::DeleteRange);
  methods_.Add(kUnsafeDestroyRange, this, &StoreService::UnsafeDestroyRange);
  methods_.Add(kMvccGetByKey, this, &StoreService::MvccGetByKey);
  methods_.Add(kMvccGetByStartTs, this, &StoreService::MvccGetByStartTs);
  methods_.Add(kKvFlush, this, &StoreService::Flush);
  methods_.Add(kKvBufferBatchGet, this, &StoreService::BufferBatchGet);
  locks_.Register(&methods_);
  raw_.Register(&methods_);
  splits_.Register(&methods_);
  status_.Register(&methods_);
  backup_.Register(&methods_);
  import_.Register(&methods_);
}

// --- reads ---

StoreService::Answer<kvrpcpb::GetResponse> StoreService::Get(Ptr<kvrpcpb::GetRequest> request, sim::CallContext context) {
  if (std::optional<kvrpcpb::KeyError> wrong = WrongApiVersion(request->context(), "get")) {
    kvrpcpb::GetResponse response;
    *response.mutable_error() = std::move(*wrong);
    co_return response;
  }
  auto reading = calls_.Read<kvrpcpb::GetRequest, kvrpcpb::GetResponse>(request, context, &tikv::Get);
  co_return co_await std::move(reading);
}

StoreService::Answer<kvrpcpb::ScanResponse> StoreService::Scan(Ptr<kvrpcpb::ScanRequest> request,
                                                               sim::CallContext context) {
  if (std::optional<kvrpcpb::KeyError> wrong = WrongApiVersion(request->context(), "scan")) {
    kvrpcpb::ScanResponse response;
    *response.mutable_error() = *wrong;
    *response.add_pairs()->mutable_error() = std::move(*wrong);
    co_return response;
  }
  auto reading = calls_.Read<kvrpcpb::ScanRequest, kvrpcpb::ScanResponse>(request, context, &tikv::Scan);
  co_return co_await std::move(reading);
}

StoreService::Answer<kvrpcpb::BatchGetResponse> StoreService::BatchGet(Ptr<kvrpcpb::BatchGetRequest> request,
                                                                       sim::CallContext context) {
  auto reading = calls_.Read<kvrpcpb::BatchGetRequest, kvrpcpb::BatchGetResponse>(request, context, &tikv::BatchGet);
  co_return co_await std::move(reading);
}

StoreService::Answer<kvrpcpb::BufferBatchGetResponse> StoreService::BufferBatchGet(
    Ptr<kvrpcpb::BufferBatchGetRequest> request, sim::CallContext context) {
  auto reading = calls_.Read<kvrpcpb::BufferBatchGetRequest, kvrpcpb::BufferBatchGetResponse>(request, context,
                                                                                             &tikv::BufferBatchGet);
  co_return co_await std::move(reading);
}

StoreService::Answer<kvrpcpb::ScanLockResponse> StoreService::ScanLock(Ptr<kvrpcpb::ScanLockRequest> request,
                                                                       sim::CallContext context) {
  auto reading = calls_.Read<kvrpcpb::ScanLockRequest, kvrpcpb::ScanLockResponse>(
      request, context,
      [](const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
         const kvrpcpb::ScanLockRequest& scan, kvrpcpb::ScanLockResponse* response) {
        tikv::ScanLock(snapshot, region, concurrency, scan, response);
      });
  // Unlike other reads this one refuses a start outside its region as a region error.
  const Bytes start = EncodeBoundary(request->start_key());
  Result<kvrpcpb::ScanLockResponse> response = co_await std::move(reading);
  if (response.ok() && !response->has_region_error() && !start.empty()) {
    const Region* region = cluster_->regions().Find(RegionId(request->context().region_id()));
    if (region != nullptr && !region->Contains(start)) {
      co_return RegionErrorOf<kvrpcpb::ScanLockResponse>(KeyNotInRegionError(start, *region));
    }
  }
  co_return response;
}

StoreService::Answer<kvrpcpb::MvccGetByKeyResponse> StoreService::MvccGetByKey(Ptr<kvrpcpb::MvccGetByKeyRequest> request,
                                                                               sim::CallContext context) {
  auto reading = calls_.Read<kvrpcpb::MvccGetByKeyRequest, kvrpcpb::MvccGetByKeyResponse>(
      request, context,
      [](const Snapshot& snapshot, const RegionBounds&, ConcurrencyManager*, const kvrpcpb::MvccGetByKeyRequest& get,
         kvrpcpb::MvccGetByKeyResponse* response) { tikv::MvccGetByKey(snapshot, get, response); });
  co_return co_await std::move(reading);
}

StoreService::Answer<kvrpcpb::MvccGetByStartTsResponse> StoreService::MvccGetByStartTs(
    Ptr<kvrpcpb::MvccGetByStartTsRequest> request, sim::CallContext context) {
  auto reading = calls_.Read<kvrpcpb::MvccGetByStartTsRequest, kvrpcpb::MvccGetByStartTsResponse>(
      request, context,
      [](const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager*,
         const kvrpcpb::MvccGetByStartTsRequest& get,
         kvrpcpb::MvccGetByStartTsResponse* response) { tikv::MvccGetByStartTs(snapshot, region, get, response); });
  co_return co_await std::move(reading);
}

// --- writes ---

// A command that needs the snapshot alone, or the snapshot and one more argument.
#define KVJURY_WRITE(name, keys, call)                                                                             \
  StoreService::Answer<kvrpcpb::name##Response> StoreService::name(Ptr<kvrpcpb::name##Request> request,            \
                                                                   sim::CallContext context) {                     \
    StoreCalls::Compute<kvrpcpb::name##Request, kvrpcpb::name##Response> compute =                                             \
        []([[maybe_unused]] const Snapshot& snapshot, [[maybe_unused]] const RegionBounds& region,                 \
           [[maybe_unused]] ConcurrencyManager* concurrency, const kvrpcpb::name##Request& asked) { return call; }; \
    auto writing =                                                                                                 \
        calls_.Write<kvrpcpb::name##Request, kvrpcpb::name##Response>(request, context, keys, std::move(compute));        \
    co_return co_await std::move(writing);                                                                         \
  }

KVJURY_WRITE(Commit, KeysOf(*request), tikv::Commit(snapshot, asked))
KVJURY_WRITE(Cleanup, KeysOf(*request), tikv::Cleanup(snapshot, asked))
KVJURY_WRITE(BatchRollback, KeysOf(*request), tikv::BatchRollback(snapshot, asked))
KVJURY_WRITE(TxnHeartBeat, KeysOf(*request), tikv::TxnHeartBeat(snapshot, asked))
KVJURY_WRITE(CheckTxnStatus, KeysOf(*request), tikv::CheckTxnStatus(snapshot, concurrency, asked))
KVJURY_WRITE(CheckSecondaryLocks, KeysOf(*request), tikv::CheckSecondaryLocks(snapshot, concurrency, asked))
KVJURY_WRITE(Flush, KeysOf(*request), tikv::Flush(snapshot, concurrency, asked))
KVJURY_WRITE(DeleteRange, {}, tikv::DeleteRange(asked))

#undef KVJURY_WRITE

StoreService::Answer<kvrpcpb::PrewriteResponse> StoreService::Prewrite(Ptr<kvrpcpb::PrewriteRequest> request,
                                                                       sim::CallContext context) {
  if (std::optional<kvrpcpb::KeyError> wrong = WrongApiVersion(request->context(), "prewrite")) {
    kvrpcpb::PrewriteResponse response;
    *response.add_errors() = std::move(*wrong);
    co_return response;
  }
  StoreCalls::Compute<kvrpcpb::PrewriteRequest, kvrpcpb::PrewriteResponse> compute =
      [](const Snapshot& snapshot, const RegionBounds&, ConcurrencyManager* concurrency,
         const kvrpcpb::PrewriteRequest& asked) { return tikv::Prewrite(snapshot, concurrency, asked); };
  auto writing = calls_.Write<kvrpcpb::PrewriteRequest, kvrpcpb::PrewriteResponse>(request, context, KeysOf(*request),
                                                                           std::move(compute));
  co_return co_await std::move(writing);
}

namespace {

// The keys whose locks a batch changes.
std::vector<Bytes> LockedKeysOf(const WriteBatch& batch) {
  std::vector<Bytes> keys;
  for (const WriteBatch::Operation& operation : batch.operations) {
    if (operation.cf == ColumnFamily::kLock) {
      keys.push_back(operation.key);
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace

StoreService::Answer<kvrpcpb::ResolveLockResponse> StoreService::ResolveLock(Ptr<kvrpcpb::ResolveLockRequest> request,
                                                                             sim::CallContext context) {
  const StoreRunPtr run = cluster_->Run(store_);
  sim::Task<Result<std::optional<errorpb::Error>>> admitting = calls_.Admit(run, request->context(), kWriteUs, context);
  Result<std::optional<errorpb::Error>> admitted = co_await std::move(admitting);
  if (!admitted.ok()) {
    co_return admitted.error();
  }
  if (admitted->has_value()) {
    co_return RegionErrorOf<kvrpcpb::ResolveLockResponse>(std::move(**admitted));
  }
  // Without keys it is for every lock of the transaction that is in the region when the latches are held.
  std::vector<Bytes> keys = KeysOf(*request);
  const bool whole_region = keys.empty();
  if (whole_region) {
    keys = LockedKeysOf(
        tikv::ResolveLock(cluster_->engine().Latest(), calls_.BoundsOf(request->context()), *request).writes);
  }
  sim::Task<Latches::Guard> latching = run->memory.latches->Acquire(keys, context.label.hash());
  const Latches::Guard guard = co_await std::move(latching);
  StoreCalls::Compute<kvrpcpb::ResolveLockRequest, kvrpcpb::ResolveLockResponse> compute =
      [whole_region, keys](const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager*,
                           const kvrpcpb::ResolveLockRequest& asked) {
        auto result = tikv::ResolveLock(snapshot, region, asked);
        if (whole_region && LockedKeysOf(result.writes) != keys) {
          // Something moved while we waited: the caller finds out by scanning again, as after any partial resolve.
          kvrpcpb::ResolveLockRequest narrowed = asked;
          for (const Bytes& key : keys) {
            narrowed.add_keys(UserKey(key));
          }
          result = keys.empty() ? CommandResult<kvrpcpb::ResolveLockResponse>()
                                : tikv::ResolveLock(snapshot, region, narrowed);
        }
        return result;
      };
  auto once = calls_.WriteOnce<kvrpcpb::ResolveLockRequest, kvrpcpb::ResolveLockResponse>(request, context, run,
                                                                                  std::move(compute));
  co_return co_await std::move(once);
}

StoreService::Answer<kvrpcpb::UnsafeDestroyRangeResponse> StoreService::UnsafeDestroyRange(
    Ptr<kvrpcpb::UnsafeDestroyRangeRequest> request, sim::CallContext context) {
  const StoreRunPtr run = cluster_->Run(store_);
  sim::Task<bool> working = cluster_->Work(store_, run, kWriteUs, context.label.hash());
  if (!co_await std::move(working)) {
    co_return StoreIsDown();
  }
  // The store's own data only; replicas are positions of one engine here, so the first store that is asked does it for all.
  CommandResult<kvrpcpb::UnsafeDestroyRangeResponse> result = tikv::UnsafeDestroyRange(*request);
  if (!result.writes.empty()) {
    cluster_->ApplyBatch(std::move(result.writes));
  }
  cluster_->Log(store_, "destroy range", context.label.hash());
  co_return std::move(result.response);
}

}  // namespace kvjury::tikv
