// LockWaits: the requests that wait on one store until a lock is released, in a queue for each key.
//
// A queue is in the order of the transactions' starts. When its lock is released, the first waiter is woken. If that is a
// request of the ordinary kind it answers a conflict, so that its client comes again with a newer timestamp, and everybody
// who was there is woken a little later; a request that may lock in spite of conflicts tries again at once, on its own.
// Modelled: waking, the delay for the others and its extension by later wake-ups, time-outs. Who ends a wait early (a deadlock)
// takes the waiter out. A wait ends exactly once.
// Different from TiKV: everybody who was there is woken; there, one who came again and is older keeps those behind it asleep.
// Source: TiKV 8.5.0, src/storage/lock_manager/lock_waiting_queue.rs. Determinism: events of the scheduler, ordered by keys and
// callers' labels.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fakes/sim/scheduler.h"
#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/deadlocks.h"

namespace kvjury::tikv {

class LockWaits : public std::enable_shared_from_this<LockWaits> {
 public:
  enum class End { kConflict, kTryAgain, kTimedOut, kDeadlock };
  struct WakeUp {
    End end = End::kTimedOut;
    /// kConflict: the transaction whose lock was released, and its commit; zero if it rolled back.
    Timestamp conflict_start_ts;
    Timestamp conflict_commit_ts;
    kvrpcpb::Deadlock deadlock;
  };

  /// What is waiting; the same for all waits of one request.
  struct Entry {
    Bytes key;  // memcomparable
    Timestamp start_ts;
    bool may_lock_in_conflict = false;
    bool is_first_lock = false;
    Bytes resource_group_tag;
    uint64_t order = 0;
    Micros give_up_us = 0;
  };
  struct Waiter {
    Waiter(sim::Scheduler* scheduler, Entry what) : entry(std::move(what)), woken(scheduler, entry.order) {}
    Entry entry;
    /// The lock that it waits for at present.
    kvrpcpb::LockInfo lock;
    /// When the lock's owner last changed during the wait; negative: never.
    Micros owner_changed_us = -1;
    /// What the deadlock detector was told.
    std::optional<WaitForLock> told;
    uint64_t number = 0;
    uint64_t wake_ups_seen = 0;
    sim::OneShot<WakeUp> woken;

    [[nodiscard]] WaitForLock ToWait() const;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  explicit LockWaits(sim::Scheduler* scheduler) : scheduler_(scheduler) {}
  LockWaits(const LockWaits&) = delete;
  LockWaits& operator=(const LockWaits&) = delete;

  /// Joins the queue of the key, which `lock` is on. The caller holds the key's latch. Times out by itself.
  WaiterPtr Add(Entry entry, kvrpcpb::LockInfo lock);
  /// Takes the waiter out and ends its wait. Nothing happens if it has ended.
  void Finish(const WaiterPtr& waiter, WakeUp wake_up);
  /// Locks are gone; the caller still holds their latches.
  void Released(const std::vector<ReleasedLock>& released, Micros delay_us);
  /// A new lock is on the key. Returns those who now wait for another transaction than before.
  std::vector<WaiterPtr> Acquired(const Bytes& key, const kvrpcpb::LockInfo& lock);

  [[nodiscard]] bool empty() const { return queues_.empty(); }
  /// All waits, by key and start.
  [[nodiscard]] std::vector<WaitForLock> List() const;

 private:
  using Place = std::pair<Timestamp, uint64_t>;  // start, then order of coming
  struct Queue {
    std::map<Place, WaiterPtr> waiters;
    /// Ordinary requests that were woken as the first so far: who has seen fewer was there at the last one.
    uint64_t wake_ups = 0;
    Timestamp last_start_ts;
    Timestamp last_commit_ts;
    /// When the others are woken; 0: nothing is planned. `plan` tells plans of successive queues of a key apart.
    Micros wake_others_us = 0;
    uint64_t plan = 0;
  };

  void WakeOthersAt(const Bytes& key, Queue* queue, Micros at_us);
  void WakeOthersIsDue(const Bytes& key, uint64_t plan);
  void Schedule(const Bytes& key, uint64_t plan, Micros at_us);
  static WakeUp WakeUpFor(const Waiter& waiter, const Queue& queue);
  void Forget(std::map<Bytes, Queue>::iterator queue);

  sim::Scheduler* scheduler_;
  std::map<Bytes, Queue> queues_;
  uint64_t last_number_ = 0;
  uint64_t last_plan_ = 0;
};

}  // namespace kvjury::tikv
