// FateReader: what a transaction did whose lock is in the way of a read, found out by reads alone.
//
// A passive client may not resolve locks. It asks the store of the primary, and of an async-commit transaction those of all its
// keys, for their locks (KvScanLock, which raises max_ts to the read's timestamp) and then for their records (MvccGetByKey):
//   a commit                                    its timestamp decides
//   a rollback                                  nothing was written
//   neither a lock nor a record                 the key is prewritten later, if at all: above max_ts, or with a commit timestamp that
//                                               PD gives out later still. Not visible at the read
//   all keys locked for async commit            committed, at the largest min_commit_ts
//   a lock whose min_commit_ts is above         it commits above the read
//   any other lock of two phases, a lock in     undecided: its owner may have a commit timestamp below the read that it has not used
//   a store's memory                            yet. max_ts does not bind it, only CheckTxnStatus would, which writes
// The read's timestamp must be one that PD gave out before.
// Source: TiKV 8.5 (async commit, KvScanLock, MvccGetByKey); client-go v2.0.7 resolves by the same rules, writing.
#pragma once

#include <map>
#include <optional>

#include "harness/client/region_request.h"

namespace kvjury::client {

class FateReader {
 public:
  FateReader(Services services, Timestamp version) : services_(services), version_(version) {}

  enum class Fate { kUndecided, kNotVisible, kCommitted };
  /// Errors: kUnavailable, kRejected, kDataLoss, kCancelled. Suspends.
  sim::Task<Result<Fate>> Find(kvrpcpb::LockInfo lock, Backoffer* backoff);

  /// The timestamps of the version of `key` that is visible, one that a lock stands for included. Errors: as Find; kUndetermined
  /// when there is none (any more). Suspends.
  struct Version {
    Timestamp start_ts;
    Timestamp commit_ts;
  };
  sim::Task<Result<Version>> VersionOf(Bytes key, Backoffer* backoff);

 private:
  // What one key of a transaction says of it.
  struct KeySays {
    bool in_memory = false;  // a lock that is not written yet
    std::optional<kvrpcpb::LockInfo> lock;
    std::optional<Timestamp> commit_ts;
  };
  sim::Task<Result<KeySays>> Ask(Bytes key, Timestamp start_ts, Backoffer* backoff);
  sim::Task<Result<kvrpcpb::ScanLockResponse>> ScanLock(Bytes key, Backoffer* backoff);
  sim::Task<Result<kvrpcpb::MvccInfo>> Records(Bytes key, Backoffer* backoff);
  sim::Task<Result<Fate>> Decide(kvrpcpb::LockInfo lock, Backoffer* backoff);
  sim::Task<Result<Fate>> DecideAsync(kvrpcpb::LockInfo primary, Backoffer* backoff);
  Fate Committed(Timestamp start_ts, Timestamp commit_ts);

  Services services_;
  Timestamp version_;
  // By start timestamp: decided fates, and the commit timestamps of those that committed at or below the read.
  std::map<uint64_t, Fate> known_;
  std::map<uint64_t, Timestamp> commits_;
};

}  // namespace kvjury::client
