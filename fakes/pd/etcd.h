// Etcd: the key-value store inside PD, as far as PD's clients talk to it.
//
// Modelled: Range, Put, DeleteRange and Txn over one ordered map with revisions and versions, leases that expire and take
// their keys along, the member list, the status. Old revisions are compacted at once, as if somebody asked for it after every
// change: a read below the present revision is answered so.
// Not modelled: watches (UNIMPLEMENTED), authentication, changes of members; a member without the others.
// Source: etcd 3.5 v3 API. client-go reads /tidb/store/gcworker/saved_safe_point here, every ten seconds; a missing key is fine.
// Times: leases end by virtual time, looked at whenever something is asked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/sim/channel.h"
#include "proto/tikv/etcdserverpb.pb.h"

namespace kvjury::record {
class PdState;
}  // namespace kvjury::record

namespace kvjury::pd {

inline constexpr sim::UnaryMethod<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse> kEtcdRange{"/etcdserverpb.KV/Range"};
inline constexpr sim::UnaryMethod<etcdserverpb::PutRequest, etcdserverpb::PutResponse> kEtcdPut{"/etcdserverpb.KV/Put"};
inline constexpr sim::UnaryMethod<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse> kEtcdDeleteRange{
    "/etcdserverpb.KV/DeleteRange"};
inline constexpr sim::UnaryMethod<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse> kEtcdTxn{"/etcdserverpb.KV/Txn"};
inline constexpr sim::UnaryMethod<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse> kEtcdCompact{
    "/etcdserverpb.KV/Compact"};
inline constexpr sim::UnaryMethod<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse> kEtcdLeaseGrant{
    "/etcdserverpb.Lease/LeaseGrant"};
inline constexpr sim::UnaryMethod<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse> kEtcdLeaseRevoke{
    "/etcdserverpb.Lease/LeaseRevoke"};
/// On a port a stream: each message is answered in order.
inline constexpr sim::UnaryMethod<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>
    kEtcdLeaseKeepAlive{"/etcdserverpb.Lease/LeaseKeepAlive"};
inline constexpr sim::UnaryMethod<etcdserverpb::LeaseTimeToLiveRequest, etcdserverpb::LeaseTimeToLiveResponse>
    kEtcdLeaseTimeToLive{"/etcdserverpb.Lease/LeaseTimeToLive"};
inline constexpr sim::UnaryMethod<etcdserverpb::LeaseLeasesRequest, etcdserverpb::LeaseLeasesResponse> kEtcdLeaseLeases{
    "/etcdserverpb.Lease/LeaseLeases"};
inline constexpr sim::UnaryMethod<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse> kEtcdMemberList{
    "/etcdserverpb.Cluster/MemberList"};
inline constexpr sim::UnaryMethod<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse> kEtcdStatus{
    "/etcdserverpb.Maintenance/Status"};

class Etcd {
 public:
  struct Member {
    uint64_t id = 0;
    std::string name;
    /// Where it answers in the world.
    sim::Address address;
    std::vector<std::string> client_urls;
    std::vector<std::string> peer_urls;
  };
  struct Options {
    uint64_t cluster_id = 0;
    /// Who they are, the same order on each.
    std::function<std::vector<Member>()> members;
    /// The leader's place among them; the last one's while there is none.
    std::function<size_t()> leader;
    std::function<Micros()> now_us;
    /// Something that Save writes has changed.
    std::function<void()> changed;
  };
  explicit Etcd(Options options) : options_(std::move(options)) {}
  Etcd(const Etcd&) = delete;
  Etcd& operator=(const Etcd&) = delete;

  void Register(sim::MethodTable* methods);

  // --- for PD itself ---

  [[nodiscard]] std::optional<Bytes> Find(const Bytes& key);
  void Set(const Bytes& key, const Bytes& value);
  /// Whether the range may be read. Errors carry etcd's sentences.
  [[nodiscard]] Status CheckRange(const etcdserverpb::RangeRequest& request) const;
  /// Answers of etcd's calls without a header.
  etcdserverpb::RangeResponse ReadRange(const etcdserverpb::RangeRequest& request);
  Result<etcdserverpb::PutResponse> Write(const etcdserverpb::PutRequest& request);
  etcdserverpb::DeleteRangeResponse Erase(const etcdserverpb::DeleteRangeRequest& request);
  [[nodiscard]] int64_t revision() const { return revision_; }

  /// `clock_offset_ms`: the milliseconds since the epoch at virtual time 0.
  void Save(record::PdState* state, int64_t clock_offset_ms) const;
  void Restore(const record::PdState& state, int64_t clock_offset_ms);

 private:
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;
  using Pairs = std::map<Bytes, etcdserverpb::KeyValue>;
  struct Lease {
    int64_t ttl_s = 0;
    Micros expires_us = 0;
  };

  Answer<etcdserverpb::RangeResponse> Range(Ptr<etcdserverpb::RangeRequest> request, sim::CallContext context);
  Answer<etcdserverpb::PutResponse> Put(Ptr<etcdserverpb::PutRequest> request, sim::CallContext context);
  Answer<etcdserverpb::DeleteRangeResponse> DeleteRange(Ptr<etcdserverpb::DeleteRangeRequest> request, sim::CallContext context);
  Answer<etcdserverpb::TxnResponse> Txn(Ptr<etcdserverpb::TxnRequest> request, sim::CallContext context);
  Answer<etcdserverpb::CompactionResponse> Compact(Ptr<etcdserverpb::CompactionRequest> request, sim::CallContext context);
  Answer<etcdserverpb::LeaseGrantResponse> LeaseGrant(Ptr<etcdserverpb::LeaseGrantRequest> request, sim::CallContext context);
  Answer<etcdserverpb::LeaseRevokeResponse> LeaseRevoke(Ptr<etcdserverpb::LeaseRevokeRequest> request, sim::CallContext context);
  Answer<etcdserverpb::LeaseKeepAliveResponse> LeaseKeepAlive(Ptr<etcdserverpb::LeaseKeepAliveRequest> request,
                                                              sim::CallContext context);
  Answer<etcdserverpb::LeaseTimeToLiveResponse> LeaseTimeToLive(Ptr<etcdserverpb::LeaseTimeToLiveRequest> request,
                                                                sim::CallContext context);
  Answer<etcdserverpb::LeaseLeasesResponse> LeaseLeases(Ptr<etcdserverpb::LeaseLeasesRequest> request, sim::CallContext context);
  Answer<etcdserverpb::MemberListResponse> MemberList(Ptr<etcdserverpb::MemberListRequest> request, sim::CallContext context);
  Answer<etcdserverpb::StatusResponse> GetStatus(Ptr<etcdserverpb::StatusRequest> request, sim::CallContext context);

  template <class Response>
  void PutHeader(Response* response, const sim::CallContext& context) const;
  /// The pairs that `key` and `range_end` name, as two ends.
  std::pair<Pairs::iterator, Pairs::iterator> FindRange(const Bytes& key, const Bytes& range_end);
  [[nodiscard]] Status CheckPut(const etcdserverpb::PutRequest& request) const;
  [[nodiscard]] Status CheckOperations(const etcdserverpb::TxnRequest& request) const;
  bool Holds(const etcdserverpb::Compare& compare);
  // Changes that belong to `revision`; whether there were any.
  bool ApplyPut(const etcdserverpb::PutRequest& request, int64_t revision, etcdserverpb::PutResponse* response);
  bool ApplyDelete(const etcdserverpb::DeleteRangeRequest& request, etcdserverpb::DeleteRangeResponse* response);
  bool ApplyTxn(const etcdserverpb::TxnRequest& request, int64_t revision, etcdserverpb::TxnResponse* response);
  /// Ends leases whose time is over.
  void Expire();
  void EndLease(int64_t id);
  void Changed() const;

  Options options_;
  Pairs pairs_;
  std::map<int64_t, Lease> leases_;
  int64_t revision_ = 1;
  int64_t compacted_ = 0;
};

}  // namespace kvjury::pd
