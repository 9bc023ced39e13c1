// LockResolver: finds out what became of the transactions whose locks are in the way, and clears their locks.
//
// Asks the primary (CheckTxnStatus); recovers async-commit transactions through their secondaries (CheckSecondaryLocks in
// every region, commit at the largest min_commit_ts, roll back when one is missing, force_sync_commit when one is not
// async); then resolves the met lock alone or, for transactions of 16 keys and more, all of the region. Fates are
// remembered. Readers do not wait for the clearing: it goes on in the background.
// Not modelled: pessimistic locks' own clearing (they are cleared as others), the resolver of a newer client-go that
// resolves through the store's own transaction status cache.
// Source: client-go v2.0.7 txnkv/txnlock; kvrpcpb of TiKV 8.5.
#pragma once

#include <deque>
#include <optional>
#include <set>

#include "harness/client/region_request.h"

namespace kvjury::client {

/// The fate of a transaction as far as it is known.
struct TxnStatus {
  uint64_t ttl_ms = 0;  // not zero: it may still be alive
  Timestamp commit_ts;
  kvrpcpb::Action action = kvrpcpb::NoAction;
  /// Found through the secondaries of an async commit.
  bool recovered = false;
  /// The primary's lock, if it was there.
  std::optional<kvrpcpb::LockInfo> primary_lock;

  [[nodiscard]] bool committed() const { return ttl_ms == 0 && commit_ts.valid(); }
};

struct ResolveOutcome {
  /// Not zero: some transaction is alive for at least this long; wait and ask again.
  int64_t wait_ms = 0;
  /// For reads: start timestamps whose locks are to be ignored, and to be read through.
  std::vector<uint64_t> ignore;
  std::vector<uint64_t> access;
};

struct ResolveOptions {
  Timestamp caller_start_ts;
  /// For a read: may push min_commit_ts and go on; clears locks in the background.
  bool for_read = false;
  /// Takes every lock as expired.
  bool force = false;
};

class LockResolver {
 public:
  explicit LockResolver(Services services) : services_(services) {}

  /// Deals with each lock once. Errors: kUnavailable, kRejected, kDataLoss, kCancelled. Suspends.
  sim::Task<Result<ResolveOutcome>> Resolve(std::vector<kvrpcpb::LockInfo> locks, ResolveOptions options, Backoffer* backoff);

  /// Resolves every lock of [start, end) with a start timestamp up to `below`; waits for transactions that are alive, or
  /// kills them. Returns the number of locks met. Errors as Resolve. Suspends.
  sim::Task<Result<uint64_t>> ResolveBelow(Timestamp below, Bytes start, Bytes end, bool force, LabelsPtr labels);

  /// Decides the fate of a transaction whose client has given up: afterwards it is committed for good (its commit timestamp)
  /// or can never be (no value). Errors as Resolve. Suspends.
  sim::Task<Result<std::optional<Timestamp>>> Settle(Timestamp start_ts, Bytes primary, Backoffer* backoff);

 private:
  using CleanRegions = std::map<uint64_t, std::set<RegionVersion>>;
  // What the secondaries of an async-commit transaction said.
  struct Secondaries {
    uint64_t commit_ts = 0;
    std::vector<Bytes> keys;  // still locked
    bool missing_lock = false;
    bool not_async = false;
  };

  sim::Task<Result<TxnStatus>> ResolveOne(kvrpcpb::LockInfo lock, ResolveOptions options, CleanRegions* clean,
                                          Backoffer* backoff);
  sim::Task<Result<TxnStatus>> StatusFromLock(kvrpcpb::LockInfo lock, ResolveOptions options, bool force_sync_commit,
                                              Backoffer* backoff);
  // No value: the primary is not there.
  sim::Task<Result<std::optional<TxnStatus>>> AskPrimary(kvrpcpb::CheckTxnStatusRequest request, Backoffer* backoff);
  Result<std::optional<TxnStatus>> ReadStatus(const kvrpcpb::CheckTxnStatusRequest& request,
                                              const kvrpcpb::CheckTxnStatusResponse& response);
  sim::Task<Result<std::optional<TxnStatus>>> RecoverAsync(kvrpcpb::LockInfo lock, TxnStatus status, bool in_background,
                                                           Backoffer* backoff);
  sim::Task<Status> CheckSecondaries(std::vector<Bytes> keys, uint64_t start_ts, Secondaries* out, Backoffer* backoff);
  static Status AddSecondaries(const kvrpcpb::CheckSecondaryLocksResponse& response, size_t expected, uint64_t start_ts,
                               Secondaries* out);
  sim::Task<Status> ClearLock(kvrpcpb::LockInfo lock, Timestamp commit_ts, CleanRegions* clean, Backoffer* backoff);
  sim::Task<Status> ClearKeys(std::vector<Bytes> keys, uint64_t start_ts, Timestamp commit_ts, Backoffer* backoff);
  static sim::Task<void> ClearLockInBackground(LockResolver* self, kvrpcpb::LockInfo lock, Timestamp commit_ts,
                                               LabelsPtr labels);
  static sim::Task<void> ClearKeysInBackground(LockResolver* self, std::vector<Bytes> keys, uint64_t start_ts,
                                               Timestamp commit_ts, LabelsPtr labels);
  sim::Task<Result<std::vector<kvrpcpb::LockInfo>>> ScanLocks(RegionPtr region, Timestamp below, Bytes start, Bytes end,
                                                              Backoffer* backoff, bool* moved);
  sim::Task<Status> ResolveUntilGone(std::vector<kvrpcpb::LockInfo> locks, ResolveOptions options, Backoffer* backoff);

  void Remember(uint64_t start_ts, const TxnStatus& status);
  [[nodiscard]] int64_t UntilExpiredMs(uint64_t start_ts, uint64_t ttl_ms) const;

  Services services_;
  std::map<uint64_t, TxnStatus> resolved_;
  std::deque<uint64_t> resolved_order_;
};

}  // namespace kvjury::client
