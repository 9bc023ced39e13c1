// Etcd: leases, and the part that outlives a restart.
#include <algorithm>

#include "fakes/pd/etcd_internal.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::pd {

namespace {

constexpr Micros kMicrosPerSecond = 1'000'000;
// Of PD's etcd, whose elections take three seconds: one and a half of them, rounded up.
constexpr int64_t kTtlSecondsMin = 5;
constexpr int64_t kTtlSecondsMax = 9'000'000'000;
constexpr int64_t kFirstLeaseId = 0x6b766a7572790001;

}  // namespace

void Etcd::EndLease(int64_t id) {
  leases_.erase(id);
  const size_t before = pairs_.size();
  std::erase_if(pairs_, [id](const auto& pair) { return pair.second.lease() == id; });
  revision_ += pairs_.size() < before ? 1 : 0;
  Changed();
}

void Etcd::Expire() {
  const Micros now_us = options_.now_us();
  for (auto at = leases_.begin(); at != leases_.end();) {
    const auto [id, lease] = *at++;
    if (lease.expires_us <= now_us) {
      EndLease(id);
    }
  }
}

Etcd::Answer<etcdserverpb::LeaseGrantResponse> Etcd::LeaseGrant(Ptr<etcdserverpb::LeaseGrantRequest> request,
                                                                sim::CallContext context) {
  Expire();
  if (request->ttl() > kTtlSecondsMax) {
    co_return Status::Rejected("etcdserver: too large lease TTL");
  }
  if (request->id() != 0 && leases_.contains(request->id())) {
    co_return Status::Rejected("etcdserver: lease already exists");
  }
  int64_t id = request->id();
  if (id == 0) {
    id = leases_.empty() ? kFirstLeaseId : std::max(kFirstLeaseId, leases_.rbegin()->first + 1);
  }
  Lease& lease = leases_[id];
  lease.ttl_s = std::max(request->ttl(), kTtlSecondsMin);
  lease.expires_us = options_.now_us() + lease.ttl_s * kMicrosPerSecond;
  Changed();
  etcdserverpb::LeaseGrantResponse response;
  PutHeader(&response, context);
  response.set_id(id);
  response.set_ttl(lease.ttl_s);
  co_return response;
}

Etcd::Answer<etcdserverpb::LeaseRevokeResponse> Etcd::LeaseRevoke(Ptr<etcdserverpb::LeaseRevokeRequest> request,
                                                                  sim::CallContext context) {
  Expire();
  if (!leases_.contains(request->id())) {
    co_return Status::NotFound("etcdserver: requested lease not found");
  }
  EndLease(request->id());
  etcdserverpb::LeaseRevokeResponse response;
  PutHeader(&response, context);
  co_return response;
}

// A lease that is gone is told by a TTL of 0, not by an error.
Etcd::Answer<etcdserverpb::LeaseKeepAliveResponse> Etcd::LeaseKeepAlive(Ptr<etcdserverpb::LeaseKeepAliveRequest> request,
                                                                        sim::CallContext context) {
  Expire();
  etcdserverpb::LeaseKeepAliveResponse response;
  PutHeader(&response, context);
  response.set_id(request->id());
  const auto found = leases_.find(request->id());
  if (found != leases_.end()) {
    found->second.expires_us = options_.now_us() + found->second.ttl_s * kMicrosPerSecond;
    response.set_ttl(found->second.ttl_s);
    Changed();
  }
  co_return response;
}

Etcd::Answer<etcdserverpb::LeaseTimeToLiveResponse> Etcd::LeaseTimeToLive(Ptr<etcdserverpb::LeaseTimeToLiveRequest> request,
                                                                          sim::CallContext context) {
  Expire();
  etcdserverpb::LeaseTimeToLiveResponse response;
  PutHeader(&response, context);
  response.set_id(request->id());
  const auto found = leases_.find(request->id());
  if (found == leases_.end()) {
    response.set_ttl(-1);
    co_return response;
  }
  response.set_ttl((found->second.expires_us - options_.now_us()) / kMicrosPerSecond);
  response.set_grantedttl(found->second.ttl_s);
  for (const auto& [key, pair] : pairs_) {
    if (request->keys() && pair.lease() == request->id()) {
      response.add_keys(key);
    }
  }
  co_return response;
}

Etcd::Answer<etcdserverpb::LeaseLeasesResponse> Etcd::LeaseLeases(Ptr<etcdserverpb::LeaseLeasesRequest>, sim::CallContext context) {
  Expire();
  etcdserverpb::LeaseLeasesResponse response;
  PutHeader(&response, context);
  for (const auto& [id, lease] : leases_) {
    response.add_leases()->set_id(id);
  }
  co_return response;
}

// --- over a restart ---

void Etcd::Save(record::PdState* state, int64_t clock_offset_ms) const {
  state->set_etcd_revision(revision_);
  state->set_etcd_compacted(compacted_);
  for (const auto& [key, pair] : pairs_) {
    record::PdState::Pair* saved = state->add_etcd_pair();
    saved->set_key(key);
    saved->set_value(pair.value());
    saved->set_create_revision(pair.create_revision());
    saved->set_mod_revision(pair.mod_revision());
    saved->set_version(pair.version());
    saved->set_lease(pair.lease());
  }
  for (const auto& [id, lease] : leases_) {
    record::PdState::Lease* saved = state->add_etcd_lease();
    saved->set_id(id);
    saved->set_ttl_s(lease.ttl_s);
    saved->set_expires_ms(clock_offset_ms + lease.expires_us / 1000);
  }
}

void Etcd::Restore(const record::PdState& state, int64_t clock_offset_ms) {
  revision_ = std::max<int64_t>(state.etcd_revision(), 1);
  compacted_ = state.etcd_compacted();
  for (const record::PdState::Pair& saved : state.etcd_pair()) {
    etcdserverpb::KeyValue& pair = pairs_[saved.key()];
    pair.set_key(saved.key());
    pair.set_value(saved.value());
    pair.set_create_revision(saved.create_revision());
    pair.set_mod_revision(saved.mod_revision());
    pair.set_version(saved.version());
    pair.set_lease(saved.lease());
  }
  for (const record::PdState::Lease& saved : state.etcd_lease()) {
    leases_[saved.id()] = Lease{saved.ttl_s(), (saved.expires_ms() - clock_offset_ms) * 1000};
  }
}

}  // namespace kvjury::pd
