// RaftGroups: the logs of all regions, their leaders, and what may and may not happen to a proposal.
//
// A region's log is one sequence; a replica is an applied position in it. What a real Raft group guarantees holds by
// construction: a committed proposal never vanishes, a proposal whose leader went away before it was committed may vanish and
// its proposer is told; there is at most one leader, and one that lost its place serves nothing. An applied proposal acts
// on the one engine of the cluster at once; followers reach its position a fixed time later.
// Modelled: replication latency, the need for a majority of live stores that are not paused, elections that take time,
// transfers (the log is handed over whole), stepping down with uncommitted proposals, the epoch check at apply.
// Not modelled: votes, snapshots, log entries as bytes, changes of peers, lost disks.
// Source: TiKV 8.5, raftstore. Determinism: fixed times; leaders go to the next live store in the order of ids.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>

#include "fakes/base/ids.h"
#include "fakes/sim/timers.h"
#include "fakes/sim/world.h"
#include "fakes/tikv/region.h"

namespace kvjury::tikv {

struct RaftOptions {
  Micros commit_us = 600;
  Micros follower_lag_us = 1'500;
  /// From losing a leader to having another one. TiKV's default is ten seconds and more; waiting longer shows nothing else.
  Micros election_us = 1'000'000;
  /// The same after a leader stepped down by itself.
  Micros step_down_us = 100'000;
};

enum class ProposalEnd {
  kApplied,
  kDropped,       // the leader lost its place first; the proposal is gone for good
  kEpochChanged,  // committed behind a split or merge and therefore without effect
};

/// What the groups ask the cluster, and tell it.
class RaftHost {
 public:
  virtual ~RaftHost() = default;
  /// Alive and connected.
  [[nodiscard]] virtual bool StoreLives(StoreId store) const = 0;
  /// Alive and not paused at present.
  [[nodiscard]] virtual bool StoreResponds(StoreId store) const = 0;
  /// `leader` leads from now on; invalid: nobody does.
  virtual void LeaderChanged(RegionId region, StoreId leader) = 0;
  /// Position in the engine after the last applied proposal.
  [[nodiscard]] virtual uint64_t EngineSequence() const = 0;
};

class RaftGroups {
 public:
  RaftGroups(sim::World* world, RaftHost* host, const RegionMap* regions, RollingDigest* component, RaftOptions options);
  RaftGroups(const RaftGroups&) = delete;
  RaftGroups& operator=(const RaftGroups&) = delete;

  void AddGroup(RegionId region, StoreId leader);
  /// A group that an earlier run has left; its leader begins another term than `former_term`.
  void RestoreGroup(RegionId region, StoreId leader, uint64_t former_term);
  /// The region was merged away; what it had not committed is gone.
  void RemoveGroup(RegionId region);

  /// Invalid while there is none.
  [[nodiscard]] StoreId Leader(RegionId region) const;
  [[nodiscard]] uint64_t Term(RegionId region) const;
  /// How far `store` has applied the region's log.
  [[nodiscard]] uint64_t AppliedIndex(RegionId region, StoreId store) const;
  /// The engine's position that corresponds to AppliedIndex: what a read on that replica would see.
  [[nodiscard]] uint64_t AppliedSequence(RegionId region, StoreId store) const;

  /// Proposes on the region's leader, which must be `leader`; replication takes `slow_us` longer than usual. `apply` runs when the proposal is committed and the region's
  /// version is still what it was; it must not suspend. Suspends until the proposal has ended.
  sim::Task<ProposalEnd> Propose(RegionId region, StoreId leader, uint64_t order, Micros slow_us,
                                 std::function<void()> apply);

  /// The whole log goes to `to`, which leads at once. False if it cannot: no such peer, dead, or it leads already.
  bool Transfer(RegionId region, StoreId to);
  /// The leader steps down; what it had not committed is gone. False if there is no leader.
  bool StepDown(RegionId region);
  /// The store that leads next if the present leader goes away; invalid if none lives.
  [[nodiscard]] StoreId NextLeader(RegionId region) const;
  /// The store died: its regions lose their leader, its uncommitted proposals are gone.
  void StoreDied(StoreId store);
  void StoreReturned(StoreId store);
  /// Elections that are under way end at once.
  void Heal();
  void Shutdown() { timers_.Cancel(); }

  [[nodiscard]] uint64_t dropped() const { return dropped_; }

 private:
  struct Proposal {
    Proposal(sim::Scheduler* scheduler, uint64_t order_key) : order(order_key), end(scheduler, order_key) {}
    uint64_t order;
    uint64_t version = 0;
    Micros ready_us = 0;
    std::function<void()> apply;
    sim::OneShot<ProposalEnd> end;
  };
  struct Committed {
    uint64_t index;
    uint64_t sequence;
    Micros at_us;
  };
  struct Group {
    StoreId leader;
    StoreId former_leader;
    uint64_t term = 0;
    uint64_t election = 0;  // counts elections, so that an outdated one does nothing
    uint64_t committed_index = 0;
    uint64_t committed_sequence = 0;
    std::deque<Committed> recent;
    std::map<StoreId, Committed> stopped_at;      // of stores that are down
    std::list<std::shared_ptr<Proposal>> pending;
  };
  Group& At(RegionId region);
  [[nodiscard]] const Group& At(RegionId region) const;
  [[nodiscard]] bool HasMajority(RegionId region) const;
  [[nodiscard]] Committed Applied(RegionId region, StoreId store) const;
  void TryCommit(RegionId region);
  void Commit(RegionId region, Group* group, Proposal* proposal);
  void DropPending(Group* group);
  void LoseLeader(RegionId region, Group* group, Micros election_us);
  void Elect(RegionId region, uint64_t election);
  void SetLeader(RegionId region, Group* group, StoreId leader);
  [[nodiscard]] Micros now_us() const { return world_->scheduler().now_us(); }
  void Log(std::string_view kind, uint64_t a, uint64_t b = 0) { world_->log().Add(component_, kind, a, b); }

  sim::World* world_;
  RaftHost* host_;
  const RegionMap* regions_;
  RollingDigest* component_;
  RaftOptions options_;
  sim::Timers timers_;
  std::map<RegionId, Group> groups_;
  uint64_t dropped_ = 0;
};

}  // namespace kvjury::tikv
