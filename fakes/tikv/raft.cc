#include "fakes/tikv/raft.h"

#include <algorithm>

namespace kvjury::tikv {

namespace {

// A fresh region's first leader has this term in TiKV: it starts at five.
constexpr uint64_t kFirstTerm = 6;
// How often a leader without a majority looks again.
constexpr Micros kQuorumRetryUs = 20'000;
constexpr size_t kRecentMax = 64;

}  // namespace

RaftGroups::RaftGroups(sim::World* world, RaftHost* host, const RegionMap* regions, RollingDigest* component,
                       RaftOptions options)
    : world_(world),
      host_(host),
      regions_(regions),
      component_(component),
      options_(options),
      timers_(&world->scheduler()) {}

RaftGroups::Group& RaftGroups::At(RegionId region) {
  const auto found = groups_.find(region);
  CHECK(found != groups_.end()) << "region " << region;
  return found->second;
}

const RaftGroups::Group& RaftGroups::At(RegionId region) const {
  const auto found = groups_.find(region);
  CHECK(found != groups_.end()) << "region " << region;
  return found->second;
}

void RaftGroups::AddGroup(RegionId region, StoreId leader) { RestoreGroup(region, leader, kFirstTerm - 1); }

void RaftGroups::RestoreGroup(RegionId region, StoreId leader, uint64_t former_term) {
  Group group;
  group.term = former_term;
  group.committed_index = 5;
  group.committed_sequence = host_->EngineSequence();
  groups_[region] = std::move(group);
  if (host_->StoreLives(leader)) {
    SetLeader(region, &At(region), leader);
  } else {
    At(region).former_leader = leader;
    LoseLeader(region, &At(region), options_.election_us);
  }
}

void RaftGroups::RemoveGroup(RegionId region) {
  DropPending(&At(region));
  groups_.erase(region);
}

StoreId RaftGroups::Leader(RegionId region) const { return At(region).leader; }
uint64_t RaftGroups::Term(RegionId region) const { return At(region).term; }

// --- proposals ---

sim::Task<ProposalEnd> RaftGroups::Propose(RegionId region, StoreId leader, uint64_t order, Micros slow_us, std::function<void()> apply) {
  Group& group = At(region);
  CHECK(group.leader == leader) << "only the leader proposes";
  auto proposal = std::make_shared<Proposal>(&world_->scheduler(), order);
  proposal->version = regions_->Find(region)->version;
  proposal->ready_us = now_us() + options_.commit_us + slow_us;
  proposal->apply = std::move(apply);
  group.pending.push_back(proposal);
  timers_.After(options_.commit_us + slow_us, order, [this, region]() { TryCommit(region); });
  const ProposalEnd end = co_await proposal->end;
  co_return end;
}

bool RaftGroups::HasMajority(RegionId region) const {
  const Region* meta = regions_->Find(region);
  CHECK(meta != nullptr);
  size_t responding = 0;
  for (const Peer& peer : meta->peers) {
    responding += host_->StoreResponds(peer.store) ? 1 : 0;
  }
  return responding > meta->peers.size() / 2;
}

void RaftGroups::TryCommit(RegionId region) {
  const auto found = groups_.find(region);
  if (found == groups_.end()) {
    return;
  }
  Group& group = found->second;
  while (!group.pending.empty() && group.pending.front()->ready_us <= now_us()) {
    if (!host_->StoreResponds(group.leader) || !HasMajority(region)) {
      timers_.After(kQuorumRetryUs, group.pending.front()->order, [this, region]() { TryCommit(region); });
      return;
    }
    const std::shared_ptr<Proposal> proposal = group.pending.front();
    group.pending.pop_front();
    Commit(region, &group, proposal.get());
  }
}

void RaftGroups::Commit(RegionId region, Group* group, Proposal* proposal) {
  ++group->committed_index;
  if (regions_->Find(region)->version != proposal->version) {
    Log("epoch changed", region.value(), group->committed_index);
    proposal->end.Set(ProposalEnd::kEpochChanged);
    return;
  }
  proposal->apply();
  group->committed_sequence = host_->EngineSequence();
  group->recent.push_back({group->committed_index, group->committed_sequence, now_us()});
  if (group->recent.size() > kRecentMax) {
    group->recent.pop_front();
  }
  Log("apply", region.value(), group->committed_index);
  proposal->end.Set(ProposalEnd::kApplied);
}

void RaftGroups::DropPending(Group* group) {
  for (const std::shared_ptr<Proposal>& proposal : group->pending) {
    Log("drop", proposal->order);
    ++dropped_;
    proposal->end.Set(ProposalEnd::kDropped);
  }
  group->pending.clear();
}

// --- applied positions ---

RaftGroups::Committed RaftGroups::Applied(RegionId region, StoreId store) const {
  const Group& group = At(region);
  const Committed newest{group.committed_index, group.committed_sequence, now_us()};
  if (store == group.leader) {
    return newest;
  }
  if (const auto stopped = group.stopped_at.find(store); stopped != group.stopped_at.end()) {
    return stopped->second;
  }
  // Everything that was committed at least the lag ago. The oldest entry that is kept stands for all before it.
  const Micros then_us = now_us() - options_.follower_lag_us;
  Committed applied = group.recent.empty() ? newest : group.recent.front();
  bool behind = false;
  for (const Committed& entry : group.recent) {
    if (entry.at_us > then_us) {
      behind = true;
      break;
    }
    applied = entry;
  }
  return behind ? applied : newest;
}

uint64_t RaftGroups::AppliedIndex(RegionId region, StoreId store) const { return Applied(region, store).index; }
uint64_t RaftGroups::AppliedSequence(RegionId region, StoreId store) const { return Applied(region, store).sequence; }

// --- leaders ---

void RaftGroups::SetLeader(RegionId region, Group* group, StoreId leader) {
  CHECK(regions_->Find(region)->PeerOn(leader) != nullptr);
  group->leader = leader;
  ++group->term;
  ++group->election;
  ++group->committed_index;  // the empty entry of the new term
  Log("leader", region.value(), leader.value());
  host_->LeaderChanged(region, leader);
}

void RaftGroups::LoseLeader(RegionId region, Group* group, Micros election_us) {
  if (group->leader.valid()) {
    group->former_leader = group->leader;
  }
  group->leader = StoreId();
  const uint64_t election = ++group->election;
  DropPending(group);
  Log("no leader", region.value());
  host_->LeaderChanged(region, StoreId());
  // A new leader serves when it has applied all that was committed.
  const Micros wait_us = std::max(election_us, options_.follower_lag_us);
  timers_.After(wait_us, "election", [this, region, election]() { Elect(region, election); });
}

StoreId RaftGroups::NextLeader(RegionId region) const {
  const Group& group = At(region);
  const StoreId last = group.leader.valid() ? group.leader : group.former_leader;
  const std::vector<Peer>& peers = regions_->Find(region)->peers;
  const auto at = std::find_if(peers.begin(), peers.end(), [last](const Peer& peer) { return peer.store == last; });
  const size_t first = at == peers.end() ? 0 : static_cast<size_t>(at - peers.begin()) + 1;
  for (size_t i = 0; i < peers.size(); ++i) {
    const StoreId store = peers[(first + i) % peers.size()].store;
    if (host_->StoreLives(store)) {
      return store;
    }
  }
  return StoreId();
}

void RaftGroups::Elect(RegionId region, uint64_t election) {
  const auto found = groups_.find(region);
  if (found == groups_.end() || found->second.election != election || found->second.leader.valid()) {
    return;
  }
  const StoreId next = NextLeader(region);
  if (!next.valid() || !HasMajority(region)) {
    timers_.After(options_.election_us, "election", [this, region, election]() { Elect(region, election); });
    return;
  }
  SetLeader(region, &found->second, next);
}

bool RaftGroups::Transfer(RegionId region, StoreId to) {
  const auto found = groups_.find(region);
  if (found == groups_.end()) {
    return false;
  }
  Group& group = found->second;
  if (!group.leader.valid() || group.leader == to || regions_->Find(region)->PeerOn(to) == nullptr ||
      !host_->StoreResponds(to) || !host_->StoreResponds(group.leader) || !HasMajority(region)) {
    return false;
  }
  // The old leader hands over only when the new one has its whole log: what was proposed is committed with it.
  while (!group.pending.empty()) {
    const std::shared_ptr<Proposal> proposal = group.pending.front();
    group.pending.pop_front();
    Commit(region, &group, proposal.get());
  }
  group.former_leader = group.leader;
  SetLeader(region, &group, to);
  return true;
}

bool RaftGroups::StepDown(RegionId region) {
  const auto found = groups_.find(region);
  if (found == groups_.end() || !found->second.leader.valid()) {
    return false;
  }
  LoseLeader(region, &found->second, options_.step_down_us);
  return true;
}

void RaftGroups::StoreDied(StoreId store) {
  for (auto& [region, group] : groups_) {
    group.stopped_at[store] = Applied(region, store);
    if (group.leader == store) {
      LoseLeader(region, &group, options_.election_us);
    }
  }
}

void RaftGroups::StoreReturned(StoreId store) {
  for (auto& [region, group] : groups_) {
    group.stopped_at.erase(store);
  }
}

void RaftGroups::Heal() {
  for (auto& [region, group] : groups_) {
    if (!group.leader.valid()) {
      Elect(region, group.election);
    }
  }
}

}  // namespace kvjury::tikv
