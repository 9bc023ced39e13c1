// The parts of Cluster that change its shape: splits, merges, leaders, stores that die and pause, healing.
#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/mvcc_reader.h"
#include "fakes/tikv/store_service.h"

namespace kvjury::tikv {

namespace {

// From a prepared merge to its commit.
constexpr Micros kMergeUs = 10'000;
// The target's leader asks PD for a timestamp: one round trip.
constexpr Micros kMaxTsSyncUs = 1'000;

}  // namespace

// --- splits and merges ---

std::vector<const Region*> Cluster::SplitNow(RegionId region, const std::vector<Bytes>& keys,
                                             const std::vector<NewRegionIds>& ids) {
  const StoreId leader = raft_->Leader(region);
  splitting_ = true;
  std::vector<const Region*> pieces = regions_->Split(region, keys, ids);
  for (const Region* piece : pieces) {
    if (piece->id != region) {
      // The new groups' first leader is where the old region's is; it begins like any new leader.
      raft_->AddGroup(piece->id, leader.valid() ? leader : piece->peers[0].store);
    }
  }
  splitting_ = false;
  RegionChanged(region);
  SaveChangedRegions();
  world_->log().Add(component_, "split", region.value(), pieces.size());
  HeartbeatSoon();
  return pieces;
}

bool Cluster::SplitAt(std::string_view user_key) {
  const Bytes key = EncodeKey(user_key);
  const Region* region = regions_->FindByKey(key);
  if (region->merging || region->start == key) {
    return false;
  }
  const RegionId id = region->id;
  SplitNow(id, {key}, {AllocateRegionIds()});
  return true;
}

RegionId Cluster::SplitAtEncoded(std::string_view key) {
  const Region* region = regions_->FindByKey(key);
  if (key.empty() || region->merging) {
    return RegionId();
  }
  if (region->start != key) {
    SplitNow(region->id, {Bytes(key)}, {AllocateRegionIds()});
  }
  return regions_->FindByKey(key)->id;
}

std::optional<Bytes> Cluster::MiddleKey(const Region& region) const {
  std::vector<std::string_view> keys;
  const Snapshot snapshot = engine_.Latest();
  for (Iterator at = snapshot.Scan(ColumnFamily::kWrite, region.start, region.end); at.Valid(); at.Next()) {
    const std::string_view key = KeyOfVersion(at.key());
    if (keys.empty() || keys.back() != key) {
      keys.push_back(key);
    }
  }
  if (keys.size() < 2 || keys[keys.size() / 2] == region.start) {
    return std::nullopt;
  }
  return Bytes(keys[keys.size() / 2]);
}

bool Cluster::SplitMiddle(RegionId id) {
  const Region* region = regions_->Find(id);
  if (region == nullptr || region->merging) {
    return false;
  }
  const std::optional<Bytes> key = MiddleKey(*region);
  if (!key.has_value()) {
    return false;
  }
  SplitNow(id, {*key}, {AllocateRegionIds()});
  return true;
}

bool Cluster::MergeWithNext(RegionId id) {
  const Region* source = regions_->Find(id);
  if (source == nullptr || source->merging) {
    return false;
  }
  const Region* target = regions_->Right(*source);
  // A region that others merge into may not itself be a source, and the other way round.
  const auto at = regions_->by_start().find(source->start);
  const bool is_target = at != regions_->by_start().begin() && std::prev(at)->second->merging;
  if (target == nullptr || target->merging || is_target || !raft_->Leader(id).valid() ||
      !raft_->Leader(target->id).valid()) {
    return false;
  }
  regions_->PrepareMerge(id);
  RegionChanged(id);
  SaveChangedRegions();
  world_->log().Add(component_, "prepare merge", id.value(), target->id.value());
  HeartbeatSoon();
  timers_.After(kMergeUs, "merge", [this, id]() { MergeIsDue(id); });
  return true;
}

void Cluster::MergeIsDue(RegionId source) {
  // The target that is there now: it may have been split meanwhile.
  const Region* left = regions_->Find(source);
  CHECK(left != nullptr && left->merging);
  raft_->RemoveGroup(source);
  known_leaders_.erase(source);
  max_ts_unsynced_.erase(source);
  const Region* target = regions_->CommitMerge(source);
  RegionChanged(source);
  RegionChanged(target->id);
  SaveChangedRegions();
  world_->log().Add(component_, "commit merge", source.value(), target->id.value());
  // Reads of the source may have raised another store's max_ts: the target's leader asks PD again.
  const StoreId leader = raft_->Leader(target->id);
  if (leader.valid() && options_.sync_max_ts) {
    max_ts_unsynced_.insert(target->id);
    SyncMaxTs(target->id, leader, raft_->Term(target->id), kMaxTsSyncUs);
  }
  HeartbeatSoon();
}

// --- leaders and stores ---

bool Cluster::TransferLeader(RegionId region, StoreId to) {
  if (regions_->Find(region) == nullptr) {
    return false;
  }
  return raft_->Transfer(region, to.valid() ? to : raft_->NextLeader(region));
}

bool Cluster::StepDown(RegionId region) { return regions_->Find(region) != nullptr && raft_->StepDown(region); }

bool Cluster::KillStore(StoreId id, Micros down_us) {
  const auto found = stores_.find(id);
  if (found == stores_.end() || !found->second.run->alive) {
    return false;
  }
  size_t left = 0;
  for (const auto& [other, store] : stores_) {
    left += other != id && store.run->alive ? 1 : 0;
  }
  const bool only_store_returns = stores_.size() == 1 && down_us > 0;
  if (left <= stores_.size() / 2 && !only_store_returns) {
    return false;
  }
  Store& store = found->second;
  Log(id, "die", store.runs);
  store.run->alive = false;
  store.run->memory.import_changed.NotifyAll();
  store.paused_until_us = 0;
  world_->fabric().SetDown(StoreAddressOf(id), true);
  raft_->StoreDied(id);
  pd_.StoreDied(id);
  if (store_watcher_) {
    store_watcher_(id, false);
  }
  if (down_us > 0) {
    const uint64_t run = store.runs;
    timers_.After(down_us, "return", [this, id, run]() {
      if (At(id).runs == run) {
        ReviveStore(id);
      }
    });
  }
  return true;
}

bool Cluster::ReviveStore(StoreId id) {
  const auto found = stores_.find(id);
  if (found == stores_.end() || found->second.run->alive) {
    return false;
  }
  Store& store = found->second;
  ++store.runs;
  Log(id, "return", store.runs);
  store.run = std::make_shared<StoreRun>(&world_->scheduler());
  world_->fabric().SetDown(StoreAddressOf(id), false);
  raft_->StoreReturned(id);
  pd_.StoreReturned(id);
  if (store_watcher_) {
    store_watcher_(id, true);
  }
  return true;
}

bool Cluster::PauseStore(StoreId id, Micros pause_us) {
  const auto found = stores_.find(id);
  if (found == stores_.end() || !found->second.run->alive || found->second.paused_until_us > now_us() || pause_us <= 0) {
    return false;
  }
  Store& store = found->second;
  store.paused_until_us = now_us() + pause_us;
  Log(id, "pause", static_cast<uint64_t>(pause_us));
  world_->fabric().PauseUntil(StoreAddressOf(id), store.paused_until_us);
  if (pause_us > options_.raft.election_us && stores_.size() > 1) {
    timers_.After(options_.raft.election_us, "pause election", [this, id]() {
      if (StoreResponds(id)) {
        return;
      }
      for (const auto& [start, region] : regions_->by_start()) {
        if (raft_->Leader(region->id) == id) {
          raft_->StepDown(region->id);
        }
      }
    });
  }
  return true;
}

bool Cluster::JumpClock(int64_t forward_ms) {
  if (forward_ms <= 0) {
    return false;
  }
  pd_.JumpClock(forward_ms);
  return true;
}

bool Cluster::PdLeaderChange(Micros down_us) {
  if (!pd_.available()) {
    return false;
  }
  pd_.ChangeLeader(down_us);
  return true;
}

bool Cluster::StaleRoutes(Micros age_us, Micros duration_us) {
  if (age_us <= 0 || duration_us <= 0) {
    return false;
  }
  pd_.ServeStale(age_us, duration_us);
  return true;
}

bool Cluster::PlanBusy(const sim::Label& label, uint64_t backoff_ms) {
  planned_busy_ms_[label.hash()] = std::max<uint64_t>(backoff_ms, 1);
  return true;
}

bool Cluster::PlanDrop(const sim::Label& label) { return planned_drops_.insert(label.hash()).second; }

void Cluster::Heal() {
  planned_drops_.clear();
  planned_busy_ms_.clear();
  pd_.Heal();
  for (auto& [id, store] : stores_) {
    store.paused_until_us = 0;
    ReviveStore(id);
  }
  raft_->Heal();
}

void Cluster::Shutdown() {
  Heal();
  // A merge that was prepared must not stay so for ever.
  for (auto at = regions_->by_start().begin(); at != regions_->by_start().end(); ++at) {
    if (at->second->merging) {
      MergeIsDue(at->second->id);
      at = regions_->by_start().begin();
    }
  }
  timers_.Cancel();
  heartbeat_pending_ = false;
  pd_.Shutdown();
  const std::set<RegionId> unsynced = std::exchange(max_ts_unsynced_, {});
  for (const RegionId region : unsynced) {
    const StoreId leader = raft_->Leader(region);
    if (leader.valid()) {
      At(leader).run->memory.concurrency.UpdateMaxTs(*pd_.AllocateTimestamp());
    } else {
      max_ts_unsynced_.insert(region);
    }
  }
  pd_.Learn(TableForPd());
}

}  // namespace kvjury::tikv
