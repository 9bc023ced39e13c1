// Pd: the placement driver of one simulated cluster, as its clients see it.
//
// Modelled: timestamps over leader changes and jumps (tso.h), one space of ids, members, stores, region routing from what PD
// has learnt (region_view.h), scattering with operators that take time, GC safe point and service safe points, reset-ts.
// While no member leads, every call fails with UNAVAILABLE. Requests of another cluster id are rejected in PD's own words.
// etcd's own interface is etcd.h.
// Not modelled: several members with their own state, schedulers other than scatter, placement rules.
// Source: pdpb.PD of kvproto (TiKV 8.5), and the answers of a real PD 8.5.7. UpdateGCSafePoint does not look at service safe points.
// Determinism: decisions go to the component "pd" (with the cluster's prefix) of the world's log.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fakes/pd/etcd.h"
#include "fakes/pd/http_api.h"
#include "fakes/pd/methods.h"
#include "fakes/pd/region_view.h"
#include "fakes/pd/tso.h"
#include "fakes/sim/timers.h"
#include "fakes/sim/world.h"

namespace kvjury::pd {

struct PdOptions {
  /// Prefix of the addresses; may be empty.
  std::string cluster;
  uint64_t cluster_id = 0;
  int64_t clock_start_ms = 0;
  /// What clients are told to dial, "http://127.0.0.1:2379"; empty: the world's own address.
  std::vector<std::string> client_urls;
  /// How long a scatter operator runs.
  Micros operator_us = 300'000;
};

/// What PD's operators do to the cluster.
class Placement {
 public:
  virtual ~Placement() = default;
  /// Moves the leader of `region` to `store`. False if there is no such region or peer, or the store does not live.
  virtual bool MoveLeader(RegionId region, StoreId store) = 0;
  /// Makes `key`, as regions keep it, the start of a region and returns that region; invalid if it cannot be split there now.
  virtual RegionId SplitAtEncoded(std::string_view key) = 0;
};

class Pd {
 public:
  /// `world` must outlive the service.
  Pd(sim::World* world, PdOptions options);
  Pd(const Pd&) = delete;
  Pd& operator=(const Pd&) = delete;

  [[nodiscard]] const sim::MethodTable& methods() const { return methods_; }
  [[nodiscard]] sim::Address address() const { return ClusterAddress(options_.cluster); }
  [[nodiscard]] uint64_t cluster_id() const { return options_.cluster_id; }

  // --- for the cluster; nothing here suspends ---

  void SetPlacement(Placement* placement) { placement_ = placement; }
  void PutStore(metapb::Store store);
  /// A new id for a store, region or peer.
  uint64_t AllocateId();
  /// PD learns of the regions' state.
  void Learn(RegionTablePtr table);
  /// A timestamp for the stores themselves. Errors: kUnavailable while no member leads.
  Result<Timestamp> AllocateTimestamp();
  [[nodiscard]] bool available() const;
  [[nodiscard]] Timestamp gc_safe_point() const { return gc_safe_point_; }
  /// The smallest service safe point that has not expired, Timestamp::Max() without any.
  [[nodiscard]] Timestamp service_safe_point() const;
  [[nodiscard]] const TimestampOracle& oracle() const { return oracle_; }
  /// What a restart needs, as a record::PdState: ids, safe points, the limit of timestamps. Regions are learnt anew.
  [[nodiscard]] Bytes SaveState() const;
  /// Begins from another run's SaveState. Errors: kDataLoss.
  Status RestoreState(std::string_view state);
  /// `changed` is called in the step that changes what SaveState gives, before anything is answered.
  void SetStateChanged(std::function<void()> changed) { state_changed_ = std::move(changed); }

  // --- faults; each takes effect at once ---

  /// No member leads for `down_us`; the next leader's timestamps continue above the saved limit.
  void ChangeLeader(Micros down_us);
  void JumpClock(int64_t forward_ms);
  void ServeStale(Micros age_us, Micros duration_us);
  /// The safe point moves to max(old, new), as by UpdateGCSafePoint; returns it.
  Timestamp MoveGcSafePoint(Timestamp safe_point);
  /// Ends faults that last.
  void Heal();
  /// Forgets running operators.
  void Shutdown() { timers_.Cancel(); }

 private:
  friend class HttpApi;
  struct Operator {
    bool running = false;
    Micros known_until_us = 0;
  };
  struct ServiceSafePoint {
    Timestamp safe_point;
    Micros expires_us = 0;
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
  Answer<pdpb::GetGCSafePointResponse> GetGcSafePoint(Ptr<pdpb::GetGCSafePointRequest> request, sim::CallContext context);
  Answer<pdpb::UpdateGCSafePointResponse> UpdateGcSafePoint(Ptr<pdpb::UpdateGCSafePointRequest> request,
                                                            sim::CallContext context);
  Answer<pdpb::UpdateServiceGCSafePointResponse> UpdateServiceGcSafePoint(
      Ptr<pdpb::UpdateServiceGCSafePointRequest> request, sim::CallContext context);
  Answer<pdhttp::ResetTsResponse> ResetTs(Ptr<pdhttp::ResetTsRequest> request, sim::CallContext context);

  /// reset-ts: `tso` in decimal. Status and body as over HTTP.
  pdhttp::ResetTsResponse ResetTsTo(const std::string& tso, bool force_use_larger);
  void RegisterClusterMethods();
  template <class Request>
  Status CheckRequest(const Request& request) const {
    return CheckClusterId(request.header().cluster_id());
  }
  Status CheckClusterId(uint64_t cluster_id) const;
  Status CheckLeader() const;
  template <class Response>
  void PutHeader(Response* response) const {
    response->mutable_header()->set_cluster_id(options_.cluster_id);
  }
  void StateChanged() const;
  /// After every use of the oracle: its limit is saved before a timestamp above the former one is answered.
  void SaveLimitIfMoved();
  [[nodiscard]] std::vector<Etcd::Member> Members() const;
  void StartScatter(const RegionInfo& info);
  [[nodiscard]] Micros now_us() const { return world_->scheduler().now_us(); }
  void Log(std::string_view kind, uint64_t a, uint64_t b = 0) { world_->log().Add(component_, kind, a, b); }

  sim::World* world_;
  PdOptions options_;
  RollingDigest* component_;
  sim::MethodTable methods_;
  sim::Timers timers_;
  Placement* placement_ = nullptr;
  std::function<void()> state_changed_;
  int64_t written_limit_ms_ = 0;
  Etcd etcd_;
  HttpApi http_;
  TimestampOracle oracle_;
  RegionViews views_;
  std::map<uint64_t, metapb::Store> stores_;
  std::map<uint64_t, Operator> operators_;
  std::map<std::string, ServiceSafePoint> service_safe_points_;
  Timestamp gc_safe_point_;
  uint64_t external_timestamp_ = 0;
  uint64_t last_id_ = 0;
  uint64_t scattered_ = 0;
  uint64_t leader_term_ = 1;
  Micros down_until_us_ = 0;
};

}  // namespace kvjury::pd
