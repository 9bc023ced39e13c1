// Cluster: PD and the stores of one simulated TiKV cluster in a world, over one shared engine.
//
// A world may hold several (a source and a target); their addresses begin with the cluster's name. The engine is the state
// of the whole cluster: a region's replicas are positions in it (raft.h), a store keeps only what dies with it: max_ts,
// memory locks, latches, lock waits, its import folder.
// Modelled: regions and leaders, heartbeats to PD with a delay, the synchronisation of max_ts after a leader change, stores that
// die, return and pause, GC driven by PD's safe point every ten virtual seconds, what the judge may know (the oracle).
// Not modelled: disks, balancing by itself, changes of peers. Every store holds a peer of every region.
// Operations for faults refuse (false) whatever has no effect here or would leave a region without a majority.
// Source: TiKV 8.5; a fresh 8.5 cluster has five regions at version 5. Determinism: decisions go to the components "pd" and
// "store-N" of the world's log, with the cluster's prefix; time comes from fixed costs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fakes/objects/object_store.h"
#include "fakes/pd/pd.h"
#include "fakes/sim/timers.h"
#include "fakes/sim/world.h"
#include "fakes/tikv/concurrency.h"
#include "fakes/tikv/deadlocks.h"
#include "fakes/tikv/durable.h"
#include "fakes/tikv/engine.h"
#include "fakes/tikv/latches.h"
#include "fakes/tikv/lock_waits.h"
#include "fakes/tikv/mvcc_reader.h"
#include "fakes/tikv/raft.h"
#include "fakes/tikv/region.h"
#include "fakes/tikv/sst_file.h"
#include "proto/tikv/errorpb.pb.h"
#include "proto/tikv/import_sstpb.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::tikv {

class StoreService;

struct ClusterOptions {
  /// Prefix of all addresses; may be empty.
  std::string name;
  uint32_t stores = 3;
  uint32_t pd_members = 1;
  int64_t clock_start_ms = 0;
  uint64_t cluster_id = 0;
  /// Object storages that backups are written to and read from; shared by all clusters of a world.
  objects::Storages* storages = nullptr;
  SstCodec sst_codec = SstCodec::kMemory;
  /// Bytes of keys and values after which a backup closes a pair of files and starts another.
  uint64_t sst_bytes_max = uint64_t{144} << 20;
  /// The four boundaries that PD's key spaces put into a fresh cluster.
  bool fresh_boundaries = true;
  RaftOptions raft;
  Micros heartbeat_us = 20'000;
  Micros gc_poll_us = 10'000'000;
  Micros import_clean_up_us = 600'000'000;
  /// Whether leaders raise max_ts to a timestamp of PD when they begin. Off only for recorded calls with tiny timestamps.
  bool sync_max_ts = true;
  /// Processing takes no time of its own: for clusters that follow a real clock, where it takes what it takes.
  bool instant = false;
  /// Where the state is kept over restarts; null: in memory alone. Must outlive the cluster. If it holds a cluster, which
  /// ReadSavedCluster must accept, that one goes on: its id, stores and regions count, not those asked for here.
  DurableState* durable = nullptr;
  /// Whether the judge may still read what garbage collection removed. Off where nobody judges, since it costs memory.
  bool keep_collected = true;
  /// What PD tells clients instead of the world's own addresses: for each store in order its address and its status address;
  /// PD's members' client URLs. Empty: the world's own.
  struct Advertised {
    std::string address;
    std::string status_address;
  };
  std::vector<Advertised> advertised;
  std::vector<std::string> pd_client_urls;
};

/// What a restart finds beside the data.
struct SavedCluster {
  uint64_t cluster_id = 0;
  /// Empty: nothing was saved yet.
  std::vector<StoreId> stores;
  struct SavedRegion {
    Region region;
    StoreId leader;
    uint64_t term = 0;
  };
  /// By start key, tiling the key space.
  std::vector<SavedRegion> regions;
  /// Pd's own record.
  Bytes pd;
};
/// Errors: kDataLoss when the records are damaged or contradict each other, kUnsupported for another format.
Result<SavedCluster> ReadSavedCluster(DurableState* durable);

/// What a store has in memory or in its import folder: gone when it dies.
struct StoreMemory {
  explicit StoreMemory(sim::Scheduler* scheduler)
      : latches(std::make_shared<Latches>(scheduler)), lock_waits(std::make_shared<LockWaits>(scheduler)),
        import_changed(scheduler) {}
  struct ImportFile {
    import_sstpb::SSTMeta meta;
    std::vector<SstEntry> entries;  // keys without the data prefix
  };
  ConcurrencyManager concurrency;
  std::shared_ptr<Latches> latches;
  std::shared_ptr<LockWaits> lock_waits;
  /// Of use while the store leads the first region in the given term: see Cluster::Deadlocks.
  DeadlockDetector deadlocks;
  uint64_t deadlocks_term = 0;
  /// By file name.
  std::map<std::string, ImportFile> import_files;
  std::set<std::string> downloading;
  std::set<std::string> ingesting;
  sim::Notifier import_changed;
  Micros import_mode_until_us = 0;
  /// Ingesting is refused until then.
  Micros import_suspended_until_us = 0;
  /// Bytes a second of all downloads together; 0 is no limit. The time until which those that are under way have used it up.
  uint64_t download_bytes_per_s = 0;
  Micros download_busy_until_us = 0;
  /// By storage_cache_id: the first request's storage serves the later ones.
  std::map<std::string, objects::ObjectStore*> cached_storages;
};

/// A run of one store: handlers keep the one they began with and are through when it is over.
struct StoreRun {
  explicit StoreRun(sim::Scheduler* scheduler) : memory(scheduler) {}
  bool alive = true;
  StoreMemory memory;
};
using StoreRunPtr = std::shared_ptr<StoreRun>;

/// Keeps the engine's past from being pruned while a long read looks at it.
class PinnedSnapshot {
 public:
  PinnedSnapshot(std::shared_ptr<std::multiset<Sequence>> pins, const Snapshot& snapshot)
      : pins_(std::move(pins)), snapshot_(snapshot), pin_(pins_->insert(snapshot.sequence())) {}
  PinnedSnapshot(const PinnedSnapshot&) = delete;
  PinnedSnapshot& operator=(const PinnedSnapshot&) = delete;
  ~PinnedSnapshot() { pins_->erase(pin_); }
  [[nodiscard]] const Snapshot& get() const { return snapshot_; }

 private:
  std::shared_ptr<std::multiset<Sequence>> pins_;
  Snapshot snapshot_;
  std::multiset<Sequence>::iterator pin_;
};

class Cluster : private RaftHost, private pd::Placement {
 public:
  /// Builds PD, the stores and the first regions, and begins to listen. `world` must outlive the cluster.
  Cluster(sim::World* world, ClusterOptions options);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster() override;

  // --- access ---

  [[nodiscard]] const ClusterOptions& options() const { return options_; }
  sim::World* world() { return world_; }
  /// Whether the saved data could be read. If not, the cluster is good for nothing.
  [[nodiscard]] const Status& loaded() const { return loaded_; }
  pd::Pd& pd() { return pd_; }
  Engine& engine() { return engine_; }
  [[nodiscard]] const RegionMap& regions() const { return *regions_; }
  RaftGroups& raft() { return *raft_; }
  [[nodiscard]] std::vector<StoreId> store_ids() const;
  /// Of PD's first member.
  [[nodiscard]] sim::Address pd_address() const { return pd_.address(); }
  [[nodiscard]] sim::Address store_address(StoreId store) const { return StoreAddressOf(store); }
  /// What the store answers to.
  [[nodiscard]] const sim::MethodTable& methods(StoreId store) const;
  /// The user key that the region starts at; empty without such a region.
  [[nodiscard]] Bytes RegionStart(RegionId region) const;
  /// The store that listens at `address`; invalid if none of this cluster does.
  [[nodiscard]] StoreId StoreAt(const sim::Address& address) const;
  /// True if `address` is PD or a store of this cluster.
  [[nodiscard]] bool Owns(const sim::Address& address) const;

  // --- for the services of the stores ---

  /// The present run of a living store.
  [[nodiscard]] const StoreRunPtr& Run(StoreId store) const;
  /// What TiKV checks before it looks at a request's keys, in its order: store, region, peer, leader, term, epoch (the
  /// version; conf_ver too if `admin`). Empty if all is well.
  [[nodiscard]] std::optional<errorpb::Error> Check(StoreId store, const kvrpcpb::Context& context, bool admin) const;
  /// The error of a proposal that did not act; empty for one that did.
  [[nodiscard]] std::optional<errorpb::Error> ProposalError(ProposalEnd end, StoreId store,
                                                            const kvrpcpb::Context& context) const;
  /// Whether the leader of `region` has raised its max_ts since it began to lead.
  [[nodiscard]] bool MaxTsSynced(RegionId region) const;
  /// The one of the whole cluster, kept by the leader of the first region and empty whenever another one begins to lead; null
  /// while nobody does.
  DeadlockDetector* Deadlocks();
  /// Takes `us` of the store's time, longer while it is paused. False if that run of the store ended meanwhile. Suspends.
  sim::Task<bool> Work(StoreId store, StoreRunPtr run, Micros us, uint64_t order);
  /// Proposes on the region's leader and carries out a planned drop at `label`. Suspends.
  sim::Task<ProposalEnd> Propose(RegionId region, StoreId store, sim::Label label, std::function<void()> apply);
  /// Takes the answer "busy" that a fault has planned for this call; 0 if none.
  uint64_t TakeBusy(const sim::Label& label);
  void ApplyBatch(WriteBatch batch);
  [[nodiscard]] std::unique_ptr<PinnedSnapshot> Pin();
  /// Splits at encoded keys strictly inside the region; `ids` were allocated before. Regions in key order.
  std::vector<const Region*> SplitNow(RegionId region, const std::vector<Bytes>& keys,
                                      const std::vector<NewRegionIds>& ids);
  /// New ids of a region and its peers from PD.
  NewRegionIds AllocateRegionIds();
  void Log(StoreId store, std::string_view kind, uint64_t a, uint64_t b = 0);

  // --- operations: faults, set-ups, tests. None suspends. ---

  /// Splits the region that holds the key at it. False if the key is a boundary already or the region is merging.
  bool SplitAt(std::string_view user_key);
  /// Splits the region in the middle of its keys. False if it has fewer than two.
  bool SplitMiddle(RegionId region);
  /// Merges the region into its right neighbour: prepared now, committed a little later.
  bool MergeWithNext(RegionId region);
  /// An invalid `to`: to the next living store.
  bool TransferLeader(RegionId region, StoreId to = StoreId());
  /// As PD's schedulers do in time: the stores lead in turn, in the order of the regions.
  void SpreadLeaders();
  bool StepDown(RegionId region);
  /// The store dies, and returns after `down_us` (0: only by ReviveStore). Refused if no majority of stores would be left;
  /// the only store of a cluster may die if it returns.
  bool KillStore(StoreId store, Micros down_us);
  bool ReviveStore(StoreId store);
  /// `watcher` is called in the step in which a store dies or returns.
  void WatchStores(std::function<void(StoreId, bool alive)> watcher) { store_watcher_ = std::move(watcher); }
  /// Neither dead nor paused.
  [[nodiscard]] bool Responds(StoreId store) const { return StoreResponds(store); }
  /// The store does nothing for `pause_us`. After the election timeout its regions have other leaders.
  bool PauseStore(StoreId store, Micros pause_us);
  bool JumpClock(int64_t forward_ms);
  bool PdLeaderChange(Micros down_us);
  bool StaleRoutes(Micros age_us, Micros duration_us);
  /// The safe point moves to the present, or to just below the oldest lock (GC resolves locks first), and all stores
  /// compact. Service safe points are not looked at, as JuiceFS's own GC does not. False if nothing moved.
  bool GcNow();
  /// All stores apply PD's present safe point to the data at once. Returns the number of records removed.
  uint64_t CompactNow();
  /// The call with this label is answered "server is busy".
  bool PlanBusy(const sim::Label& label, uint64_t backoff_ms);
  /// The proposal of the call with this label vanishes, with its leader stepping down.
  bool PlanDrop(const sim::Label& label);

  /// Ends all lasting faults: stores return, pauses end, PD leads and answers freshly, leaders are elected at once.
  void Heal();
  /// Ends everything in the background, so that a world can come to its end. The cluster still answers.
  void Shutdown();

  // --- data in bulk, and the judge's truth ---

  /// Puts committed pairs (ascending user keys) into the engine as a transaction that started at commit_ts - 1.
  void LoadPairs(const std::vector<std::pair<Bytes, Bytes>>& pairs, Timestamp commit_ts);
  /// The same for versions with timestamps of their own (ascending keys, one version a key).
  void LoadVersions(const std::vector<UserVersion>& versions);
  /// Every pair of user keys visible at `ts` in [start, end) by committed records alone, GC notwithstanding: locks are not
  /// looked at, nothing is resolved. An empty `end` is unbounded.
  [[nodiscard]] std::vector<std::pair<Bytes, Bytes>> OracleRead(std::string_view start, std::string_view end,
                                                                Timestamp ts) const;
  enum class Fate { kUnknown, kPending, kCommitted, kRolledBack };
  struct TransactionFate {
    Fate fate = Fate::kUnknown;
    Timestamp commit_ts;
  };
  /// What became of the transaction, judged by its primary key: committed and when, rolled back, still locked, or without a
  /// trace. A pending one whose secondaries are all locked (async commit) is still kPending: resolve it first.
  [[nodiscard]] TransactionFate OracleTransaction(Timestamp start_ts, std::string_view primary_key) const;
  [[nodiscard]] Timestamp Resolved(std::string_view start, std::string_view end, Timestamp now) const override;
  /// Locks of all kinds in the lock family: a quiet cluster has none.
  [[nodiscard]] size_t LockCount() const;

 private:
  struct Store {
    StoreId id;
    RollingDigest* component = nullptr;
    StoreRunPtr run;
    uint64_t runs = 1;
    Micros paused_until_us = 0;
    std::unique_ptr<StoreService> service;
  };

  // RaftHost and Placement.
  [[nodiscard]] bool StoreLives(StoreId store) const override;
  [[nodiscard]] bool StoreResponds(StoreId store) const override;
  void LeaderChanged(RegionId region, StoreId leader) override;
  [[nodiscard]] uint64_t EngineSequence() const override { return engine_.last_sequence(); }
  bool MoveLeader(RegionId region, StoreId store) override;
  RegionId SplitAtEncoded(std::string_view key) override;

  void MakeStores(const SavedCluster& saved);
  void MakeRegions();
  void RestoreRegions(const SavedCluster& saved);
  void LoadData();
  void Load(size_t count, Timestamp newest, const std::function<UserVersion(size_t)>& version_at);
  /// Hands everything about the cluster over to the durable state.
  void SaveCluster();
  void SavePd();
  /// The region's record must be written, or removed if there is no such region any more.
  void RegionChanged(RegionId region);
  void SaveChangedRegions();
  [[nodiscard]] sim::Address StoreAddressOf(StoreId store) const;
  Store& At(StoreId store);
  [[nodiscard]] const Store& At(StoreId store) const;
  void SyncMaxTs(RegionId region, StoreId leader, uint64_t term, Micros delay_us);
  void HeartbeatSoon();
  [[nodiscard]] pd::RegionTablePtr TableForPd() const;
  void PollGcSoon();
  void CleanUpSoon();
  [[nodiscard]] std::optional<Bytes> MiddleKey(const Region& region) const;
  void MergeIsDue(RegionId source);
  [[nodiscard]] Micros now_us() const { return world_->scheduler().now_us(); }

  sim::World* world_;
  ClusterOptions options_;
  RollingDigest* component_;
  sim::Timers timers_;
  pd::Pd pd_;
  Engine engine_;
  std::shared_ptr<std::multiset<Sequence>> pins_ = std::make_shared<std::multiset<Sequence>>();
  Sequence pruned_at_ = 0;
  std::map<StoreId, Store> stores_;
  std::unique_ptr<RegionMap> regions_;
  std::unique_ptr<RaftGroups> raft_;
  std::map<RegionId, StoreId> known_leaders_;
  std::set<RegionId> changed_regions_;
  /// In the middle of a split, whose records are written together.
  bool splitting_ = false;
  std::set<RegionId> max_ts_unsynced_;
  std::set<uint64_t> planned_drops_;
  std::map<uint64_t, uint64_t> planned_busy_ms_;
  Timestamp gc_done_;
  Status loaded_;
  std::function<void(StoreId, bool alive)> store_watcher_;
  bool heartbeat_pending_ = false;
  bool bootstrapping_ = true;
};

}  // namespace kvjury::tikv
