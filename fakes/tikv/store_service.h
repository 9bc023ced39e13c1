// StoreService: what one store answers to transactional calls, and where its backup and import services listen.
//
// The course of a call is in store_calls.h; raw key-value calls are in raw_service.h.
// Modelled: waiting of pessimistic locks, splits with TiKV's checks and texts.
// Not modelled: follower and stale reads, execution details, flow control, resource groups.
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
#include "fakes/tikv/raw_service.h"
#include "fakes/tikv/store_calls.h"

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
  using Ptr = StoreCalls::Ptr<Message>;
  template <class Message>
  using Answer = StoreCalls::Answer<Message>;

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

  std::optional<errorpb::Error> CheckSplitKeys(const kvrpcpb::SplitRegionRequest& request, std::vector<Bytes>* keys) const;

  Cluster* cluster_;
  StoreId store_;
  sim::MethodTable methods_;
  StoreCalls calls_;
  RawService raw_;
  BackupService backup_;
  ImportService import_;
};

}  // namespace kvjury::tikv
