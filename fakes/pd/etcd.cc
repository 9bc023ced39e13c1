#include "fakes/pd/etcd.h"

#include <algorithm>

namespace kvjury::pd {

namespace {

constexpr char kVersion[] = "3.5.15";
constexpr uint64_t kRaftTerm = 2;
// A range end of one zero byte: everything from the key on.
const Bytes kNoEnd(1, '\0');

}  // namespace

void Etcd::Register(sim::MethodTable* methods) {
  methods->Add(kEtcdRange, this, &Etcd::Range);
  methods->Add(kEtcdPut, this, &Etcd::Put);
  methods->Add(kEtcdDeleteRange, this, &Etcd::DeleteRange);
  methods->Add(kEtcdMemberList, this, &Etcd::MemberList);
  methods->Add(kEtcdStatus, this, &Etcd::GetStatus);
}

template <class Response>
void Etcd::PutHeader(Response* response) const {
  etcdserverpb::ResponseHeader* header = response->mutable_header();
  header->set_cluster_id(cluster_id_);
  header->set_member_id(members_().front().id);
  header->set_revision(revision_);
  header->set_raft_term(kRaftTerm);
}

std::pair<Etcd::Pairs::iterator, Etcd::Pairs::iterator> Etcd::Find(const Bytes& key, const Bytes& range_end) {
  const auto begin = pairs_.lower_bound(key);
  if (range_end.empty()) {
    return {begin, begin != pairs_.end() && begin->first == key ? std::next(begin) : begin};
  }
  return {begin, range_end == kNoEnd ? pairs_.end() : range_end <= key ? begin : pairs_.lower_bound(range_end)};
}

Etcd::Answer<etcdserverpb::RangeResponse> Etcd::Range(Ptr<etcdserverpb::RangeRequest> request, sim::CallContext) {
  if (request->key().empty()) {
    co_return Status::InvalidArgument("etcdserver: key is not provided");
  }
  etcdserverpb::RangeResponse response;
  PutHeader(&response);
  const auto [begin, end] = Find(request->key(), request->range_end());
  std::vector<const etcdserverpb::KeyValue*> found;
  for (auto it = begin; it != end; ++it) {
    found.push_back(&it->second);
  }
  if (request->sort_order() == etcdserverpb::RangeRequest::DESCEND) {
    std::reverse(found.begin(), found.end());
  }
  response.set_count(static_cast<int64_t>(found.size()));
  if (request->limit() > 0 && response.count() > request->limit()) {
    found.resize(static_cast<size_t>(request->limit()));
    response.set_more(true);
  }
  for (const etcdserverpb::KeyValue* pair : found) {
    if (!request->count_only()) {
      *response.add_kvs() = *pair;
      if (request->keys_only()) {
        response.mutable_kvs()->rbegin()->clear_value();
      }
    }
  }
  co_return response;
}

Etcd::Answer<etcdserverpb::PutResponse> Etcd::Put(Ptr<etcdserverpb::PutRequest> request, sim::CallContext) {
  if (request->key().empty()) {
    co_return Status::InvalidArgument("etcdserver: key is not provided");
  }
  etcdserverpb::PutResponse response;
  const bool is_new = !pairs_.contains(request->key());
  if ((request->ignore_value() || request->ignore_lease()) && is_new) {
    co_return Status::InvalidArgument("etcdserver: key not found");
  }
  ++revision_;
  etcdserverpb::KeyValue& pair = pairs_[request->key()];
  if (request->prev_kv() && !is_new) {
    *response.mutable_prev_kv() = pair;
  }
  if (is_new) {
    pair.set_key(request->key());
    pair.set_create_revision(revision_);
  }
  pair.set_mod_revision(revision_);
  pair.set_version(pair.version() + 1);
  if (!request->ignore_value()) {
    pair.set_value(request->value());
  }
  if (!request->ignore_lease()) {
    pair.set_lease(request->lease());
  }
  PutHeader(&response);
  co_return response;
}

Etcd::Answer<etcdserverpb::DeleteRangeResponse> Etcd::DeleteRange(Ptr<etcdserverpb::DeleteRangeRequest> request,
                                                                  sim::CallContext) {
  if (request->key().empty()) {
    co_return Status::InvalidArgument("etcdserver: key is not provided");
  }
  etcdserverpb::DeleteRangeResponse response;
  const auto [begin, end] = Find(request->key(), request->range_end());
  for (auto it = begin; it != end; ++it) {
    response.set_deleted(response.deleted() + 1);
    if (request->prev_kv()) {
      *response.add_prev_kvs() = it->second;
    }
  }
  pairs_.erase(begin, end);
  revision_ += response.deleted() > 0 ? 1 : 0;
  PutHeader(&response);
  co_return response;
}

Etcd::Answer<etcdserverpb::MemberListResponse> Etcd::MemberList(Ptr<etcdserverpb::MemberListRequest>, sim::CallContext) {
  etcdserverpb::MemberListResponse response;
  PutHeader(&response);
  for (const Member& member : members_()) {
    etcdserverpb::Member* shown = response.add_members();
    shown->set_id(member.id);
    shown->set_name(member.name);
    for (const std::string& url : member.client_urls) {
      shown->add_clienturls(url);
    }
    for (const std::string& url : member.peer_urls) {
      shown->add_peerurls(url);
    }
  }
  co_return response;
}

Etcd::Answer<etcdserverpb::StatusResponse> Etcd::GetStatus(Ptr<etcdserverpb::StatusRequest>, sim::CallContext) {
  etcdserverpb::StatusResponse response;
  PutHeader(&response);
  response.set_version(kVersion);
  response.set_leader(members_().front().id);
  response.set_raftterm(kRaftTerm);
  response.set_raftindex(static_cast<uint64_t>(revision_));
  response.set_raftappliedindex(static_cast<uint64_t>(revision_));
  co_return response;
}

}  // namespace kvjury::pd
