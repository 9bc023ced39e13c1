// StoreService: what one store answers to transactional calls, and where its backup and import services listen.
//
// A call is checked as TiKV does (store, region, peer, leader, term, epoch), then a command of the transaction layer decides. Reads see
// the leader's applied state. Writes hold latches on their keys from before they look until their effect is applied: compute
// from the snapshot and place memory locks in one step, propose, wait, release.
// Modelled: fixed processing times, waiting of pessimistic locks, splits with TiKV's checks and texts.
// Not modelled: raw key-value calls, follower and stale reads, execution details, flow control, resource groups.
// Source: TiKV 8.5, src/server/service/kv.rs and src/storage; answers of a real 8.5.0.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "fakes/sim/channel.h"
#include "fakes/tikv/backup_service.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/import_service.h"

namespace kvjury::tikv {

class StoreService {
 public:
  StoreService(Cluster* cluster, StoreId store);
  StoreService(const StoreService&) = delete;
  StoreService& operator=(const StoreService&) = delete;

  [[nodiscard]] const sim::MethodTable& methods() const { return methods_; }
  /// Deletes downloaded files with outdated epochs; returns their number.
  size_t CleanUpImports() { return import_.CleanUp(); }

 private:
  template <class Message>
  using Ptr = std::shared_ptr<const Message>;
  template <class Message>
  using Answer = sim::Task<Result<Message>>;

#define KVJURY_HANDLER(name) \
  Answer<kvrpcpb::name##Response> name(Ptr<kvrpcpb::name##Request> request, sim::CallContext context);
  KVJURY_HANDLER(Get)
  KVJURY_HANDLER(Scan)
  KVJURY_HANDLER(BatchGet)
  KVJURY_HANDLER(Prewrite)
  KVJURY_HANDLER(Commit)
  KVJURY_HANDLER(Cleanup)
  KVJURY_HANDLER(BatchRollback)
  KVJURY_HANDLER(ScanLock)
  KVJURY_HANDLER(ResolveLock)
  KVJURY_HANDLER(TxnHeartBeat)
  KVJURY_HANDLER(CheckTxnStatus)
  KVJURY_HANDLER(CheckSecondaryLocks)
  KVJURY_HANDLER(PessimisticLock)
  KVJURY_HANDLER(PessimisticRollback)
  KVJURY_HANDLER(DeleteRange)
  KVJURY_HANDLER(UnsafeDestroyRange)
  KVJURY_HANDLER(MvccGetByKey)
  KVJURY_HANDLER(MvccGetByStartTs)
  KVJURY_HANDLER(SplitRegion)
#undef KVJURY_HANDLER

  /// Takes the store's time, then the planned "busy", then Check. Unavailable if the store's run is over; an error to
  /// answer; or nothing. Suspends.
  sim::Task<Result<std::optional<errorpb::Error>>> Admit(StoreRunPtr run, const kvrpcpb::Context& context, Micros cost_us,
                                                         const sim::CallContext& call);

  /// A read: `read` fills the response from the snapshot of the checked region.
  template <class Request, class Response>
  Answer<Response> Read(Ptr<Request> request, sim::CallContext context,
                        void (*read)(const Snapshot&, const RegionBounds&, ConcurrencyManager*, const Request&, Response*));

  /// A write: latches, `compute`, proposal, release.
  template <class Request, class Response>
  using Compute =
      std::function<CommandResult<Response>(const Snapshot&, const RegionBounds&, ConcurrencyManager*, const Request&)>;
  template <class Request, class Response>
  Answer<Response> Write(Ptr<Request> request, sim::CallContext context, std::vector<Bytes> keys,
                         Compute<Request, Response> compute);
  /// One attempt of a write whose latches are held; the response, with or without a region error.
  template <class Request, class Response>
  Answer<Response> WriteOnce(Ptr<Request> request, sim::CallContext context, StoreRunPtr run,
                             Compute<Request, Response> compute);
  [[nodiscard]] RegionBounds BoundsOf(const kvrpcpb::Context& context) const;
  std::optional<errorpb::Error> CheckSplitKeys(const kvrpcpb::SplitRegionRequest& request, std::vector<Bytes>* keys) const;

  Cluster* cluster_;
  StoreId store_;
  sim::MethodTable methods_;
  BackupService backup_;
  ImportService import_;
};

}  // namespace kvjury::tikv
