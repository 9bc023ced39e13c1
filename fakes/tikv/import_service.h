// ImportService: the part of import_sstpb.ImportSST that a restore of a backup uses, at one store.
//
// Download fetches a backup file into the store's import folder, clipped to a range of encoded keys; MultiIngest proposes to take
// downloaded files into a region. As in TiKV: the region and epoch are not looked at when downloading, digests are never
// compared, only the length and the file's own checksums; ingesting looks at no locks, versions or max_ts.
// Modelled: fast path (the file as it is) and slow path (clipping, prefix and timestamp rewriting), decryption, storages cached by
// name, waiting for the same download, the speed limit of a store in virtual time, on uncompressed bytes (behind real ports on those of the file, as TiKV does), the checks and words of both calls,
// suspended imports, clearing, import mode that ends by itself, the clean-up of files with outdated epochs. Compact does nothing, since
// there is nothing to compact. A download is offloaded; ingesting is one step, as long as the file.
// As in 8.5.0 these are UNIMPLEMENTED: GetMode, BatchDownload, AddForcePartitionRange, RemoveForcePartitionRange.
// Not modelled, and UNIMPLEMENTED too: Upload, Write, RawWrite, Apply, DuplicateDetect. Not modelled: disk and memory limits, write
// stalls (import mode changes nothing), request type "keyspace", peers that lack a file (the folder counts as the region's).
// Source: TiKV 8.5, src/import and components/sst_importer; answers of a real 8.5.0.
#pragma once

#include "fakes/sim/channel.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/import_rewrite.h"

namespace kvjury::tikv {

class ImportService {
 public:
  ImportService(Cluster* cluster, StoreId store) : cluster_(cluster), store_(store) {}
  ImportService(const ImportService&) = delete;
  ImportService& operator=(const ImportService&) = delete;

  void Register(sim::MethodTable* methods);
  /// Deletes files whose region is gone or has another epoch: what TiKV does every ten minutes. Returns their number.
  size_t CleanUp();

 private:
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;

  Answer<import_sstpb::SwitchModeResponse> SwitchMode(Ptr<import_sstpb::SwitchModeRequest> request,
                                                      sim::CallContext context);
  Answer<import_sstpb::DownloadResponse> Download(Ptr<import_sstpb::DownloadRequest> request, sim::CallContext context);
  Answer<import_sstpb::IngestResponse> IngestOne(Ptr<import_sstpb::IngestRequest> request, sim::CallContext context);
  Answer<import_sstpb::IngestResponse> MultiIngest(Ptr<import_sstpb::MultiIngestRequest> request,
                                                   sim::CallContext context);
  Answer<import_sstpb::SetDownloadSpeedLimitResponse> SetDownloadSpeedLimit(
      Ptr<import_sstpb::SetDownloadSpeedLimitRequest> request, sim::CallContext context);
  Answer<import_sstpb::ClearResponse> ClearFiles(Ptr<import_sstpb::ClearRequest> request, sim::CallContext context);
  Answer<import_sstpb::CompactResponse> Compact(Ptr<import_sstpb::CompactRequest> request, sim::CallContext context);
  Answer<import_sstpb::SuspendImportRPCResponse> SuspendImportRpc(Ptr<import_sstpb::SuspendImportRPCRequest> request,
                                                                  sim::CallContext context);

  Result<objects::ObjectStore*> StorageOf(const import_sstpb::DownloadRequest& request, StoreMemory* memory);
  sim::Task<Result<import_sstpb::DownloadResponse>> Fetch(const import_sstpb::DownloadRequest& request, StoreRunPtr run,
                                                          sim::CallContext context);
  /// Waits as long as the speed limit says. Suspends.
  sim::Task<void> Throttle(StoreRunPtr run, uint64_t bytes, uint64_t order);
  /// Puts the file into the import folder; the answer says what it holds.
  static import_sstpb::DownloadResponse Keep(const import_sstpb::SSTMeta& meta, ImportedFile file, StoreMemory* memory);
  /// At apply: the region error that refuses the files, or nothing and the records are in the engine.
  std::optional<errorpb::Error> Ingest(const import_sstpb::MultiIngestRequest& request,
                                       const std::vector<StoreMemory::ImportFile>& files);

  Cluster* cluster_;
  StoreId store_;
};

}  // namespace kvjury::tikv
