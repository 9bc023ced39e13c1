// StoreService: what one store answers to transactional calls, and where its backup and import services listen.
//
// The course of a call is in store_calls.h; pessimistic locks, raw key-value calls, splits and what a store says of itself have
// services of their own.
// Not modelled: flashback, coprocessors, follower and stale reads, execution details, flow control, resource groups.
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
#include "fakes/tikv/pessimistic_service.h"
#include "fakes/tikv/raw_service.h"
#include "fakes/tikv/split_service.h"
#include "fakes/tikv/store_calls.h"
#include "fakes/tikv/store_config.h"
#include "fakes/tikv/store_status.h"

namespace kvjury::tikv {

class StoreService {
 public:
  /// `store` as PD knows it.
  StoreService(Cluster* cluster, const metapb::Store& store);
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
  KVJURY_HANDLER(DeleteRange)
  KVJURY_HANDLER(UnsafeDestroyRange)
  KVJURY_HANDLER(MvccGetByKey)
  KVJURY_HANDLER(MvccGetByStartTs)
  KVJURY_HANDLER(Flush)
  KVJURY_HANDLER(BufferBatchGet)
#undef KVJURY_HANDLER


  Cluster* cluster_;
  StoreId store_;
  sim::MethodTable methods_;
  StoreConfig config_;
  StoreCalls calls_;
  PessimisticService locks_;
  RawService raw_;
  SplitService splits_;
  StoreStatus status_;
  BackupService backup_;
  ImportService import_;
};

}  // namespace kvjury::tikv
