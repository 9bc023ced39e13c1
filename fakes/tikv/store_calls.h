// StoreCalls: the course that every call to one store takes, whatever it asks for.
//
// A call is checked as TiKV does (store, region, peer, leader, term, epoch), then a command decides. Reads see the leader's
// applied state. Writes hold latches on their keys from before they look until their effect is applied: compute from the
// snapshot and place memory locks in one step, propose, wait, tell those who wait for locks, release.
// Modelled: fixed processing times, planned answers "busy". Not modelled: deadlines inside the store, flow control, priorities.
// Source: TiKV 8.5, src/storage and its scheduler.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fakes/sim/channel.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/region_errors.h"
#include "fakes/tikv/store_config.h"

namespace kvjury::tikv {

/// Processing times.
inline constexpr Micros kReadUs = 100;
inline constexpr Micros kWriteUs = 150;

inline Status StoreIsDown() { return Status::Unavailable("the store is down"); }

/// Releases memory locks when the write has ended, however it ended.
class MemoryLocks {
 public:
  MemoryLocks(StoreRunPtr run, std::vector<MemoryLock> locks) : run_(std::move(run)), locks_(std::move(locks)) {}
  MemoryLocks(const MemoryLocks&) = delete;
  MemoryLocks& operator=(const MemoryLocks&) = delete;
  ~MemoryLocks() { run_->memory.concurrency.Release(locks_); }

 private:
  StoreRunPtr run_;
  std::vector<MemoryLock> locks_;
};

template <class Response>
Response RegionErrorOf(errorpb::Error error) {
  Response response;
  *response.mutable_region_error() = std::move(error);
  return response;
}

/// Whether the request is one that needs a max_ts that is synced with PD.
template <class Request>
bool NeedsMaxTs(const Request&) {
  return false;
}
inline bool NeedsMaxTs(const kvrpcpb::PrewriteRequest& request) { return request.use_async_commit() || request.try_one_pc(); }

class StoreCalls {
 public:
  template <class Message>
  using Ptr = std::shared_ptr<const Message>;
  template <class Message>
  using Answer = sim::Task<Result<Message>>;
  template <class Request, class Response>
  using ReadCommand = void (*)(const Snapshot&, const RegionBounds&, ConcurrencyManager*, const Request&, Response*);
  template <class Request, class Response>
  using Compute =
      std::function<CommandResult<Response>(const Snapshot&, const RegionBounds&, ConcurrencyManager*, const Request&)>;

  /// `config` must outlive it.
  StoreCalls(Cluster* cluster, StoreId store, const StoreConfig* config)
      : cluster_(cluster), store_(store), config_(config) {}

  [[nodiscard]] Cluster* cluster() const { return cluster_; }
  [[nodiscard]] StoreId store() const { return store_; }
  [[nodiscard]] const StoreConfig& config() const { return *config_; }
  [[nodiscard]] RegionBounds BoundsOf(const kvrpcpb::Context& context) const;

  /// Takes the store's time, then the planned "busy", then Check. Unavailable if the store's run is over, kInvalidArgument
  /// for a request that is meant for another cluster; an error to answer; or nothing. Suspends.
  sim::Task<Result<std::optional<errorpb::Error>>> Admit(StoreRunPtr run, const kvrpcpb::Context& context, Micros cost_us,
                                                         const sim::CallContext& call) const;

  /// A read: `read` fills the response from the snapshot of the checked region. Suspends.
  template <class Request, class Response>
  Answer<Response> Read(Ptr<Request> request, sim::CallContext context, ReadCommand<Request, Response> read) const;
  /// A write: latches, `compute`, proposal, release. Suspends.
  template <class Request, class Response>
  Answer<Response> Write(Ptr<Request> request, sim::CallContext context, std::vector<Bytes> keys,
                         Compute<Request, Response> compute) const;
  /// One attempt of a write whose latches are held; the response, with or without a region error. Suspends.
  template <class Request, class Response>
  Answer<Response> WriteOnce(Ptr<Request> request, sim::CallContext context, StoreRunPtr run,
                             Compute<Request, Response> compute) const;

  /// Tells the deadlock detector of a wait, which may end it, and of its end.
  void WaitBegins(const StoreRunPtr& run, const LockWaits::WaiterPtr& waiter) const;
  void WaitEnds(const LockWaits::Waiter& waiter) const;

 private:
  using NewLocks = std::vector<std::pair<Bytes, kvrpcpb::LockInfo>>;
  /// The locks that a batch writes on keys that somebody waits for.
  [[nodiscard]] static NewLocks NewLocksOf(const StoreRunPtr& run, const WriteBatch& writes);
  /// A batch was applied, and its latches are still held: wakes those who wait for what it released, and tells the others for
  /// whom they wait now.
  void TellWaiters(const StoreRunPtr& run, const std::vector<ReleasedLock>& released, const NewLocks& locks) const;

  Cluster* cluster_;
  StoreId store_;
  const StoreConfig* config_;
};

template <class Request, class Response>
StoreCalls::Answer<Response> StoreCalls::Read(Ptr<Request> request, sim::CallContext context,
                                              ReadCommand<Request, Response> read) const {
  const StoreRunPtr run = cluster_->Run(store_);
  sim::Task<Result<std::optional<errorpb::Error>>> admitting = Admit(run, request->context(), kReadUs, context);
  Result<std::optional<errorpb::Error>> admitted = co_await std::move(admitting);
  if (!admitted.ok()) {
    co_return admitted.error();
  }
  if (admitted->has_value()) {
    cluster_->Log(store_, "refuse read", context.label.hash(), request->context().region_id());
    co_return RegionErrorOf<Response>(std::move(**admitted));
  }
  Response response;
  read(cluster_->engine().Latest(), BoundsOf(request->context()), &run->memory.concurrency, *request, &response);
  cluster_->Log(store_, "read", context.label.hash(), cluster_->engine().last_sequence());
  co_return response;
}

template <class Request, class Response>
StoreCalls::Answer<Response> StoreCalls::WriteOnce(Ptr<Request> request, sim::CallContext context, StoreRunPtr run,
                                                   Compute<Request, Response> compute) const {
  const RegionId region(request->context().region_id());
  // Latches may have taken a while: look again before looking at the data.
  if (!run->alive) {
    co_return StoreIsDown();
  }
  if (std::optional<errorpb::Error> error = cluster_->Check(store_, request->context(), false)) {
    co_return RegionErrorOf<Response>(std::move(*error));
  }
  if (NeedsMaxTs(*request) && !cluster_->MaxTsSynced(region)) {
    co_return RegionErrorOf<Response>(MaxTimestampNotSyncedError(region));
  }
  CommandResult<Response> result = compute(cluster_->engine().Latest(), BoundsOf(request->context()),
                                           &run->memory.concurrency, *request);
  const MemoryLocks memory_locks(run, std::move(result.memory_locks));
  cluster_->Log(store_, "write", context.label.hash(), result.writes.operations.size());
  if (result.writes.empty()) {
    co_return std::move(result.response);
  }
  if (cluster_->regions().Find(region)->merging) {
    co_return RegionErrorOf<Response>(ProposalInMergingModeError(region));
  }
  const NewLocks new_locks = NewLocksOf(run, result.writes);
  WriteBatch* writes = &result.writes;
  sim::Task<ProposalEnd> proposing = cluster_->Propose(
      region, store_, context.label, [cluster = cluster_, writes]() { cluster->ApplyBatch(std::move(*writes)); });
  const ProposalEnd end = co_await std::move(proposing);
  if (!run->alive) {
    co_return StoreIsDown();
  }
  if (std::optional<errorpb::Error> error = cluster_->ProposalError(end, store_, request->context())) {
    cluster_->Log(store_, "lost write", context.label.hash(), static_cast<uint64_t>(end));
    co_return RegionErrorOf<Response>(std::move(*error));
  }
  TellWaiters(run, result.released, new_locks);
  co_return std::move(result.response);
}

template <class Request, class Response>
StoreCalls::Answer<Response> StoreCalls::Write(Ptr<Request> request, sim::CallContext context, std::vector<Bytes> keys,
                                               Compute<Request, Response> compute) const {
  const StoreRunPtr run = cluster_->Run(store_);
  sim::Task<Result<std::optional<errorpb::Error>>> admitting = Admit(run, request->context(), kWriteUs, context);
  Result<std::optional<errorpb::Error>> admitted = co_await std::move(admitting);
  if (!admitted.ok()) {
    co_return admitted.error();
  }
  if (admitted->has_value()) {
    cluster_->Log(store_, "refuse write", context.label.hash(), request->context().region_id());
    co_return RegionErrorOf<Response>(std::move(**admitted));
  }
  sim::Task<Latches::Guard> latching = run->memory.latches->Acquire(std::move(keys), context.label.hash());
  const Latches::Guard guard = co_await std::move(latching);
  Answer<Response> once = WriteOnce<Request, Response>(request, context, run, std::move(compute));
  co_return co_await std::move(once);
}

}  // namespace kvjury::tikv
