#include "harness/client/region_cache.h"

namespace kvjury::client {

namespace {

Result<Bytes> DecodeRegionKey(const metapb::Region& region, const Bytes& encoded, const char* which) {
  Result<Bytes> key = DecodeBoundary(encoded);
  if (!key.ok()) {
    return Status::DataLoss("region " + std::to_string(region.id()) + " " + which + " at " + Printable(encoded) +
                            ", which is no encoded key: it was split at a key that nobody encoded (" +
                            key.error().message() + ")");
  }
  return key;
}

bool Overlap(const Region& a, const Region& b) {
  return (a.end.empty() || b.start < a.end) && (b.end.empty() || a.start < b.end);
}

}  // namespace

Result<RegionPtr> RegionCache::FromProto(const metapb::Region& proto) {
  auto region = std::make_shared<Region>();
  region->version = {RegionId(proto.id()), proto.region_epoch().version(), proto.region_epoch().conf_ver()};
  ASSIGN_OR_RETURN(region->start, DecodeRegionKey(proto, proto.start_key(), "starts"));
  ASSIGN_OR_RETURN(region->end, DecodeRegionKey(proto, proto.end_key(), "ends"));
  if (region->end.empty() && !proto.end_key().empty()) {
    return RegionPtr();
  }
  region->peers.assign(proto.peers().begin(), proto.peers().end());
  if (region->peers.empty()) {
    return Status::DataLoss("region " + std::to_string(proto.id()) + " has no peers");
  }
  return region;
}

RegionPtr RegionCache::Find(const Bytes& key) const {
  auto after = regions_.upper_bound(key);
  if (after == regions_.begin()) {
    return nullptr;
  }
  const RegionPtr& candidate = std::prev(after)->second;
  return candidate->Contains(key) ? candidate : nullptr;
}

void RegionCache::Insert(const RegionPtr& region) {
  auto at = regions_.upper_bound(region->start);
  if (at != regions_.begin()) {
    --at;
  }
  while (at != regions_.end() && (region->end.empty() || at->first < region->end)) {
    if (Overlap(*at->second, *region)) {
      at->second->valid = false;
      at = regions_.erase(at);
    } else {
      ++at;
    }
  }
  regions_[region->start] = region;
}

void RegionCache::Invalidate(const RegionPtr& region) {
  region->valid = false;
  auto found = regions_.find(region->start);
  if (found != regions_.end() && found->second == region) {
    regions_.erase(found);
  }
}

bool RegionCache::SetLeader(const RegionPtr& region, const metapb::Peer& leader) {
  for (size_t i = 0; i < region->peers.size(); ++i) {
    if (region->peers[i].id() == leader.id() && region->peers[i].store_id() == leader.store_id()) {
      region->leader = i;
      return true;
    }
  }
  Invalidate(region);
  return false;
}

Result<bool> RegionCache::InstallCurrentRegions(const RegionPtr& old, StoreId answered_by,
                                                const google::protobuf::RepeatedPtrField<metapb::Region>& regions) {
  for (const metapb::Region& proto : regions) {
    const metapb::RegionEpoch& epoch = proto.region_epoch();
    if (RegionId(proto.id()) == old->version.id &&
        (epoch.version() < old->version.version || epoch.conf_ver() < old->version.conf_version)) {
      return true;
    }
  }
  std::vector<RegionPtr> fresh;
  for (const metapb::Region& proto : regions) {
    ASSIGN_OR_RETURN(RegionPtr region, FromProto(proto));
    if (region == nullptr) {
      continue;
    }
    for (size_t i = 0; i < region->peers.size(); ++i) {
      if (StoreId(region->peers[i].store_id()) == answered_by) {
        region->leader = i;
      }
    }
    fresh.push_back(std::move(region));
  }
  Invalidate(old);
  for (const RegionPtr& region : fresh) {
    Insert(region);
    messenger_->Note("region", Hash64(region->start), region->version.version);
  }
  return false;
}

sim::Task<Result<RegionPtr>> RegionCache::LocateKey(Bytes key, Backoffer* backoff) {
  while (true) {
    if (RegionPtr known = Find(key)) {
      co_return known;
    }
    Bytes encoded = EncodeKey(key);
    auto ask = pd_->GetRegion(std::move(encoded), key, backoff);
    CO_ASSIGN_OR_RETURN(const std::optional<pdpb::GetRegionResponse> answer, co_await std::move(ask));
    if (answer.has_value()) {
      CO_ASSIGN_OR_RETURN(RegionPtr region, FromProto(answer->region()));
      if (region != nullptr && region->Contains(key)) {
        for (size_t i = 0; i < region->peers.size(); ++i) {
          if (region->peers[i].id() == answer->leader().id()) {
            region->leader = i;
          }
        }
        Insert(region);
        messenger_->Note("region", Hash64(region->start), region->version.version);
        co_return region;
      }
    }
    auto wait = backoff->Wait(BackoffKind::kPdRpc, "PD knows no region of " + Printable(key));
    CO_RETURN_IF_ERROR(co_await std::move(wait));
  }
}

sim::Task<Result<std::vector<KeyGroup>>> RegionCache::GroupKeys(std::vector<Bytes> keys, Backoffer* backoff) {
  std::map<Bytes, KeyGroup> groups;
  for (Bytes& key : keys) {
    auto locate = LocateKey(key, backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    KeyGroup& group = groups[region->start];
    // A region that was replaced while we asked PD about another: its keys go with the newer one and are refused there if
    // they do not fit.
    group.region = region;
    group.keys.push_back(std::move(key));
  }
  std::vector<KeyGroup> list;
  list.reserve(groups.size());
  for (auto& [start, group] : groups) {
    list.push_back(std::move(group));
  }
  co_return list;
}

sim::Task<Result<sim::Address>> RegionCache::StoreAddress(StoreId store, Backoffer* backoff) {
  if (auto found = addresses_.find(store); found != addresses_.end()) {
    co_return found->second;
  }
  auto ask = pd_->GetStore(store, backoff);
  CO_ASSIGN_OR_RETURN(const metapb::Store answer, co_await std::move(ask));
  addresses_[store] = answer.address();
  co_return answer.address();
}

}  // namespace kvjury::client
