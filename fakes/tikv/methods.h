// The methods of TiKV that this project serves and calls, as typed constants.
//
// Source: services tikvpb.Tikv, backup.Backup (lower-case method names) and import_sstpb.ImportSST of kvproto (TiKV 8.5).
#pragma once

#include <string>

#include "fakes/base/ids.h"
#include "fakes/sim/channel.h"
#include "proto/tikv/backup.pb.h"
#include "proto/tikv/import_sstpb.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::tikv {

/// The address of a store in the simulation, as metapb.Store.address says it.
inline sim::Address StoreAddress(StoreId store) { return "store-" + std::to_string(store.value()); }
/// The same in a named cluster: "source/store-1".
inline sim::Address StoreAddress(const std::string& cluster, StoreId store) {
  return cluster.empty() ? StoreAddress(store) : cluster + "/" + StoreAddress(store);
}

#define KVJURY_TIKV_METHOD(constant, method, message)                                                     \
  inline constexpr sim::UnaryMethod<kvrpcpb::message##Request, kvrpcpb::message##Response> constant{      \
      "/tikvpb.Tikv/" method}

KVJURY_TIKV_METHOD(kKvGet, "KvGet", Get);
KVJURY_TIKV_METHOD(kKvScan, "KvScan", Scan);
KVJURY_TIKV_METHOD(kKvBatchGet, "KvBatchGet", BatchGet);
KVJURY_TIKV_METHOD(kKvPrewrite, "KvPrewrite", Prewrite);
KVJURY_TIKV_METHOD(kKvCommit, "KvCommit", Commit);
KVJURY_TIKV_METHOD(kKvCleanup, "KvCleanup", Cleanup);
KVJURY_TIKV_METHOD(kKvBatchRollback, "KvBatchRollback", BatchRollback);
KVJURY_TIKV_METHOD(kKvScanLock, "KvScanLock", ScanLock);
KVJURY_TIKV_METHOD(kKvResolveLock, "KvResolveLock", ResolveLock);
KVJURY_TIKV_METHOD(kKvTxnHeartBeat, "KvTxnHeartBeat", TxnHeartBeat);
KVJURY_TIKV_METHOD(kKvCheckTxnStatus, "KvCheckTxnStatus", CheckTxnStatus);
KVJURY_TIKV_METHOD(kKvCheckSecondaryLocks, "KvCheckSecondaryLocks", CheckSecondaryLocks);
KVJURY_TIKV_METHOD(kKvPessimisticLock, "KvPessimisticLock", PessimisticLock);
KVJURY_TIKV_METHOD(kKvPessimisticRollback, "KVPessimisticRollback", PessimisticRollback);
KVJURY_TIKV_METHOD(kGetLockWaitInfo, "GetLockWaitInfo", GetLockWaitInfo);
KVJURY_TIKV_METHOD(kKvFlush, "KvFlush", Flush);
KVJURY_TIKV_METHOD(kKvBufferBatchGet, "KvBufferBatchGet", BufferBatchGet);
KVJURY_TIKV_METHOD(kKvDeleteRange, "KvDeleteRange", DeleteRange);
KVJURY_TIKV_METHOD(kUnsafeDestroyRange, "UnsafeDestroyRange", UnsafeDestroyRange);
KVJURY_TIKV_METHOD(kMvccGetByKey, "MvccGetByKey", MvccGetByKey);
KVJURY_TIKV_METHOD(kMvccGetByStartTs, "MvccGetByStartTs", MvccGetByStartTs);
KVJURY_TIKV_METHOD(kSplitRegion, "SplitRegion", SplitRegion);
KVJURY_TIKV_METHOD(kGetStoreSafeTs, "GetStoreSafeTS", StoreSafeTS);
KVJURY_TIKV_METHOD(kCheckLeader, "CheckLeader", CheckLeader);
KVJURY_TIKV_METHOD(kGetHealthFeedback, "GetHealthFeedback", GetHealthFeedback);
KVJURY_TIKV_METHOD(kBroadcastTxnStatus, "BroadcastTxnStatus", BroadcastTxnStatus);
KVJURY_TIKV_METHOD(kRawGet, "RawGet", RawGet);
KVJURY_TIKV_METHOD(kRawBatchGet, "RawBatchGet", RawBatchGet);
KVJURY_TIKV_METHOD(kRawPut, "RawPut", RawPut);
KVJURY_TIKV_METHOD(kRawBatchPut, "RawBatchPut", RawBatchPut);
KVJURY_TIKV_METHOD(kRawDelete, "RawDelete", RawDelete);
KVJURY_TIKV_METHOD(kRawBatchDelete, "RawBatchDelete", RawBatchDelete);
KVJURY_TIKV_METHOD(kRawScan, "RawScan", RawScan);
KVJURY_TIKV_METHOD(kRawBatchScan, "RawBatchScan", RawBatchScan);
KVJURY_TIKV_METHOD(kRawDeleteRange, "RawDeleteRange", RawDeleteRange);
KVJURY_TIKV_METHOD(kRawGetKeyTtl, "RawGetKeyTTL", RawGetKeyTTL);
KVJURY_TIKV_METHOD(kRawCompareAndSwap, "RawCompareAndSwap", RawCAS);
KVJURY_TIKV_METHOD(kRawChecksum, "RawChecksum", RawChecksum);

#undef KVJURY_TIKV_METHOD

inline constexpr sim::ServerStreamMethod<::backup::BackupRequest, ::backup::BackupResponse> kBackup{
    "/backup.Backup/backup"};

inline constexpr sim::UnaryMethod<import_sstpb::SwitchModeRequest, import_sstpb::SwitchModeResponse> kSwitchMode{
    "/import_sstpb.ImportSST/SwitchMode"};
inline constexpr sim::UnaryMethod<import_sstpb::DownloadRequest, import_sstpb::DownloadResponse> kDownload{
    "/import_sstpb.ImportSST/Download"};
inline constexpr sim::UnaryMethod<import_sstpb::IngestRequest, import_sstpb::IngestResponse> kIngest{
    "/import_sstpb.ImportSST/Ingest"};
inline constexpr sim::UnaryMethod<import_sstpb::MultiIngestRequest, import_sstpb::IngestResponse> kMultiIngest{
    "/import_sstpb.ImportSST/MultiIngest"};
inline constexpr sim::UnaryMethod<import_sstpb::SetDownloadSpeedLimitRequest, import_sstpb::SetDownloadSpeedLimitResponse>
    kSetDownloadSpeedLimit{"/import_sstpb.ImportSST/SetDownloadSpeedLimit"};
inline constexpr sim::UnaryMethod<import_sstpb::ClearRequest, import_sstpb::ClearResponse> kClearFiles{
    "/import_sstpb.ImportSST/ClearFiles"};
inline constexpr sim::UnaryMethod<import_sstpb::CompactRequest, import_sstpb::CompactResponse> kImportCompact{
    "/import_sstpb.ImportSST/Compact"};
inline constexpr sim::UnaryMethod<import_sstpb::SuspendImportRPCRequest, import_sstpb::SuspendImportRPCResponse>
    kSuspendImportRpc{"/import_sstpb.ImportSST/SuspendImportRPC"};

}  // namespace kvjury::tikv
