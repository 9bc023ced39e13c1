// The parts of Cluster that outlive a restart: what is written when something changes, and how a later run begins from it.
#include <algorithm>

#include "fakes/tikv/cluster.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::tikv {

namespace {

constexpr uint32_t kFormat = 1;
constexpr char kClusterName[] = "cluster";
constexpr char kPdName[] = "pd";
constexpr char kRegionPrefix[] = "region/";
// From the start to the commit of a merge that the last run had prepared.
constexpr Micros kMergeUs = 10'000;

Bytes RegionName(RegionId region) { return kRegionPrefix + std::to_string(region.value()); }

record::RegionState ToRecord(const Region& region, StoreId leader, uint64_t term) {
  record::RegionState state;
  state.set_id(region.id.value());
  state.set_start(region.start);
  state.set_end(region.end);
  state.set_conf_ver(region.conf_ver);
  state.set_version(region.version);
  for (const Peer& peer : region.peers) {
    record::RegionState::Peer* added = state.add_peer();
    added->set_id(peer.id.value());
    added->set_store(peer.store.value());
  }
  state.set_merging(region.merging);
  state.set_term(term);
  state.set_leader_store(leader.value());
  return state;
}

SavedCluster::SavedRegion FromRecord(const record::RegionState& state) {
  SavedCluster::SavedRegion saved;
  saved.region.id = RegionId(state.id());
  saved.region.start = state.start();
  saved.region.end = state.end();
  saved.region.conf_ver = state.conf_ver();
  saved.region.version = state.version();
  for (const record::RegionState::Peer& peer : state.peer()) {
    saved.region.peers.push_back({PeerId(peer.id()), StoreId(peer.store())});
  }
  saved.region.merging = state.merging();
  saved.leader = StoreId(state.leader_store());
  saved.term = state.term();
  return saved;
}

Status CheckRegions(const SavedCluster& saved) {
  Bytes start;
  std::set<RegionId> ids;
  bool former_merging = false;
  for (const SavedCluster::SavedRegion& at : saved.regions) {
    const std::string name = "region " + std::to_string(at.region.id.value());
    if (at.region.start != start || (!ids.empty() && start.empty())) {
      return Status::DataLoss(name + " does not begin where its left neighbour ends");
    }
    if (!ids.insert(at.region.id).second) {
      return Status::DataLoss(name + " is there twice");
    }
    for (const Peer& peer : at.region.peers) {
      if (std::find(saved.stores.begin(), saved.stores.end(), peer.store) == saved.stores.end()) {
        return Status::DataLoss(name + " has a peer on a store that is not there");
      }
    }
    if (at.region.PeerOn(at.leader) == nullptr) {
      return Status::DataLoss(name + " has a leader without a peer");
    }
    if (at.region.merging && (former_merging || at.region.end.empty())) {
      return Status::DataLoss(name + " has nothing to merge into");
    }
    former_merging = at.region.merging;
    start = at.region.end;
  }
  return saved.regions.empty() || !start.empty() ? Status::DataLoss("the regions do not cover the key space")
                                                 : Status::Ok();
}

}  // namespace

Result<SavedCluster> ReadSavedCluster(DurableState* durable) {
  SavedCluster saved;
  ASSIGN_OR_RETURN(const auto meta, durable->LoadMeta());
  if (meta.empty()) {
    return saved;
  }
  record::ClusterState cluster;
  const auto found = meta.find(kClusterName);
  if (found == meta.end() || !cluster.ParseFromString(found->second)) {
    return Status::DataLoss("the record of the cluster is missing or damaged");
  }
  if (cluster.format() != kFormat) {
    return Status::Unsupported("the state has format " + std::to_string(cluster.format()) + ", this program reads " +
                               std::to_string(kFormat));
  }
  saved.cluster_id = cluster.cluster_id();
  for (const uint64_t store : cluster.store()) {
    saved.stores.emplace_back(store);
  }
  if (saved.cluster_id == 0 || saved.stores.empty()) {
    return Status::DataLoss("the record of the cluster has no id or no stores");
  }
  for (auto at = meta.lower_bound(kRegionPrefix); at != meta.end() && at->first.rfind(kRegionPrefix, 0) == 0; ++at) {
    record::RegionState state;
    if (!state.ParseFromString(at->second)) {
      return Status::DataLoss("the record \"" + at->first + "\" is damaged");
    }
    saved.regions.push_back(FromRecord(state));
  }
  std::sort(saved.regions.begin(), saved.regions.end(),
            [](const auto& a, const auto& b) { return a.region.start < b.region.start; });
  RETURN_IF_ERROR(CheckRegions(saved));
  const auto pd = meta.find(kPdName);
  if (pd == meta.end()) {
    return Status::DataLoss("PD's record is missing");
  }
  saved.pd = pd->second;
  if (!record::PdState().ParseFromString(saved.pd)) {
    return Status::DataLoss("PD's record is damaged");
  }
  return saved;
}

// --- beginning from it ---

void Cluster::LoadData() {
  loaded_ = options_.durable->LoadData([this](ColumnFamily cf, std::string_view key, std::string_view value) {
    engine_.Load(cf, Bytes(key), Bytes(value));
  });
}

void Cluster::RestoreRegions(const SavedCluster& saved) {
  std::vector<Region> regions;
  for (const SavedCluster::SavedRegion& at : saved.regions) {
    regions.push_back(at.region);
  }
  regions_ = std::make_unique<RegionMap>(std::move(regions));
  RaftHost* host = this;
  raft_ = std::make_unique<RaftGroups>(world_, host, regions_.get(), component_, options_.raft);
  for (const SavedCluster::SavedRegion& at : saved.regions) {
    raft_->RestoreGroup(at.region.id, at.leader, at.term);
    if (at.region.merging) {
      timers_.After(kMergeUs, "merge", [this, id = at.region.id]() { MergeIsDue(id); });
    }
  }
}

// --- writing it ---

void Cluster::SaveCluster() {
  if (options_.durable == nullptr) {
    return;
  }
  record::ClusterState state;
  state.set_format(kFormat);
  state.set_cluster_id(options_.cluster_id);
  for (const auto& [id, store] : stores_) {
    state.add_store(id.value());
  }
  std::vector<MetaChange> changes{{kClusterName, state.SerializeAsString()}, {kPdName, pd_.SaveState()}};
  for (const auto& [start, region] : regions_->by_start()) {
    const StoreId leader = known_leaders_.at(region->id);
    changes.push_back({RegionName(region->id), ToRecord(*region, leader, raft_->Term(region->id)).SerializeAsString()});
  }
  changed_regions_.clear();
  options_.durable->Write({}, changes);
}

void Cluster::SavePd() {
  if (options_.durable != nullptr) {
    options_.durable->Write({}, {{kPdName, pd_.SaveState()}});
  }
}

void Cluster::RegionChanged(RegionId region) {
  if (options_.durable != nullptr) {
    changed_regions_.insert(region);
  }
}

void Cluster::SaveChangedRegions() {
  if (changed_regions_.empty() || bootstrapping_) {
    return;
  }
  std::vector<MetaChange> changes;
  for (const RegionId id : std::exchange(changed_regions_, {})) {
    const Region* region = regions_->Find(id);
    if (region == nullptr) {
      changes.push_back({RegionName(id), std::nullopt});
      continue;
    }
    const auto leader = known_leaders_.find(id);
    const StoreId last = leader == known_leaders_.end() ? region->peers[0].store : leader->second;
    changes.push_back({RegionName(id), ToRecord(*region, last, raft_->Term(id)).SerializeAsString()});
  }
  options_.durable->Write({}, changes);
}

}  // namespace kvjury::tikv
