#include "fakes/tikv/deadlocks.h"

#include <algorithm>

#include "fakes/base/check.h"
#include "fakes/base/digest.h"

namespace kvjury::tikv {

uint64_t DeadlockKeyHash(std::string_view user_key) { return Hash64(user_key); }

deadlock::WaitForEntry ToEntry(const WaitForLock& wait) {
  deadlock::WaitForEntry entry;
  entry.set_txn(wait.waiter.value());
  entry.set_wait_for_txn(wait.owner.value());
  entry.set_key_hash(DeadlockKeyHash(wait.key));
  entry.set_key(wait.key);
  entry.set_resource_group_tag(wait.resource_group_tag);
  return entry;
}

std::optional<kvrpcpb::Deadlock> DeadlockDetector::Detect(const WaitForLock& wait, Micros now_us, Micros time_to_live_us) {
  const auto known = waits_.find(wait.waiter);
  const bool is_known = known != waits_.end() && known->second.count(wait.owner) > 0;
  // A wait for the same transaction as before closes no circle that the former one did not.
  if (!is_known) {
    const std::vector<WaitForLock> way = FindWay(wait.owner, wait.waiter, now_us, time_to_live_us);
    if (!way.empty()) {
      kvrpcpb::Deadlock found;
      found.set_lock_ts(wait.owner.value());
      found.set_lock_key(wait.key);
      found.set_deadlock_key_hash(DeadlockKeyHash(way.back().key));
      for (const WaitForLock& step : way) {
        *found.add_wait_chain() = ToEntry(step);
      }
      *found.add_wait_chain() = ToEntry(wait);
      return found;
    }
  }
  Edge& edge = waits_[wait.waiter][wait.owner];
  if (std::find(edge.keys.begin(), edge.keys.end(), wait.key) == edge.keys.end()) {
    edge.keys.push_back(wait.key);
  }
  edge.resource_group_tag = wait.resource_group_tag;
  edge.told_us = now_us;
  return std::nullopt;
}

std::vector<WaitForLock> DeadlockDetector::FindWay(Timestamp from, Timestamp goal, Micros now_us, Micros time_to_live_us) {
  std::map<Timestamp, Timestamp> came_from{{from, Timestamp()}};
  std::vector<Timestamp> left{from};
  while (!left.empty() && came_from.count(goal) == 0) {
    const Timestamp at = left.back();
    left.pop_back();
    const auto edges = waits_.find(at);
    if (edges == waits_.end()) {
      continue;
    }
    std::erase_if(edges->second, [&](const auto& edge) { return now_us - edge.second.told_us >= time_to_live_us; });
    for (const auto& [owner, edge] : edges->second) {
      if (came_from.emplace(owner, at).second) {
        left.push_back(owner);
      }
    }
    if (edges->second.empty()) {
      waits_.erase(edges);
    }
  }
  std::vector<WaitForLock> way;
  if (came_from.count(goal) == 0) {
    return way;
  }
  for (Timestamp at = goal; at != from; at = came_from.at(at)) {
    const Timestamp waiter = came_from.at(at);
    const Edge& edge = waits_.at(waiter).at(at);
    CHECK(!edge.keys.empty());
    way.push_back({waiter, at, edge.keys.front(), edge.resource_group_tag});
  }
  std::reverse(way.begin(), way.end());
  return way;
}

void DeadlockDetector::CleanUp(const WaitForLock& wait) {
  const auto edges = waits_.find(wait.waiter);
  if (edges == waits_.end()) {
    return;
  }
  const auto edge = edges->second.find(wait.owner);
  if (edge == edges->second.end()) {
    return;
  }
  std::erase(edge->second.keys, wait.key);
  if (edge->second.keys.empty()) {
    edges->second.erase(edge);
    if (edges->second.empty()) {
      waits_.erase(edges);
    }
  }
}

}  // namespace kvjury::tikv
