// Transactional key-value access as JuiceFS uses it: what writers, tools and the judge program against.
//
// Implemented by the client (client.h) over any channel, and by small in-memory stores in tests. Optimistic transactions
// only. Keys and values are user bytes; a value may not be empty (TiKV's client refuses it).
// Source: what JuiceFS 1.4 asks of its TiKV client.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "fakes/sim/label.h"
#include "fakes/sim/scheduler.h"
#include "fakes/sim/task.h"

namespace kvjury::client {

using Pair = std::pair<Bytes, Bytes>;

enum class CommitMode {
  kNothing,   // nothing was written: no message was sent
  kOnePhase,
  kAsync,
  kTwoPhase,
};

struct CommitInfo {
  Timestamp commit_ts;  // invalid for kNothing
  CommitMode mode = CommitMode::kNothing;
};

class Transaction {
 public:
  virtual ~Transaction() = default;

  /// Timestamp::Max() for point reads of the latest committed values; such a transaction cannot write.
  [[nodiscard]] virtual Timestamp start_ts() const = 0;

  /// The key whose record decides the fate of the writes: the smallest one buffered; empty when nothing is.
  [[nodiscard]] virtual Bytes primary_key() const { return Bytes(); }

  /// The value visible at start_ts, own writes included. Errors: kUnavailable (back-off budget used up), kRejected (the store
  /// refuses for good), kDataLoss (the cluster contradicts itself), kCancelled. Suspends.
  virtual sim::Task<Result<std::optional<Bytes>>> Get(Bytes key) = 0;
  /// The pairs that exist, in key order. Errors as Get. Suspends.
  virtual sim::Task<Result<std::map<Bytes, Bytes>>> BatchGet(std::vector<Bytes> keys) = 0;
  /// Pairs of [start, end) in key order, at most `limit` (0: all), own writes included; an empty `end` is unbounded.
  /// Errors as Get. Suspends.
  virtual sim::Task<Result<std::vector<Pair>>> Scan(Bytes start, Bytes end, uint32_t limit) = 0;

  /// Buffered until Commit. `value` must not be empty.
  virtual void Put(Bytes key, Bytes value) = 0;
  /// Buffered; writes a tombstone even if the key does not exist.
  virtual void Delete(Bytes key) = 0;

  /// Errors: kConflict (lost; may be run again from its start with a new timestamp), kUndetermined (may or may not have been
  /// committed; never run again), kUnavailable, kRejected and kDataLoss (certainly not committed), kCancelled. Suspends. At
  /// most once.
  virtual sim::Task<Result<CommitInfo>> Commit() = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  /// A transaction at a new timestamp. `label` names it stably, for example "w1/op6/txn#1". Errors as Transaction::Get. Suspends.
  virtual sim::Task<Result<std::unique_ptr<Transaction>>> Begin(sim::Label label) = 0;
  /// A read-only transaction at `ts` (Timestamp::Max(): point reads, no timestamp is asked for).
  virtual std::unique_ptr<Transaction> BeginAt(Timestamp ts, sim::Label label) = 0;
  /// A new timestamp. Suspends.
  virtual sim::Task<Result<Timestamp>> CurrentTimestamp(sim::Label label) = 0;
  virtual sim::Scheduler* scheduler() = 0;
};

}  // namespace kvjury::client
