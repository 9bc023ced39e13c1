// Pd: the placement driver of one simulated cluster, as its clients see it.
//
// Modelled: timestamps over leader changes and jumps (tso.h), one space of ids, members, stores, region routing from what PD
// has learnt (region_view.h), scattering with operators that take time, what PD grants to stores that split, reset-ts; safe
// points are gc_states.h, key spaces keyspaces.h, etcd's own interface etcd.h, HTTP http_api.h.
// Several members answer with one state at addresses of their own: one leads, the others refuse what is the leader's with
// UNAVAILABLE "not leader"; look-ups of members, the cluster's kind, QueryRegion and etcd they answer. While nobody leads,
// all refuse. Requests of another cluster id are rejected in PD's own words.
// Not modelled: members that are down or behind, followers that answer look-ups of regions on request, forwarding by gRPC,
// schedulers other than scatter, heartbeats from outside (UNIMPLEMENTED), sizes, flows and loads of stores and regions (an idle
// cluster's are told); a store that only a message announced is forgotten at a restart.
// Source: pdpb.PD of kvproto (TiKV 8.5), PD 8.5.7 and its recorded answers.
// Determinism: decisions go to the component "pd" (with the cluster's prefix) of the world's log.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes/pd/etcd.h"
#include "fakes/pd/gc_states.h"
#include "fakes/pd/http_api.h"
#include "fakes/pd/keyspaces.h"
#include "fakes/pd/meta_storage.h"
#include "fakes/pd/methods.h"
#include "fakes/pd/region_view.h"
#include "fakes/pd/tso.h"
#include "fakes/sim/timers.h"
#include "fakes/sim/world.h"

namespace kvjury::pd {

/// What every store's disk seems to hold.
inline constexpr uint64_t kStoreCapacity = uint64_t{8} << 30;

struct PdOptions {
  /// Prefix of the addresses; may be empty.
  std::string cluster;
  uint64_t cluster_id = 0;
  int64_t clock_start_ms = 0;
  /// What clients are told to dial, "http://127.0.0.1:2379", for each member; empty: the world's own addresses.
  std::vector<std::string> client_urls;
  /// How long a scatter operator runs.
  Micros operator_us = 300'000;
  size_t members = 1;
};

/// What PD's operators do to the cluster.
class Placement {
 public:
  virtual ~Placement() = default;
  /// Moves the leader of `region` to `store`. False if there is no such region or peer, or the store does not live.
  virtual bool MoveLeader(RegionId region, StoreId store) = 0;
  /// Makes `key`, as regions keep it, the start of a region and returns that region; invalid if it cannot be split there now.
  virtual RegionId SplitAtEncoded(std::string_view key) = 0;
  /// What the stores report of their resolvers: below it nothing in this range of encoded keys will be committed any more. `now`
  /// if no lock stands in the way.
  [[nodiscard]] virtual Timestamp Resolved(std::string_view start, std::string_view end, Timestamp now) const = 0;
};

class Pd {
 public:
  /// `world` must outlive the service.
  Pd(sim::World* world, PdOptions options);
  Pd(const Pd&) = delete;
  Pd& operator=(const Pd&) = delete;

  [[nodiscard]] const sim::MethodTable& methods() const { return methods_; }
  /// Of the first member, whether it leads or not.
  [[nodiscard]] sim::Address address() const { return ClusterAddress(options_.cluster); }
  /// Of all members. The same methods answer on each.
  [[nodiscard]] std::vector<sim::Address> addresses() const;
  [[nodiscard]] size_t leader_place() const { return leader_; }
  sim::Scheduler* scheduler() { return &world_->scheduler(); }
  [[nodiscard]] sim::Address leader_address() const { return MemberAddress(options_.cluster, leader_); }
  [[nodiscard]] uint64_t cluster_id() const { return options_.cluster_id; }

  // --- for the cluster; nothing here suspends ---

  void SetPlacement(Placement* placement) { placement_ = placement; }
  void PutStore(metapb::Store store);
  /// Its heartbeats end, or begin again.
  void StoreDied(StoreId store);
  void StoreReturned(StoreId store) { silent_since_us_.erase(store.value()); }
  /// A new id for a store, region or peer.
  uint64_t AllocateId();
  /// PD learns of the regions' state.
  void Learn(RegionTablePtr table);
  /// A timestamp for the stores themselves. Errors: kUnavailable while no member leads.
  Result<Timestamp> AllocateTimestamp();
  [[nodiscard]] bool available() const;
  [[nodiscard]] Timestamp gc_safe_point() const { return gc_.gc_safe_point(); }
  /// The smallest service safe point that has not expired, Timestamp::Max() without any.
  [[nodiscard]] Timestamp service_safe_point() const { return gc_.service_safe_point(); }
  [[nodiscard]] const TimestampOracle& oracle() const { return oracle_; }
  /// What a restart needs, as a record::PdState: ids, safe points, the limit of timestamps. Regions are learnt anew.
  [[nodiscard]] Bytes SaveState() const;
  /// Begins from another run's SaveState. Errors: kDataLoss.
  Status RestoreState(std::string_view state);
  /// `changed` is called in the step that changes what SaveState gives, before anything is answered.
  void SetStateChanged(std::function<void()> changed) { state_changed_ = std::move(changed); }

  // --- faults; each takes effect at once ---

  /// No member leads for `down_us`; then the next one does, whose timestamps continue above the saved limit.
  void ChangeLeader(Micros down_us) { MoveLeadership((leader_ + 1) % options_.members, down_us); }
  /// The same to the member at that place.
  void MoveLeadership(size_t to, Micros down_us);
  void JumpClock(int64_t forward_ms);
  void ServeStale(Micros age_us, Micros duration_us);
  /// The safe point moves to max(old, new), as by UpdateGCSafePoint; returns it.
  Timestamp MoveGcSafePoint(Timestamp safe_point) { return gc_.Move(safe_point); }
  /// Ends faults that last.
  void Heal();
  /// Forgets running operators.
  void Shutdown() { timers_.Cancel(); }

 private:
  friend class GcStates;
  friend class HttpApi;
  friend class Keyspaces;
  struct Operator {
    bool running = false;
    Micros known_until_us = 0;
  };
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;

  Answer<pdpb::TsoResponse> Tso(Ptr<pdpb::TsoRequest> request, sim::CallContext context);
  Answer<pdpb::GetMembersResponse> GetMembers(Ptr<pdpb::GetMembersRequest> request, sim::CallContext context);
  Answer<pdpb::AllocIDResponse> AllocId(Ptr<pdpb::AllocIDRequest> request, sim::CallContext context);
  Answer<pdpb::GetStoreResponse> GetStore(Ptr<pdpb::GetStoreRequest> request, sim::CallContext context);
  Answer<pdpb::GetAllStoresResponse> GetAllStores(Ptr<pdpb::GetAllStoresRequest> request, sim::CallContext context);
  Answer<pdpb::GetRegionResponse> GetRegion(Ptr<pdpb::GetRegionRequest> request, sim::CallContext context);
  Answer<pdpb::GetRegionResponse> GetPrevRegion(Ptr<pdpb::GetRegionRequest> request, sim::CallContext context);
  Answer<pdpb::GetRegionResponse> GetRegionById(Ptr<pdpb::GetRegionByIDRequest> request, sim::CallContext context);
  Answer<pdpb::ScanRegionsResponse> ScanRegions(Ptr<pdpb::ScanRegionsRequest> request, sim::CallContext context);
  Answer<pdpb::BatchScanRegionsResponse> BatchScanRegions(Ptr<pdpb::BatchScanRegionsRequest> request,
                                                          sim::CallContext context);
  Answer<pdpb::QueryRegionResponse> QueryRegion(Ptr<pdpb::QueryRegionRequest> request, sim::CallContext context);
  Answer<pdpb::GetClusterInfoResponse> GetClusterInfo(Ptr<pdpb::GetClusterInfoRequest> request, sim::CallContext context);
  Answer<pdpb::IsBootstrappedResponse> IsBootstrapped(Ptr<pdpb::IsBootstrappedRequest> request, sim::CallContext context);
  Answer<pdpb::GetClusterConfigResponse> GetClusterConfig(Ptr<pdpb::GetClusterConfigRequest> request,
                                                          sim::CallContext context);
  Answer<pdpb::IsSnapshotRecoveringResponse> IsSnapshotRecovering(Ptr<pdpb::IsSnapshotRecoveringRequest> request,
                                                                  sim::CallContext context);
  Answer<pdpb::SetExternalTimestampResponse> SetExternalTimestamp(Ptr<pdpb::SetExternalTimestampRequest> request,
                                                                  sim::CallContext context);
  Answer<pdpb::GetExternalTimestampResponse> GetExternalTimestamp(Ptr<pdpb::GetExternalTimestampRequest> request,
                                                                  sim::CallContext context);
  Answer<pdpb::GetMinTSResponse> GetMinTs(Ptr<pdpb::GetMinTSRequest> request, sim::CallContext context);
  Answer<pdpb::SplitRegionsResponse> SplitRegions(Ptr<pdpb::SplitRegionsRequest> request, sim::CallContext context);
  Answer<pdpb::SplitAndScatterRegionsResponse> SplitAndScatterRegions(Ptr<pdpb::SplitAndScatterRegionsRequest> request,
                                                                      sim::CallContext context);
  Answer<pdpb::ScatterRegionResponse> ScatterRegion(Ptr<pdpb::ScatterRegionRequest> request, sim::CallContext context);
  Answer<pdpb::GetOperatorResponse> GetOperator(Ptr<pdpb::GetOperatorRequest> request, sim::CallContext context);
  Answer<pdpb::BootstrapResponse> Bootstrap(Ptr<pdpb::BootstrapRequest> request, sim::CallContext context);
  Answer<pdpb::PutStoreResponse> AddStore(Ptr<pdpb::PutStoreRequest> request, sim::CallContext context);
  Answer<pdpb::PutClusterConfigResponse> PutClusterConfig(Ptr<pdpb::PutClusterConfigRequest> request, sim::CallContext context);
  Answer<pdpb::AskSplitResponse> AskSplit(Ptr<pdpb::AskSplitRequest> request, sim::CallContext context);
  Answer<pdpb::AskBatchSplitResponse> AskBatchSplit(Ptr<pdpb::AskBatchSplitRequest> request, sim::CallContext context);
  Answer<pdpb::ReportSplitResponse> ReportSplit(Ptr<pdpb::ReportSplitRequest> request, sim::CallContext context);
  Answer<pdpb::ReportBatchSplitResponse> ReportBatchSplit(Ptr<pdpb::ReportBatchSplitRequest> request, sim::CallContext context);
  Answer<pdpb::ReportMinResolvedTsResponse> ReportMinResolvedTs(Ptr<pdpb::ReportMinResolvedTsRequest> request,
                                                                sim::CallContext context);
  Answer<pdpb::SyncMaxTSResponse> SyncMaxTs(Ptr<pdpb::SyncMaxTSRequest> request, sim::CallContext context);
  Answer<pdpb::GetDCLocationInfoResponse> GetDcLocationInfo(Ptr<pdpb::GetDCLocationInfoRequest> request,
                                                            sim::CallContext context);
  Answer<pdhttp::ResetTsResponse> ResetTs(Ptr<pdhttp::ResetTsRequest> request, sim::CallContext context);

  /// reset-ts: `tso` in decimal. Status and body as over HTTP.
  pdhttp::ResetTsResponse ResetTsTo(const std::string& tso, bool force_use_larger);
  void RegisterClusterMethods();
  void RegisterStoreMethods();
  /// Whether the member that was asked leads, and the cluster's id.
  template <class Request>
  Status CheckRequest(const Request& request, const sim::CallContext& context) const {
    RETURN_IF_ERROR(CheckLeader(context));
    return CheckClusterId(request.header().cluster_id());
  }
  /// The same for look-ups of regions, which others than the leader refuse in words of their own.
  template <class Request>
  Status CheckLookUp(const Request& request, const sim::CallContext& context) const {
    RETURN_IF_ERROR(Leads(context) ? Status::Ok() : Status::Unavailable("not leader and follower handling not allowed"));
    return CheckClusterId(request.header().cluster_id());
  }
  [[nodiscard]] bool Leads(const sim::CallContext& context) const { return available() && context.to == leader_address(); }
  [[nodiscard]] Status CheckLeader(const sim::CallContext& context) const;
  [[nodiscard]] Status CheckClusterId(uint64_t cluster_id) const;
  /// What PD looks at before a region may split. False with the error in the answer.
  template <class Request, class Response>
  bool MaySplit(const Request& request, Response* response) const;
  template <class Response>
  void PutHeader(Response* response) const {
    response->mutable_header()->set_cluster_id(options_.cluster_id);
  }
  [[nodiscard]] Bytes SnapshotRecoveringKey() const {
    return "/pd/" + std::to_string(options_.cluster_id) + "/cluster/markers/snapshot-recovering";
  }
  void StateChanged() const;
  /// After every use of the oracle: its limit is saved before a timestamp above the former one is answered.
  void SaveLimitIfMoved();
  /// In the same order everywhere.
  [[nodiscard]] std::vector<Etcd::Member> Members() const;
  void StartScatter(const RegionInfo& info);
  /// A known store with its last heartbeat.
  [[nodiscard]] metapb::Store StoreAsTold(uint64_t id) const;
  /// What an idle store of this size would report.
  void FillStats(const metapb::Store& store, pdpb::StoreStats* stats) const;
  [[nodiscard]] Micros now_us() const { return world_->scheduler().now_us(); }
  /// By PD's clock, in microseconds and seconds since the epoch.
  [[nodiscard]] int64_t UnixMicros(Micros us) const { return oracle_.ClockMs(0) * 1000 + us; }
  [[nodiscard]] int64_t UnixSeconds() const { return oracle_.ClockMs(now_us()) / 1000; }
  void Log(std::string_view kind, uint64_t a, uint64_t b = 0) { world_->log().Add(component_, kind, a, b); }

  sim::World* world_;
  PdOptions options_;
  RollingDigest* component_;
  sim::MethodTable methods_;
  sim::Timers timers_;
  Placement* placement_ = nullptr;
  std::function<void()> state_changed_;
  int64_t written_limit_ms_ = 0;
  TimestampOracle oracle_;
  Etcd etcd_;
  MetaStorage meta_storage_;
  GcStates gc_;
  Keyspaces keyspaces_;
  HttpApi http_;
  RegionViews views_;
  std::map<uint64_t, metapb::Store> stores_;
  std::map<uint64_t, Micros> silent_since_us_;
  std::map<uint64_t, Operator> operators_;
  /// By store, as stores report it.
  std::map<uint64_t, uint64_t> min_resolved_ts_;
  uint32_t max_peer_count_ = 3;
  uint64_t external_timestamp_ = 0;
  uint64_t last_id_ = 0;
  uint64_t scattered_ = 0;
  uint64_t leader_term_ = 1;
  size_t leader_ = 0;
  Micros down_until_us_ = 0;
};

}  // namespace kvjury::pd
