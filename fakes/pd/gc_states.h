// GcStates: how far garbage may be collected, and who holds it back, as PD keeps and tells it.
//
// Modelled: the safe point and service safe points of PD 8.5 for the whole cluster and, as its V2 calls, for one key space;
// and the newer calls over the same state: a barrier is a service safe point, the transaction safe point is what etcd keeps
// at the key that older clients read, but never below the GC safe point.
//   UpdateGCSafePoint (8.5)     moves to the larger; looks at nothing else
//   UpdateServiceGCSafePoint    stores what is not below the smallest; answers the smallest
//   AdvanceTxnSafePoint         held by barriers, global barriers and running TiDB servers' transactions
//   AdvanceGCSafePoint          not beyond the transaction safe point
// A key space collects on its own only if its configuration says so; otherwise the newer calls mean the whole cluster.
// Not modelled: the watch of safe points (UNIMPLEMENTED).
// Source: pdpb.PD; PD 8.5.7 and, for the newer calls, PD of 2026.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/sim/channel.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::record {
class PdState;
}  // namespace kvjury::record

namespace kvjury::pd {

class Pd;

class GcStates {
 public:
  /// The whole cluster among key spaces.
  static constexpr uint32_t kNullKeyspace = 0xffffffff;
  struct Barrier {
    Timestamp ts;
    /// INT64_MAX: never.
    Micros expires_us = INT64_MAX;
  };
  using Barriers = std::map<std::string, Barrier>;

  /// `pd` must outlive this.
  explicit GcStates(Pd* pd) : pd_(pd) {}
  GcStates(const GcStates&) = delete;
  GcStates& operator=(const GcStates&) = delete;

  void Register(sim::MethodTable* methods);

  [[nodiscard]] Timestamp gc_safe_point() const;
  /// The smallest service safe point of the whole cluster that has not expired and is not 0, Timestamp::Max() without any.
  [[nodiscard]] Timestamp service_safe_point() const;
  /// The service safe points of the whole cluster that have not expired.
  Barriers LiveServices();
  void RemoveService(const std::string& service);
  /// To max(old, new); returns it.
  Timestamp Move(Timestamp safe_point);

  void Save(record::PdState* state, int64_t clock_offset_ms) const;
  void Restore(const record::PdState& state, int64_t clock_offset_ms);

 private:
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;
  struct State {
    Timestamp gc_safe_point;
    Barriers barriers;
  };
  struct Smallest {
    std::string service;
    Timestamp ts;
    int64_t ttl_s = 0;
  };

  // 8.5
  Answer<pdpb::GetGCSafePointResponse> GetGcSafePoint(Ptr<pdpb::GetGCSafePointRequest> request, sim::CallContext context);
  Answer<pdpb::UpdateGCSafePointResponse> UpdateGcSafePoint(Ptr<pdpb::UpdateGCSafePointRequest> request, sim::CallContext context);
  Answer<pdpb::UpdateServiceGCSafePointResponse> UpdateServiceGcSafePoint(Ptr<pdpb::UpdateServiceGCSafePointRequest> request,
                                                                          sim::CallContext context);
  Answer<pdpb::GetGCSafePointV2Response> GetGcSafePointV2(Ptr<pdpb::GetGCSafePointV2Request> request, sim::CallContext context);
  Answer<pdpb::UpdateGCSafePointV2Response> UpdateGcSafePointV2(Ptr<pdpb::UpdateGCSafePointV2Request> request,
                                                                sim::CallContext context);
  Answer<pdpb::UpdateServiceSafePointV2Response> UpdateServiceSafePointV2(Ptr<pdpb::UpdateServiceSafePointV2Request> request,
                                                                          sim::CallContext context);
  Answer<pdpb::GetAllGCSafePointV2Response> GetAllGcSafePointV2(Ptr<pdpb::GetAllGCSafePointV2Request> request,
                                                                sim::CallContext context);
  // Newer.
  Answer<pdpb::AdvanceGCSafePointResponse> AdvanceGcSafePoint(Ptr<pdpb::AdvanceGCSafePointRequest> request,
                                                              sim::CallContext context);
  Answer<pdpb::AdvanceTxnSafePointResponse> AdvanceTxnSafePoint(Ptr<pdpb::AdvanceTxnSafePointRequest> request,
                                                                sim::CallContext context);
  Answer<pdpb::SetGCBarrierResponse> SetGcBarrier(Ptr<pdpb::SetGCBarrierRequest> request, sim::CallContext context);
  Answer<pdpb::DeleteGCBarrierResponse> DeleteGcBarrier(Ptr<pdpb::DeleteGCBarrierRequest> request, sim::CallContext context);
  Answer<pdpb::SetGlobalGCBarrierResponse> SetGlobalGcBarrier(Ptr<pdpb::SetGlobalGCBarrierRequest> request,
                                                              sim::CallContext context);
  Answer<pdpb::DeleteGlobalGCBarrierResponse> DeleteGlobalGcBarrier(Ptr<pdpb::DeleteGlobalGCBarrierRequest> request,
                                                                    sim::CallContext context);
  Answer<pdpb::GetGCStateResponse> GetGcState(Ptr<pdpb::GetGCStateRequest> request, sim::CallContext context);
  Answer<pdpb::GetAllKeyspacesGCStatesResponse> GetAllKeyspacesGcStates(Ptr<pdpb::GetAllKeyspacesGCStatesRequest> request,
                                                                        sim::CallContext context);

  /// The rule of service safe points. Errors: kRejected with PD's words.
  Result<Smallest> UpdateService(State* state, const std::string& service, Timestamp ts, int64_t ttl_s, bool remove);
  void DropExpired(Barriers* barriers) const;
  [[nodiscard]] int64_t TtlSeconds(const Barrier& barrier) const;

  /// Whose state a scope means. For reading, a key space that does not collect on its own is the whole cluster; for
  /// collecting it is an error.
  Result<uint32_t> Redirect(const pdpb::KeyspaceScope* scope, bool for_collecting) const;
  Timestamp TxnSafePoint(uint32_t keyspace);
  void SetTxnSafePoint(uint32_t keyspace, Timestamp ts);
  /// The smallest of what holds `keyspace` below `target`, with its description; `target` if nothing does.
  Timestamp Hold(uint32_t keyspace, Timestamp target, std::string* description);
  Result<pdpb::AdvanceTxnSafePointResponse> Advance(uint32_t keyspace, Timestamp target);
  /// Errors: kRejected with PD's words.
  Status CheckBarrier(const std::string& id, bool reserved_ids) const;
  [[nodiscard]] Barrier NewBarrier(uint64_t ts, int64_t ttl_s) const;
  void FillState(uint32_t keyspace, bool own, bool with_barriers, pdpb::GCState* out);
  template <class Field>
  void FillBarriers(Barriers* barriers, Field* out);

  Pd* pd_;
  std::map<uint32_t, State> states_;
  Barriers global_;
};

}  // namespace kvjury::pd
