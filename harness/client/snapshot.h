// Snapshot: reads of one transaction from the stores at one timestamp.
//
// Values read once are remembered, except at Timestamp::Max(), where every request sees the latest commit on its own and
// there is no common snapshot. Locks in the way are resolved; locks of transactions that cannot commit below the snapshot
// any more are ignored by later requests (Context.resolved_locks), those that did commit are read through
// (committed_locks). A passive client (messenger.h) resolves none: it finds out by reads what they stand for (fate_reader.h), or waits
// until they are gone.
// Not modelled: key-only and reverse scans, followers' reads, the check against PD's saved GC safe point (JuiceFS never
// writes that key).
// Source: client-go v2.0.7 txnkv/txnsnapshot, batch sizes as JuiceFS 1.4 sets them.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "harness/client/fate_reader.h"
#include "harness/client/kv.h"
#include "harness/client/lock_resolver.h"

namespace kvjury::client {

class Snapshot {
 public:
  Snapshot(Services services, LockResolver* resolver, Timestamp version, LabelsPtr labels)
      : services_(services), resolver_(resolver), version_(version), labels_(std::move(labels)), fates_(services, version) {}

  [[nodiscard]] Timestamp version() const { return version_; }

  /// Errors of all reads: kUnavailable, kRejected, kDataLoss, kCancelled; of a passive client also kUndetermined, for a lock that
  /// stays. Suspends.
  sim::Task<Result<std::optional<Bytes>>> Get(Bytes key);
  sim::Task<Result<std::map<Bytes, Bytes>>> BatchGet(std::vector<Bytes> keys);

  /// Some next pairs of a scan, in key order.
  struct Page {
    std::vector<Pair> pairs;
    /// All keys in front of it are covered; meaningless when `done`.
    Bytes next;
    bool done = false;
  };
  /// The pairs of [start, end) in one region, at most `batch` of them. An empty `end` is unbounded.
  sim::Task<Result<Page>> ScanPage(Bytes start, Bytes end, uint32_t batch);

  /// The timestamps of the versions of some keys that were read, in their order; one message a key, several at once. Of a passive
  /// client. Errors: as Get; kUndetermined for a version that is gone meanwhile.
  sim::Task<Result<std::vector<FateReader::Version>>> VersionsOf(std::vector<Bytes> keys);

 private:
  // What one request for several keys brought.
  struct Batch {
    std::vector<Bytes> keys;  // still to be read
    std::map<Bytes, Bytes> found;
    Status status;
  };
  sim::Task<Result<std::optional<Bytes>>> ReadOne(Bytes key, Backoffer* backoff);
  static sim::Task<void> ReadBatch(Snapshot* self, RegionPtr region, Batch* batch, Backoffer backoff);
  sim::Task<Status> ReadBatchOnce(RegionPtr region, Batch* batch, Backoffer* backoff);
  sim::Task<Status> ResolveLocks(std::vector<kvrpcpb::LockInfo> locks, Backoffer* backoff);
  sim::Task<Status> ResolveLock(kvrpcpb::LockInfo lock, Backoffer* backoff);
  sim::Task<Status> SettleByReads(kvrpcpb::LockInfo lock, Backoffer* backoff);
  sim::Task<Status> WaitForOwner(kvrpcpb::LockInfo lock, Backoffer* backoff);
  static sim::Task<void> ReadVersions(Snapshot* self, const std::vector<Bytes>* keys, size_t* next,
                                      std::vector<FateReader::Version>* versions, Status* status, Backoffer backoff);
  void FillLocks(kvrpcpb::Context* context) const;
  void Remember(const Bytes& key, std::optional<Bytes> value);

  Services services_;
  LockResolver* resolver_;
  Timestamp version_;
  LabelsPtr labels_;
  FateReader fates_;  // of a passive client
  std::set<uint64_t> resolved_locks_;
  std::set<uint64_t> committed_locks_;
  std::map<Bytes, std::optional<Bytes>> cache_;
};

}  // namespace kvjury::client
