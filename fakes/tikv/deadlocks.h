// DeadlockDetector: which transaction waits for which, and whether a new wait closes a circle.
//
// One table serves the whole cluster; the leader of the region with the empty key keeps it, in memory. An edge is forgotten
// when its wait ends, or by itself some time after it was last told, so that what a dead store has left blocks nobody.
// Modelled: detection when a wait begins (not for a transaction's first lock) and when the lock's owner changes (TiKV: then only
// for requests that may lock in spite of conflicts); the chain that is answered.
// Not modelled: the time that messages between stores take; key hashes are ours, not FarmHash.
// Source: TiKV 8.5.0, src/server/lock_manager/deadlock.rs. Determinism: ordered by timestamps.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "proto/tikv/deadlock.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::tikv {

/// A transaction waits for the owner of a lock.
struct WaitForLock {
  Timestamp waiter;
  Timestamp owner;
  Bytes key;  // as the user writes it
  Bytes resource_group_tag;
};

uint64_t DeadlockKeyHash(std::string_view user_key);
deadlock::WaitForEntry ToEntry(const WaitForLock& wait);

class DeadlockDetector {
 public:
  /// Remembers the wait, unless it closes a circle: then the answer for the waiter, whose chain begins with what the owner
  /// waits for and ends with this wait.
  std::optional<kvrpcpb::Deadlock> Detect(const WaitForLock& wait, Micros now_us, Micros time_to_live_us);
  /// The wait is over.
  void CleanUp(const WaitForLock& wait);
  void Clear() { waits_.clear(); }
  [[nodiscard]] bool empty() const { return waits_.empty(); }

 private:
  /// All waits of one transaction for another one: several keys, the first told first.
  struct Edge {
    std::vector<Bytes> keys;
    Bytes resource_group_tag;
    Micros told_us = 0;
  };
  using Edges = std::map<Timestamp, Edge>;  // by owner

  /// The edges from `from` to `goal`, in order; empty if there is no way.
  std::vector<WaitForLock> FindWay(Timestamp from, Timestamp goal, Micros now_us, Micros time_to_live_us);

  std::map<Timestamp, Edges> waits_;  // by waiter
};

}  // namespace kvjury::tikv
