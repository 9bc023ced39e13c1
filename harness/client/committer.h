// Committer: commits the buffered writes of one optimistic transaction, as client-go does.
//
// Prewrite in batches of 16 KiB by region, the primary (smallest key) among them; then the primary is committed at a new
// timestamp, and the others in the background. Async commit (at most 256 keys and 4096 bytes of keys): committed when the
// last prewrite succeeds, at the largest min_commit_ts. 1PC: one batch, committed by its prewrite. The store may decline
// either, and the transaction goes on in two phases.
// Undetermined, exactly when client-go says so: the reply of the primary's commit was lost and no later attempt brought one;
// or, under async commit and 1PC, a prewrite failed after one of its replies was lost.
// Known and kept as in client-go: when a 1PC whose reply was lost falls back to plain two phases on its retry, the commit
// timestamp that is reported is not the one of the records.
// Not modelled: pessimistic transactions, assertions, heartbeats of transactions above 32 MiB, schema checks.
// Source: client-go v2.0.7 txnkv/transaction.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "harness/client/kv.h"
#include "harness/client/lock_resolver.h"

namespace kvjury::client {

class Committer : public std::enable_shared_from_this<Committer> {
 public:
  /// `writes` (no value: delete) must not be empty. `began_us`: when the transaction took its timestamp.
  Committer(Services services, LockResolver* resolver, Timestamp start_ts, Micros began_us,
            std::map<Bytes, std::optional<Bytes>> writes, LabelsPtr labels);

  /// Errors: kConflict, kUndetermined, kUnavailable, kRejected, kDataLoss, kCancelled. Suspends. Once.
  sim::Task<Result<CommitInfo>> Execute();

  [[nodiscard]] const Bytes& primary() const { return writes_.front().first; }

 private:
  using Self = std::shared_ptr<Committer>;
  /// Writes [begin, end) of one region.
  struct Batch {
    RegionPtr region;
    size_t begin = 0;
    size_t end = 0;
    bool is_primary = false;
    uint64_t region_keys = 0;  // of this transaction in the region
  };
  enum class Step { kPrewrite, kCommit, kCleanup };

  void ChooseProtocol();
  sim::Task<Result<CommitInfo>> TryCommit();
  sim::Task<Status> CommitTwoPhase();
  void CleanUpInBackground();
  CommitInfo Committed(CommitMode mode);

  // Batches of [begin, end), the primary's first. Errors as LocateKey.
  sim::Task<Result<std::vector<Batch>>> MakeBatches(size_t begin, size_t end, Step step, Backoffer* backoff);
  [[nodiscard]] size_t WriteSize(size_t index, Step step) const;

  sim::Task<Status> PrewriteRange(size_t begin, size_t end, bool retry, Backoffer* backoff);
  static sim::Task<void> PrewriteInScope(Self self, Batch batch, bool retry, Backoffer backoff,
                                         std::optional<Status>* first_error);
  sim::Task<Status> PrewriteBatch(Batch batch, bool retry, Backoffer* backoff);
  sim::Task<Status> SendPrewrite(Batch batch, bool retry, RegionSender* sender, Backoffer* backoff);
  kvrpcpb::PrewriteRequest MakePrewrite(const Batch& batch, bool retry) const;
  Status OnPrewritten(const kvrpcpb::PrewriteResponse& response);
  sim::Task<Status> ResolvePrewriteLocks(std::shared_ptr<const kvrpcpb::PrewriteResponse> response, Backoffer* backoff);

  sim::Task<Status> CommitRange(size_t begin, size_t end, bool retry, Backoffer* backoff);
  sim::Task<Status> CommitBatches(std::vector<Batch> batches, bool parallel, Backoffer* backoff);
  static sim::Task<void> CommitInScope(Self self, Batch batch, Backoffer backoff, std::optional<Status>* first_error);
  sim::Task<Status> CommitBatch(Batch batch, Backoffer* backoff);
  sim::Task<Status> TakeNewCommitTs(kvrpcpb::CommitTsExpired expired, Backoffer* backoff);
  static sim::Task<void> CommitRangeInBackground(Self self);
  static sim::Task<void> CommitBatchesInBackground(Self self, std::vector<Batch> batches);
  static sim::Task<void> CleanUp(Self self);
  sim::Task<Status> CleanUpRange(size_t begin, size_t end, Backoffer* backoff);

  Services services_;
  LockResolver* resolver_;
  Timestamp start_ts_;
  Micros began_us_;
  std::vector<std::pair<Bytes, std::optional<Bytes>>> writes_;  // by key; the first is the primary
  LabelsPtr labels_;
  uint64_t lock_ttl_ms_ = 0;
  bool async_ = false;
  bool one_phase_ = false;
  uint64_t min_commit_ts_ = 0;
  uint64_t max_commit_ts_ = 0;
  uint64_t one_phase_commit_ts_ = 0;
  Timestamp commit_ts_;
  bool prewrite_cancelled_ = false;
  bool committed_ = false;
  std::optional<Status> undetermined_;
};

}  // namespace kvjury::client
