// Etcd: the key-value store inside PD, as far as PD's clients talk to it.
//
// Modelled: Range, Put and DeleteRange over one ordered map with revisions and versions, the member list, the status.
// Not modelled: leases (a lease number is kept and means nothing), old revisions, watches, transactions.
// Source: etcd 3.5 v3 API. client-go reads /tidb/store/gcworker/saved_safe_point here, every ten seconds; a missing key is fine.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/sim/channel.h"
#include "proto/tikv/etcdserverpb.pb.h"

namespace kvjury::pd {

inline constexpr sim::UnaryMethod<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse> kEtcdRange{"/etcdserverpb.KV/Range"};
inline constexpr sim::UnaryMethod<etcdserverpb::PutRequest, etcdserverpb::PutResponse> kEtcdPut{"/etcdserverpb.KV/Put"};
inline constexpr sim::UnaryMethod<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse> kEtcdDeleteRange{
    "/etcdserverpb.KV/DeleteRange"};
inline constexpr sim::UnaryMethod<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse> kEtcdMemberList{
    "/etcdserverpb.Cluster/MemberList"};
inline constexpr sim::UnaryMethod<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse> kEtcdStatus{
    "/etcdserverpb.Maintenance/Status"};

class Etcd {
 public:
  struct Member {
    uint64_t id = 0;
    std::string name;
    std::vector<std::string> client_urls;
    std::vector<std::string> peer_urls;
  };
  /// `members` tells who they are now, the leader first.
  Etcd(uint64_t cluster_id, std::function<std::vector<Member>()> members)
      : cluster_id_(cluster_id), members_(std::move(members)) {}
  Etcd(const Etcd&) = delete;
  Etcd& operator=(const Etcd&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;
  using Pairs = std::map<Bytes, etcdserverpb::KeyValue>;

  Answer<etcdserverpb::RangeResponse> Range(Ptr<etcdserverpb::RangeRequest> request, sim::CallContext context);
  Answer<etcdserverpb::PutResponse> Put(Ptr<etcdserverpb::PutRequest> request, sim::CallContext context);
  Answer<etcdserverpb::DeleteRangeResponse> DeleteRange(Ptr<etcdserverpb::DeleteRangeRequest> request, sim::CallContext context);
  Answer<etcdserverpb::MemberListResponse> MemberList(Ptr<etcdserverpb::MemberListRequest> request, sim::CallContext context);
  Answer<etcdserverpb::StatusResponse> GetStatus(Ptr<etcdserverpb::StatusRequest> request, sim::CallContext context);

  template <class Response>
  void PutHeader(Response* response) const;
  /// The pairs that `key` and `range_end` name, as two ends.
  std::pair<Pairs::iterator, Pairs::iterator> Find(const Bytes& key, const Bytes& range_end);

  uint64_t cluster_id_;
  std::function<std::vector<Member>()> members_;
  Pairs pairs_;
  int64_t revision_ = 1;
};

}  // namespace kvjury::pd
