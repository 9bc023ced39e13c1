// BackupService: the stream /backup.Backup/backup of one store.
//
// The store answers for every region it leads inside the requested ranges: the range, clamped to the request, and its files,
// or the range without files when it holds nothing, or an error. Per region in this order: raise max_ts to the backup
// timestamp, look at memory locks, check the region, take a snapshot, scan, upload. A region may be answered in pieces when
// its files grow too large; an error answers no range and other regions go on.
// Modelled: batches of 1024 entries, splitting, names, checksums, locks, region errors, failing uploads, the rate limit in
// virtual time on uncompressed bytes. Region boundaries are decoded as TiKV does: one at the encoded empty key is answered as
// "no bound". Not modelled: raw mode, encryption, file mode, reads on followers; asking for them is answered with an error.
// Source: TiKV 8.5, components/backup; answers of a real 8.5.0. Sites of planted bugs: max-ts-not-pushed, memory-lock-unseen,
// one-key-of-a-pair, last-region-empty-end-key.
// Determinism: nothing of a file's bytes, size or digest enters a decision.
#pragma once

#include "fakes/sim/channel.h"
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
  struct FilePair;

  sim::Task<Status> Backup(std::shared_ptr<const backup::BackupRequest> request, sim::CallContext context,
                           sim::StreamWriter* writer);
  sim::Task<Status> BackupRange(Job* job, Bytes start, Bytes end);
  sim::Task<Status> BackupRegion(Job* job, kvrpcpb::Context region, Bytes start, Bytes end);
  /// Before the snapshot: nothing, or the error to answer.
  std::optional<backup::Error> PrepareRead(const Job& job, const kvrpcpb::Context& region, std::string_view start,
                                           std::string_view end);
  sim::Task<Status> FinishFiles(Job* job, RegionScan* scan, Bytes end);
  sim::Task<Result<backup::File>> Upload(Job* job, const RegionScan* scan, std::string name, std::string cf, Bytes content);
  static sim::Task<Status> Send(Job* job, backup::BackupResponse response);
  static sim::Task<Status> SendError(Job* job, backup::Error error);

  Cluster* cluster_;
  StoreId store_;
};

}  // namespace kvjury::tikv
