#include "fakes/tikv/cluster.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"
#include "fakes/tikv/store_service.h"

namespace kvjury::tikv {

namespace {

// A leader asks PD for a timestamp when it begins: one round trip.
constexpr Micros kMaxTsSyncUs = 1'000;
constexpr Micros kMaxTsRetryUs = 100'000;
// Applied batches between two prunings of the engine's past.
constexpr Sequence kPruneEvery = 4096;

// PD's key spaces cut a fresh cluster here.
std::vector<Bytes> FreshBoundaries() {
  return {Bytes("r\0\0\0", 4), Bytes("r\0\0\1", 4), Bytes("x\0\0\0", 4), Bytes("x\0\0\1", 4)};
}

}  // namespace

Cluster::Cluster(sim::World* world, ClusterOptions options)
    : world_(world),
      options_(std::move(options)),
      component_(world->log().Component(options_.name.empty() ? "cluster" : options_.name + "/cluster")),
      timers_(&world->scheduler()),
      pd_(world, pd::PdOptions{.cluster = options_.name,
                               .cluster_id = options_.cluster_id,
                               .clock_start_ms = options_.clock_start_ms,
                               .client_urls = options_.pd_client_urls,
                               .members = options_.pd_members}) {
  CHECK_GT(options_.stores, 0U);
  const SavedCluster saved = options_.durable == nullptr ? SavedCluster() : *ReadSavedCluster(options_.durable);
  pd_.SetPlacement(this);
  for (const sim::Address& address : pd_.addresses()) {
    world_->fabric().Listen(address, &pd_.methods());
  }
  if (!saved.stores.empty()) {
    const Status restored = pd_.RestoreState(saved.pd);
    CHECK(restored.ok()) << restored;
  }
  MakeStores(saved);
  if (saved.stores.empty()) {
    MakeRegions();
  } else {
    LoadData();
    RestoreRegions(saved);
  }
  bootstrapping_ = false;
  SaveCluster();
  pd_.SetStateChanged([this]() { SavePd(); });
  pd_.Learn(TableForPd());
  PollGcSoon();
  CleanUpSoon();
}

Cluster::~Cluster() = default;

void Cluster::MakeStores(const SavedCluster& saved) {
  const size_t count = saved.stores.empty() ? options_.stores : saved.stores.size();
  for (size_t i = 0; i < count; ++i) {
    Store store;
    store.id = saved.stores.empty() ? StoreId(pd_.AllocateId()) : saved.stores[i];
    const sim::Address address = StoreAddressOf(store.id);
    store.component = world_->log().Component(address);
    store.run = std::make_shared<StoreRun>(&world_->scheduler());
    metapb::Store meta;
    meta.set_id(store.id.value());
    meta.set_address(address);
    meta.set_peer_address(address);
    meta.set_status_address(address + "-status");
    if (i < options_.advertised.size()) {
      meta.set_address(options_.advertised[i].address);
      meta.set_peer_address(options_.advertised[i].address);
      meta.set_status_address(options_.advertised[i].status_address);
    }
    meta.set_version("8.5.0");
    meta.set_state(metapb::Up);
    meta.set_node_state(metapb::Serving);
    meta.set_start_timestamp(options_.clock_start_ms / 1000);
    pd_.PutStore(meta);
    store.service = std::make_unique<StoreService>(this, meta);
    world_->fabric().Listen(address, &store.service->methods());
    stores_.emplace(store.id, std::move(store));
  }
}

NewRegionIds Cluster::AllocateRegionIds() {
  NewRegionIds ids;
  ids.region = RegionId(pd_.AllocateId());
  for (size_t i = 0; i < stores_.size(); ++i) {
    ids.peers.emplace_back(pd_.AllocateId());
  }
  return ids;
}

void Cluster::MakeRegions() {
  const NewRegionIds ids = AllocateRegionIds();
  Region first;
  first.id = ids.region;
  // The first peer came with the bootstrap; each further one took two changes: a learner, then a voter.
  first.conf_ver = 1 + 2 * (stores_.size() - 1);
  size_t i = 0;
  for (const auto& [id, store] : stores_) {
    first.peers.push_back({ids.peers[i++], id});
  }
  regions_ = std::make_unique<RegionMap>(first);
  RaftHost* host = this;
  raft_ = std::make_unique<RaftGroups>(world_, host, regions_.get(), component_, options_.raft);
  raft_->AddGroup(first.id, first.peers[0].store);
  if (!options_.fresh_boundaries) {
    return;
  }
  std::vector<Bytes> keys;
  std::vector<NewRegionIds> new_ids;
  for (const Bytes& boundary : FreshBoundaries()) {
    keys.push_back(EncodeKey(boundary));
    new_ids.push_back(AllocateRegionIds());
  }
  SplitNow(first.id, keys, new_ids);
  SpreadLeaders();
}

void Cluster::SpreadLeaders() {
  size_t turn = 0;
  for (const auto& [start, region] : regions_->by_start()) {
    raft_->Transfer(region->id, region->peers[turn++ % region->peers.size()].store);
  }
}

// --- addresses and stores ---

sim::Address Cluster::StoreAddressOf(StoreId store) const { return StoreAddress(options_.name, store); }

std::vector<StoreId> Cluster::store_ids() const {
  std::vector<StoreId> ids;
  for (const auto& [id, store] : stores_) {
    ids.push_back(id);
  }
  return ids;
}

const sim::MethodTable& Cluster::methods(StoreId store) const { return At(store).service->methods(); }

Bytes Cluster::RegionStart(RegionId region) const {
  const Region* found = regions_->Find(region);
  if (found == nullptr || found->start.empty()) {
    return {};
  }
  Result<Bytes> key = DecodeKey(found->start);
  return key.ok() ? *key : found->start;
}

StoreId Cluster::StoreAt(const sim::Address& address) const {
  for (const auto& [id, store] : stores_) {
    if (StoreAddressOf(id) == address) {
      return id;
    }
  }
  return StoreId();
}

bool Cluster::Owns(const sim::Address& address) const {
  const std::vector<sim::Address> members = pd_.addresses();
  return std::find(members.begin(), members.end(), address) != members.end() || StoreAt(address).valid();
}

Cluster::Store& Cluster::At(StoreId store) {
  const auto found = stores_.find(store);
  CHECK(found != stores_.end()) << "store " << store;
  return found->second;
}

const Cluster::Store& Cluster::At(StoreId store) const {
  const auto found = stores_.find(store);
  CHECK(found != stores_.end()) << "store " << store;
  return found->second;
}

const StoreRunPtr& Cluster::Run(StoreId store) const { return At(store).run; }
bool Cluster::StoreLives(StoreId store) const { return At(store).run->alive; }
bool Cluster::StoreResponds(StoreId store) const {
  const Store& state = At(store);
  return state.run->alive && state.paused_until_us <= now_us();
}

void Cluster::Log(StoreId store, std::string_view kind, uint64_t a, uint64_t b) {
  world_->log().Add(At(store).component, kind, a, b);
}

// --- what a request must pass ---

std::optional<errorpb::Error> Cluster::Check(StoreId store, const kvrpcpb::Context& context, bool admin) const {
  if (context.peer().store_id() != store.value()) {
    return StoreNotMatchError(context.peer().store_id(), store);
  }
  const Region* region = regions_->Find(RegionId(context.region_id()));
  const Peer* peer = region == nullptr ? nullptr : region->PeerOn(store);
  if (peer == nullptr) {
    return RegionNotFoundError(context.region_id());
  }
  if (context.peer().id() != peer->id.value()) {
    return MismatchPeerIdError(context.peer().id(), peer->id);
  }
  const StoreId leader = raft_->Leader(region->id);
  if (leader != store) {
    return NotLeaderError(region->id, leader.valid() ? region->PeerOn(leader) : nullptr);
  }
  if (context.term() != 0 && raft_->Term(region->id) > context.term() + 1) {
    return StaleCommandError();
  }
  const metapb::RegionEpoch& epoch = context.region_epoch();
  if (epoch.version() != region->version || (admin && epoch.conf_ver() != region->conf_ver)) {
    return EpochNotMatchError(*region, epoch, regions_->Siblings(*region, epoch.version()));
  }
  return std::nullopt;
}

std::optional<errorpb::Error> Cluster::ProposalError(ProposalEnd end, StoreId store,
                                                     const kvrpcpb::Context& context) const {
  if (end == ProposalEnd::kApplied) {
    return std::nullopt;
  }
  if (end == ProposalEnd::kEpochChanged) {
    if (std::optional<errorpb::Error> error = Check(store, context, false)) {
      return error;
    }
  }
  return StaleCommandError();
}

bool Cluster::MaxTsSynced(RegionId region) const { return max_ts_unsynced_.count(region) == 0; }

DeadlockDetector* Cluster::Deadlocks() {
  const RegionId first = regions_->FindByKey("")->id;
  const StoreId leader = raft_->Leader(first);
  if (!leader.valid()) {
    return nullptr;
  }
  StoreMemory& memory = At(leader).run->memory;
  if (memory.deadlocks_term != raft_->Term(first)) {
    memory.deadlocks.Clear();
    memory.deadlocks_term = raft_->Term(first);
  }
  return &memory.deadlocks;
}

sim::Task<bool> Cluster::Work(StoreId store, StoreRunPtr run, Micros us, uint64_t order) {
  if (!options_.instant) {
    co_await world_->scheduler().Sleep(us, order);
  }
  while (run->alive && At(store).paused_until_us > now_us()) {
    co_await world_->scheduler().Sleep(At(store).paused_until_us - now_us(), order);
  }
  co_return run->alive;
}

sim::Task<ProposalEnd> Cluster::Propose(RegionId region, StoreId store, sim::Label label, std::function<void()> apply) {
  if (planned_drops_.erase(label.hash()) > 0) {
    timers_.After(options_.raft.commit_us / 2, label.hash(), [this, region, store]() {
      if (regions_->Find(region) != nullptr && raft_->Leader(region) == store) {
        raft_->StepDown(region);
      }
    });
  }
  // Replication can be slow; the memory locks of async commit stand that long.
  const Micros slow_us = world_->faults().DelayAt(label / "replicate");
  sim::Task<ProposalEnd> proposing = raft_->Propose(region, store, label.hash(), slow_us, std::move(apply));
  const ProposalEnd end = co_await std::move(proposing);
  co_return end;
}

uint64_t Cluster::TakeBusy(const sim::Label& label) {
  const auto found = planned_busy_ms_.find(label.hash());
  if (found == planned_busy_ms_.end()) {
    return 0;
  }
  const uint64_t backoff_ms = found->second;
  planned_busy_ms_.erase(found);
  return backoff_ms;
}

void Cluster::ApplyBatch(WriteBatch batch) {
  if (!options_.keep_collected) {
    for (WriteBatch::Operation& operation : batch.operations) {
      operation.kind = operation.kind == WriteBatch::Kind::kCollect ? WriteBatch::Kind::kDelete : operation.kind;
    }
  }
  if (options_.durable != nullptr) {
    options_.durable->Write(batch, {});
  }
  engine_.Apply(std::move(batch));
  if (engine_.last_sequence() - pruned_at_ >= kPruneEvery) {
    const Sequence newest = engine_.last_sequence();
    engine_.Prune(pins_->empty() ? newest : std::min(*pins_->begin(), newest));
    pruned_at_ = newest;
  }
}

std::unique_ptr<PinnedSnapshot> Cluster::Pin() { return std::make_unique<PinnedSnapshot>(pins_, engine_.Latest()); }

// --- leaders, max_ts, heartbeats ---

void Cluster::LeaderChanged(RegionId region, StoreId leader) {
  if (leader.valid()) {
    known_leaders_[region] = leader;
    RegionChanged(region);
    if (!splitting_) {
      SaveChangedRegions();
    }
    if (bootstrapping_) {
      At(leader).run->memory.concurrency.UpdateMaxTs(options_.sync_max_ts ? *pd_.AllocateTimestamp() : Timestamp());
    } else if (options_.sync_max_ts) {
      max_ts_unsynced_.insert(region);
      // The groups count the term before they tell; it says later whether this leader still leads.
      SyncMaxTs(region, leader, raft_->Term(region), kMaxTsSyncUs);
    }
  }
  HeartbeatSoon();
}

void Cluster::SyncMaxTs(RegionId region, StoreId leader, uint64_t term, Micros delay_us) {
  timers_.After(delay_us, "max_ts", [this, region, leader, term]() {
    if (regions_->Find(region) == nullptr || raft_->Leader(region) != leader || raft_->Term(region) != term) {
      return;
    }
    const Result<Timestamp> ts = pd_.AllocateTimestamp();
    if (!ts.ok()) {
      SyncMaxTs(region, leader, term, kMaxTsRetryUs);
      return;
    }
    At(leader).run->memory.concurrency.UpdateMaxTs(*ts);
    max_ts_unsynced_.erase(region);
    Log(leader, "max_ts", region.value(), ts->value());
  });
}

pd::RegionTablePtr Cluster::TableForPd() const {
  auto table = std::make_shared<pd::RegionTable>();
  for (const auto& [start, region] : regions_->by_start()) {
    auto info = std::make_shared<pd::RegionInfo>();
    info->region = region->ToProto();
    const auto leader = known_leaders_.find(region->id);
    if (leader != known_leaders_.end()) {
      info->leader = ToProto(*region->PeerOn(leader->second));
    }
    table->emplace_hint(table->end(), start, std::move(info));
  }
  return table;
}

void Cluster::HeartbeatSoon() {
  if (heartbeat_pending_ || bootstrapping_) {
    return;
  }
  heartbeat_pending_ = true;
  timers_.After(options_.heartbeat_us, "heartbeat", [this]() {
    heartbeat_pending_ = false;
    if (pd_.available()) {
      pd_.Learn(TableForPd());
    } else {
      HeartbeatSoon();
    }
  });
}

void Cluster::CleanUpSoon() {
  timers_.After(options_.import_clean_up_us, "import clean-up", [this]() {
    for (auto& [id, store] : stores_) {
      if (store.run->alive) {
        Log(id, "import clean-up", store.service->CleanUpImports());
      }
    }
    CleanUpSoon();
  });
}

bool Cluster::MoveLeader(RegionId region, StoreId store) { return raft_->Transfer(region, store); }

}  // namespace kvjury::tikv
