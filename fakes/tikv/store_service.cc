#include "fakes/tikv/store_service.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_commit.h"
#include "fakes/tikv/commands_debug.h"
#include "fakes/tikv/commands_pessimistic.h"
#include "fakes/tikv/commands_prewrite.h"
#include "fakes/tikv/commands_range.h"
#include "fakes/tikv/commands_read.h"
#include "fakes/tikv/commands_rollback.h"
#include "fakes/tikv/commands_status.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

constexpr Micros kWaitPollUs = 20'000;
constexpr int64_t kWaitDefaultMs = 1'000;

std::optional<kvrpcpb::KeyError> WrongApiVersion(const kvrpcpb::Context& context, const char* command) {
  if (context.api_version() == kvrpcpb::V1) {
    return std::nullopt;
  }
  return AbortError("Error(ApiVersionNotMatched { cmd: " + std::string(command) + ", storage_api_version: V1, req_api_version: " +
                    kvrpcpb::APIVersion_Name(context.api_version()) + " })");
}

}  // namespace

StoreService::StoreService(Cluster* cluster, StoreId store)
    : cluster_(cluster), store_(store), calls_(cluster, store), raw_(&calls_), backup_(cluster, store), import_(cluster, store) {
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
  methods_.Add(kKvPessimisticLock, this, &StoreService::PessimisticLock);
  methods_.Add(kKvPessimisticRollback, this, &StoreService::PessimisticRollback);
  methods_.Add(kKvDeleteRange, this, &StoreService::DeleteRange);
  methods_.Add(kUnsafeDestroyRange, this, &StoreService::UnsafeDestroyRange);
  methods_.Add(kMvccGetByKey, this, &StoreService::MvccGetByKey);
  methods_.Add(kMvccGetByStartTs, this, &StoreService::MvccGetByStartTs);
  methods_.Add(kSplitRegion, this, &StoreService::SplitRegion);
  raw_.Register(&methods_);
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

StoreService::Answer<kvrpcpb::PessimisticRollbackResponse> StoreService::PessimisticRollback(
    Ptr<kvrpcpb::PessimisticRollbackRequest> request, sim::CallContext context) {
  StoreCalls::Compute<kvrpcpb::PessimisticRollbackRequest, kvrpcpb::PessimisticRollbackResponse> compute =
      [](const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager*,
         const kvrpcpb::PessimisticRollbackRequest& asked) { return tikv::PessimisticRollback(snapshot, region, asked); };
  auto writing = calls_.Write<kvrpcpb::PessimisticRollbackRequest, kvrpcpb::PessimisticRollbackResponse>(
      request, context, KeysOf(*request), std::move(compute));
  co_return co_await std::move(writing);
}

StoreService::Answer<kvrpcpb::PessimisticLockResponse> StoreService::PessimisticLock(
    Ptr<kvrpcpb::PessimisticLockRequest> request, sim::CallContext context) {
  StoreCalls::Compute<kvrpcpb::PessimisticLockRequest, kvrpcpb::PessimisticLockResponse> compute =
      [](const Snapshot& snapshot, const RegionBounds&, ConcurrencyManager* concurrency,
         const kvrpcpb::PessimisticLockRequest& asked) {
        return tikv::AcquirePessimisticLock(snapshot, concurrency, asked);
      };
  const int64_t wait_ms = request->wait_timeout() == 0 ? kWaitDefaultMs : std::min(request->wait_timeout(), kWaitDefaultMs);
  const Micros give_up_us = cluster_->world()->scheduler().now_us() + std::max<int64_t>(wait_ms, 0) * 1000;
  while (true) {
    auto writing = calls_.Write<kvrpcpb::PessimisticLockRequest, kvrpcpb::PessimisticLockResponse>(request, context,
                                                                                           KeysOf(*request), compute);
    Result<kvrpcpb::PessimisticLockResponse> response = co_await std::move(writing);
    const bool locked = response.ok() && response->errors_size() > 0 && response->errors(0).has_locked();
    if (!locked || cluster_->world()->scheduler().now_us() + kWaitPollUs > give_up_us) {
      co_return response;
    }
    co_await cluster_->world()->scheduler().Sleep(kWaitPollUs, context.label.hash());
  }
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

// --- splits ---

std::optional<errorpb::Error> StoreService::CheckSplitKeys(const kvrpcpb::SplitRegionRequest& request,
                                                           std::vector<Bytes>* keys) const {
  const Region* region = cluster_->regions().Find(RegionId(request.context().region_id()));
  CHECK(region != nullptr) << "checked before";
  for (const Bytes& key : *keys) {
    if (!region->Contains(key)) {
      return KeyNotInRegionError(key, *region);
    }
  }
  if (region->merging) {
    return ProposalInMergingModeError(region->id);
  }
  return std::nullopt;
}

StoreService::Answer<kvrpcpb::SplitRegionResponse> StoreService::SplitRegion(Ptr<kvrpcpb::SplitRegionRequest> request,
                                                                             sim::CallContext context) {
  using Response = kvrpcpb::SplitRegionResponse;
  const StoreRunPtr run = cluster_->Run(store_);
  sim::Task<Result<std::optional<errorpb::Error>>> admitting = calls_.Admit(run, request->context(), kWriteUs, context);
  Result<std::optional<errorpb::Error>> admitted = co_await std::move(admitting);
  if (!admitted.ok()) {
    co_return admitted.error();
  }
  if (admitted->has_value()) {
    co_return RegionErrorOf<Response>(std::move(**admitted));
  }
  const RegionId id(request->context().region_id());
  // An empty key is a key like any other here: it makes a boundary at its encoded form.
  std::vector<Bytes> keys;
  for (const Bytes& key : request->split_keys()) {
    keys.push_back(request->is_raw_kv() ? key : EncodeKey(key));
  }
  if (keys.empty() && !request->split_key().empty()) {
    keys.push_back(request->is_raw_kv() ? request->split_key() : EncodeKey(request->split_key()));
  }
  if (keys.empty()) {
    co_return RegionErrorOf<Response>(MessageError(
        "\"[components/raftstore/src/store/util.rs:1840]: [region " + std::to_string(id.value()) + "] " +
        std::to_string(request->context().peer().id()) + " no split key is specified.\""));
  }
  std::sort(keys.begin(), keys.end());
  if (std::optional<errorpb::Error> error = CheckSplitKeys(*request, &keys)) {
    co_return RegionErrorOf<Response>(std::move(*error));
  }
  // Ids are asked for before repetitions and the region's own start are dropped, as TiKV does.
  std::vector<Bytes> cuts;
  std::vector<NewRegionIds> ids;
  for (const Bytes& key : keys) {
    NewRegionIds fresh = cluster_->AllocateRegionIds();
    if (key != cluster_->regions().Find(id)->start && (cuts.empty() || cuts.back() != key)) {
      cuts.push_back(key);
      ids.push_back(std::move(fresh));
    }
  }
  if (cuts.empty()) {
    co_return RegionErrorOf<Response>(MessageError(
        "Coprocessor [components/raftstore/src/coprocessor/split_observer.rs:153]: no valid key found for split."));
  }
  std::vector<metapb::Region> pieces;
  sim::Task<ProposalEnd> proposing =
      cluster_->Propose(id, store_, context.label, [cluster = cluster_, id, &cuts, &ids, &pieces]() {
        for (const Region* piece : cluster->SplitNow(id, cuts, ids)) {
          pieces.push_back(piece->ToProto());
        }
      });
  const ProposalEnd end = co_await std::move(proposing);
  if (!run->alive) {
    co_return StoreIsDown();
  }
  if (std::optional<errorpb::Error> error = cluster_->ProposalError(end, store_, request->context())) {
    co_return RegionErrorOf<Response>(std::move(*error));
  }
  Response response;
  for (const metapb::Region& piece : pieces) {
    *response.add_regions() = piece;
  }
  if (pieces.size() == 2) {
    *response.mutable_left() = pieces[0];
    *response.mutable_right() = pieces[1];
  }
  cluster_->Log(store_, "split", context.label.hash(), pieces.size());
  co_return response;
}

}  // namespace kvjury::tikv
