// BackupService: the stream /backup.Backup/backup of one store.
//
// The store answers for every region it leads inside the requested ranges: the range, clamped to the request, and its files,
// or the range without files when it holds nothing, or an error. Per region in this order: raise max_ts to the backup
// timestamp, look at memory locks, check the region, take a snapshot, scan, upload. A region may be answered in pieces when
// its files grow too large; an error answers no range and other regions go on. A raw backup reads one family as it stands, without
// timestamps or locks, in one piece a region.
// Modelled: batches of 1024 entries, splitting, names, checksums, compression, encryption, locks, region errors, failing uploads,
// missing folders, the rate limit of a request in virtual time, on uncompressed bytes (behind real ports on those of the files, as TiKV does). Region boundaries are decoded as TiKV does: one at the
// encoded empty key is answered as "no bound". One worker a request: regions are read in key order, and `concurrency` has no
// effect, as in TiKV. Building, compressing, encrypting and uploading is offloaded, and a long scan gives way to others.
// Not modelled: reads on followers (only led regions are answered, whatever the request says), conversion of raw keys to API version
// 2 (answered with an error), HDFS and cloud storages (refused as a TiKV built without them does).
// Source: TiKV 8.5, components/backup; answers of a real 8.5.0. Sites of planted bugs: max-ts-not-pushed, memory-lock-unseen,
// one-key-of-a-pair, last-region-empty-end-key.
// Determinism: nothing of a file's bytes, size or digest enters a decision.
#pragma once

#include "fakes/sim/channel.h"
#include "fakes/tikv/backup_scan.h"
#include "fakes/tikv/cluster.h"
#include "proto/tikv/backup.pb.h"

namespace kvjury::tikv {

class BackupService {
 public:
  BackupService(Cluster* cluster, StoreId store) : cluster_(cluster), store_(store) {}
  BackupService(const BackupService&) = delete;
  BackupService& operator=(const BackupService&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  struct Job;
  struct RegionScan;

  sim::Task<Status> Backup(std::shared_ptr<const backup::BackupRequest> request, sim::CallContext context,
                           sim::StreamWriter* writer);
  /// What the whole request needs: cipher, storage. The error to answer if it is not to be had.
  std::optional<backup::Error> Prepare(Job* job);
  sim::Task<Status> BackupRange(Job* job, Bytes start, Bytes end);
  sim::Task<Status> BackupRegion(Job* job, kvrpcpb::Context region, Bytes start, Bytes end);
  /// Before the snapshot: nothing, or the error to answer.
  std::optional<backup::Error> PrepareRead(const Job& job, const kvrpcpb::Context& region, std::string_view start,
                                           std::string_view end);
  /// Reads the region to its end, finishing files on the way. Nothing if all is well, or the error to answer.
  sim::Task<Result<std::optional<backup::Error>>> ScanRegion(Job* job, RegionScan* scan, BackupEntryScanner* scanner);
  sim::Task<BackupBatch> NextBatch(BackupEntryScanner* scanner);
  sim::Task<Status> FinishFiles(Job* job, RegionScan* scan, Bytes end);
  /// Fills in the files of the answer, or its error.
  sim::Task<void> SaveFiles(Job* job, RegionScan* scan, backup::BackupResponse* response);
  static sim::Task<Status> Send(Job* job, backup::BackupResponse response);
  static sim::Task<Status> SendError(Job* job, backup::Error error);

  Cluster* cluster_;
  StoreId store_;
};

}  // namespace kvjury::tikv
