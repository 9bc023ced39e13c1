#include "fakes/pd/etcd.h"

#include <algorithm>
#include <set>

#include "fakes/pd/etcd_internal.h"

namespace kvjury::pd {

namespace {

constexpr char kVersion[] = "3.5.15";
// A range end of one zero byte: everything from the key on.
const Bytes kNoEnd(1, '\0');

template <class Value>
bool Compares(etcdserverpb::Compare::CompareResult result, const Value& left, const Value& right) {
  switch (result) {
    case etcdserverpb::Compare::EQUAL: return left == right;
    case etcdserverpb::Compare::GREATER: return left > right;
    case etcdserverpb::Compare::LESS: return left < right;
    case etcdserverpb::Compare::NOT_EQUAL: return left != right;
    default: return false;
  }
}

bool PassesFilters(const etcdserverpb::RangeRequest& request, const etcdserverpb::KeyValue& pair) {
  return (request.min_mod_revision() == 0 || pair.mod_revision() >= request.min_mod_revision()) &&
         (request.max_mod_revision() == 0 || pair.mod_revision() <= request.max_mod_revision()) &&
         (request.min_create_revision() == 0 || pair.create_revision() >= request.min_create_revision()) &&
         (request.max_create_revision() == 0 || pair.create_revision() <= request.max_create_revision());
}

bool SortsBefore(etcdserverpb::RangeRequest::SortTarget target, const etcdserverpb::KeyValue& a, const etcdserverpb::KeyValue& b) {
  switch (target) {
    case etcdserverpb::RangeRequest::VERSION: return a.version() < b.version();
    case etcdserverpb::RangeRequest::CREATE: return a.create_revision() < b.create_revision();
    case etcdserverpb::RangeRequest::MOD: return a.mod_revision() < b.mod_revision();
    case etcdserverpb::RangeRequest::VALUE: return a.value() < b.value();
    default: return a.key() < b.key();
  }
}

}  // namespace

void Etcd::Register(sim::MethodTable* methods) {
  methods->Add(kEtcdRange, this, &Etcd::Range);
  methods->Add(kEtcdPut, this, &Etcd::Put);
  methods->Add(kEtcdDeleteRange, this, &Etcd::DeleteRange);
  methods->Add(kEtcdTxn, this, &Etcd::Txn);
  methods->Add(kEtcdCompact, this, &Etcd::Compact);
  methods->Add(kEtcdLeaseGrant, this, &Etcd::LeaseGrant);
  methods->Add(kEtcdLeaseRevoke, this, &Etcd::LeaseRevoke);
  methods->Add(kEtcdLeaseKeepAlive, this, &Etcd::LeaseKeepAlive);
  methods->Add(kEtcdLeaseTimeToLive, this, &Etcd::LeaseTimeToLive);
  methods->Add(kEtcdLeaseLeases, this, &Etcd::LeaseLeases);
  methods->Add(kEtcdMemberList, this, &Etcd::MemberList);
  methods->Add(kEtcdStatus, this, &Etcd::GetStatus);
}

std::pair<Etcd::Pairs::iterator, Etcd::Pairs::iterator> Etcd::FindRange(const Bytes& key, const Bytes& range_end) {
  const auto begin = pairs_.lower_bound(key);
  if (range_end.empty()) {
    return {begin, begin != pairs_.end() && begin->first == key ? std::next(begin) : begin};
  }
  return {begin, range_end == kNoEnd ? pairs_.end() : range_end <= key ? begin : pairs_.lower_bound(range_end)};
}

void Etcd::Changed() const {
  if (options_.changed) {
    options_.changed();
  }
}

// --- for PD itself ---

std::optional<Bytes> Etcd::Find(const Bytes& key) {
  Expire();
  const auto found = pairs_.find(key);
  return found == pairs_.end() ? std::nullopt : std::optional<Bytes>(found->second.value());
}

void Etcd::Set(const Bytes& key, const Bytes& value) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  static_cast<void>(Write(request));
}

etcdserverpb::RangeResponse Etcd::ReadRange(const etcdserverpb::RangeRequest& request) {
  Expire();
  etcdserverpb::RangeResponse response;
  const auto [begin, end] = FindRange(request.key(), request.range_end());
  std::vector<const etcdserverpb::KeyValue*> found;
  for (auto it = begin; it != end; ++it) {
    response.set_count(response.count() + 1);
    if (PassesFilters(request, it->second)) {
      found.push_back(&it->second);
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [&request](const auto* a, const auto* b) { return SortsBefore(request.sort_target(), *a, *b); });
  if (request.sort_order() == etcdserverpb::RangeRequest::DESCEND) {
    std::reverse(found.begin(), found.end());
  }
  if (request.limit() > 0 && static_cast<int64_t>(found.size()) > request.limit()) {
    found.resize(static_cast<size_t>(request.limit()));
    response.set_more(true);
  }
  for (const etcdserverpb::KeyValue* pair : found) {
    if (!request.count_only()) {
      *response.add_kvs() = *pair;
      if (request.keys_only()) {
        response.mutable_kvs()->rbegin()->clear_value();
      }
    }
  }
  return response;
}

Result<etcdserverpb::PutResponse> Etcd::Write(const etcdserverpb::PutRequest& request) {
  Expire();
  RETURN_IF_ERROR(CheckPut(request));
  etcdserverpb::PutResponse response;
  ApplyPut(request, revision_ + 1, &response);
  ++revision_;
  Changed();
  return response;
}

etcdserverpb::DeleteRangeResponse Etcd::Erase(const etcdserverpb::DeleteRangeRequest& request) {
  Expire();
  etcdserverpb::DeleteRangeResponse response;
  if (ApplyDelete(request, &response)) {
    ++revision_;
    Changed();
  }
  return response;
}

// --- what changes ---

bool Etcd::ApplyPut(const etcdserverpb::PutRequest& request, int64_t revision, etcdserverpb::PutResponse* response) {
  const bool is_new = !pairs_.contains(request.key());
  etcdserverpb::KeyValue& pair = pairs_[request.key()];
  if (request.prev_kv() && !is_new) {
    *response->mutable_prev_kv() = pair;
  }
  if (is_new) {
    pair.set_key(request.key());
    pair.set_create_revision(revision);
  }
  pair.set_mod_revision(revision);
  pair.set_version(pair.version() + 1);
  if (!request.ignore_value()) {
    pair.set_value(request.value());
  }
  if (!request.ignore_lease()) {
    pair.set_lease(request.lease());
  }
  return true;
}

bool Etcd::ApplyDelete(const etcdserverpb::DeleteRangeRequest& request, etcdserverpb::DeleteRangeResponse* response) {
  const auto [begin, end] = FindRange(request.key(), request.range_end());
  for (auto it = begin; it != end; ++it) {
    response->set_deleted(response->deleted() + 1);
    if (request.prev_kv()) {
      *response->add_prev_kvs() = it->second;
    }
  }
  pairs_.erase(begin, end);
  return response->deleted() > 0;
}

bool Etcd::Holds(const etcdserverpb::Compare& compare) {
  auto [begin, end] = FindRange(compare.key(), compare.range_end());
  const etcdserverpb::KeyValue none;
  const auto holds = [&compare](const etcdserverpb::KeyValue& pair) {
    switch (compare.target()) {
      case etcdserverpb::Compare::VERSION: return Compares(compare.result(), pair.version(), compare.version());
      case etcdserverpb::Compare::CREATE: return Compares(compare.result(), pair.create_revision(), compare.create_revision());
      case etcdserverpb::Compare::MOD: return Compares(compare.result(), pair.mod_revision(), compare.mod_revision());
      case etcdserverpb::Compare::LEASE: return Compares(compare.result(), pair.lease(), compare.lease());
      default: return Compares(compare.result(), pair.value(), compare.value());
    }
  };
  if (begin == end) {
    // A key that is not there has version and revisions 0, and a value that equals nothing.
    return compare.target() != etcdserverpb::Compare::VALUE && holds(none);
  }
  return std::all_of(begin, end, [&holds](const auto& pair) { return holds(pair.second); });
}

bool Etcd::ApplyTxn(const etcdserverpb::TxnRequest& request, int64_t revision, etcdserverpb::TxnResponse* response) {
  bool all = true;
  for (const etcdserverpb::Compare& compare : request.compare()) {
    all = all && Holds(compare);
  }
  response->set_succeeded(all);
  bool changed = false;
  for (const etcdserverpb::RequestOp& operation : all ? request.success() : request.failure()) {
    etcdserverpb::ResponseOp* done = response->add_responses();
    if (operation.has_request_range()) {
      *done->mutable_response_range() = ReadRange(operation.request_range());
      done->mutable_response_range()->mutable_header()->set_revision(changed ? revision : revision_);
    } else if (operation.has_request_put()) {
      changed |= ApplyPut(operation.request_put(), revision, done->mutable_response_put());
      done->mutable_response_put()->mutable_header()->set_revision(revision);
    } else if (operation.has_request_delete_range()) {
      changed |= ApplyDelete(operation.request_delete_range(), done->mutable_response_delete_range());
      done->mutable_response_delete_range()->mutable_header()->set_revision(changed ? revision : revision_);
    } else {
      changed |= ApplyTxn(operation.request_txn(), revision, done->mutable_response_txn());
    }
  }
  return changed;
}

// --- what is refused ---

Status Etcd::CheckRange(const etcdserverpb::RangeRequest& request) const {
  if (request.key().empty()) {
    return Status::InvalidArgument("etcdserver: key is not provided");
  }
  if (request.revision() > revision_) {
    return Status::Rejected("etcdserver: mvcc: required revision is a future revision");
  }
  if (request.revision() > 0 && request.revision() < revision_) {
    return Status::Rejected("etcdserver: mvcc: required revision has been compacted");
  }
  return Status::Ok();
}

Status Etcd::CheckPut(const etcdserverpb::PutRequest& request) const {
  if (request.key().empty()) {
    return Status::InvalidArgument("etcdserver: key is not provided");
  }
  if (request.ignore_value() && !request.value().empty()) {
    return Status::InvalidArgument("etcdserver: value is provided");
  }
  if (request.ignore_lease() && request.lease() != 0) {
    return Status::InvalidArgument("etcdserver: lease is provided");
  }
  if ((request.ignore_value() || request.ignore_lease()) && !pairs_.contains(request.key())) {
    return Status::InvalidArgument("etcdserver: key not found");
  }
  if (request.lease() != 0 && !leases_.contains(request.lease())) {
    return Status::NotFound("etcdserver: requested lease not found");
  }
  return Status::Ok();
}

Status Etcd::CheckOperations(const etcdserverpb::TxnRequest& request) const {
  for (const etcdserverpb::Compare& compare : request.compare()) {
    if (compare.key().empty()) {
      return Status::InvalidArgument("etcdserver: key is not provided");
    }
  }
  for (const auto* side : {&request.success(), &request.failure()}) {
    std::set<Bytes> put;
    for (const etcdserverpb::RequestOp& operation : *side) {
      if (operation.has_request_range()) {
        RETURN_IF_ERROR(CheckRange(operation.request_range()));
      } else if (operation.has_request_put()) {
        RETURN_IF_ERROR(CheckPut(operation.request_put()));
        if (!put.insert(operation.request_put().key()).second) {
          return Status::InvalidArgument("etcdserver: duplicate key given in txn request");
        }
      } else if (operation.has_request_delete_range()) {
        if (operation.request_delete_range().key().empty()) {
          return Status::InvalidArgument("etcdserver: key is not provided");
        }
      } else if (operation.has_request_txn()) {
        RETURN_IF_ERROR(CheckOperations(operation.request_txn()));
      } else {
        return Status::InvalidArgument("etcdserver: key not found");
      }
    }
  }
  return Status::Ok();
}

// --- calls ---

Etcd::Answer<etcdserverpb::RangeResponse> Etcd::Range(Ptr<etcdserverpb::RangeRequest> request, sim::CallContext context) {
  Expire();
  CO_RETURN_IF_ERROR(CheckRange(*request));
  etcdserverpb::RangeResponse response = ReadRange(*request);
  PutHeader(&response, context);
  co_return response;
}

Etcd::Answer<etcdserverpb::PutResponse> Etcd::Put(Ptr<etcdserverpb::PutRequest> request, sim::CallContext context) {
  CO_ASSIGN_OR_RETURN(etcdserverpb::PutResponse response, Write(*request));
  PutHeader(&response, context);
  co_return response;
}

Etcd::Answer<etcdserverpb::DeleteRangeResponse> Etcd::DeleteRange(Ptr<etcdserverpb::DeleteRangeRequest> request,
                                                                  sim::CallContext context) {
  if (request->key().empty()) {
    co_return Status::InvalidArgument("etcdserver: key is not provided");
  }
  etcdserverpb::DeleteRangeResponse response = Erase(*request);
  PutHeader(&response, context);
  co_return response;
}

Etcd::Answer<etcdserverpb::TxnResponse> Etcd::Txn(Ptr<etcdserverpb::TxnRequest> request, sim::CallContext context) {
  Expire();
  CO_RETURN_IF_ERROR(CheckOperations(*request));
  etcdserverpb::TxnResponse response;
  if (ApplyTxn(*request, revision_ + 1, &response)) {
    ++revision_;
    Changed();
  }
  PutHeader(&response, context);
  co_return response;
}

Etcd::Answer<etcdserverpb::CompactionResponse> Etcd::Compact(Ptr<etcdserverpb::CompactionRequest> request,
                                                             sim::CallContext context) {
  if (request->revision() <= compacted_) {
    co_return Status::Rejected("etcdserver: mvcc: required revision has been compacted");
  }
  if (request->revision() > revision_) {
    co_return Status::Rejected("etcdserver: mvcc: required revision is a future revision");
  }
  compacted_ = request->revision();
  Changed();
  etcdserverpb::CompactionResponse response;
  PutHeader(&response, context);
  co_return response;
}

Etcd::Answer<etcdserverpb::MemberListResponse> Etcd::MemberList(Ptr<etcdserverpb::MemberListRequest>, sim::CallContext context) {
  etcdserverpb::MemberListResponse response;
  PutHeader(&response, context);
  response.mutable_header()->clear_revision();  // as etcd answers: members are no part of the key space
  for (const Member& member : options_.members()) {
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

Etcd::Answer<etcdserverpb::StatusResponse> Etcd::GetStatus(Ptr<etcdserverpb::StatusRequest>, sim::CallContext context) {
  etcdserverpb::StatusResponse response;
  PutHeader(&response, context);
  response.set_version(kVersion);
  response.set_leader(options_.members()[options_.leader()].id);
  response.set_raftterm(response.header().raft_term());
  response.set_raftindex(static_cast<uint64_t>(revision_));
  response.set_raftappliedindex(static_cast<uint64_t>(revision_));
  int64_t bytes = 0;
  for (const auto& [key, pair] : pairs_) {
    bytes += static_cast<int64_t>(pair.ByteSizeLong());
  }
  response.set_dbsize(bytes);
  response.set_dbsizeinuse(bytes);
  co_return response;
}

}  // namespace kvjury::pd
