#include "fakes/tikv/region.h"

#include <algorithm>

#include "fakes/base/check.h"

namespace kvjury::tikv {

namespace {

// TiKV lists no more than this many siblings in an error.
constexpr int kSiblingsMax = 10;

}  // namespace

const Peer* Region::PeerOn(StoreId store) const {
  const auto found = std::find_if(peers.begin(), peers.end(), [store](const Peer& peer) { return peer.store == store; });
  return found == peers.end() ? nullptr : &*found;
}

metapb::Peer ToProto(const Peer& peer) {
  metapb::Peer proto;
  proto.set_id(peer.id.value());
  proto.set_store_id(peer.store.value());
  return proto;
}

metapb::Region Region::ToProto() const {
  metapb::Region proto;
  proto.set_id(id.value());
  proto.set_start_key(start);
  proto.set_end_key(end);
  proto.mutable_region_epoch()->set_conf_ver(conf_ver);
  proto.mutable_region_epoch()->set_version(version);
  for (const Peer& peer : peers) {
    *proto.add_peers() = tikv::ToProto(peer);
  }
  return proto;
}

RegionMap::RegionMap(Region first) : RegionMap(std::vector<Region>{std::move(first)}) {}

RegionMap::RegionMap(std::vector<Region> regions) {
  Bytes start;
  for (Region& region : regions) {
    CHECK(region.start == start && (by_start_.empty() || !start.empty())) << "regions do not tile the key space";
    CHECK(!region.peers.empty());
    start = region.end;
    auto owned = std::make_unique<Region>(std::move(region));
    by_start_[owned->start] = owned.get();
    CHECK(by_id_.emplace(owned->id, std::move(owned)).second) << "two regions with one id";
  }
  CHECK(!by_id_.empty() && start.empty());
}

const Region* RegionMap::Find(RegionId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

const Region* RegionMap::FindByKey(std::string_view encoded_key) const {
  const Region* region = std::prev(by_start_.upper_bound(Bytes(encoded_key)))->second;
  CHECK(region->Contains(encoded_key)) << "regions do not tile the key space";
  return region;
}

const Region* RegionMap::Right(const Region& region) const {
  if (region.end.empty()) {
    return nullptr;
  }
  const auto found = by_start_.find(region.end);
  CHECK(found != by_start_.end()) << "regions do not tile the key space";
  return found->second;
}

std::vector<const Region*> RegionMap::Split(RegionId id, const std::vector<Bytes>& keys,
                                            const std::vector<NewRegionIds>& ids) {
  const auto found = by_id_.find(id);
  CHECK(found != by_id_.end());
  CHECK(!keys.empty());
  CHECK_EQ(keys.size(), ids.size());
  Region* old = found->second.get();
  CHECK(!old->merging);
  const uint64_t version = old->version + keys.size();
  by_start_.erase(old->start);
  std::vector<const Region*> pieces;
  Bytes start = old->start;
  for (size_t i = 0; i < keys.size(); ++i) {
    CHECK(keys[i] > start && old->Contains(keys[i])) << Printable(keys[i]);
    CHECK_EQ(ids[i].peers.size(), old->peers.size());
    CHECK(by_id_.find(ids[i].region) == by_id_.end());
    auto piece = std::make_unique<Region>();
    piece->id = ids[i].region;
    piece->start = start;
    piece->end = keys[i];
    piece->conf_ver = old->conf_ver;
    piece->version = version;
    for (size_t p = 0; p < old->peers.size(); ++p) {
      piece->peers.push_back({ids[i].peers[p], old->peers[p].store});
    }
    start = keys[i];
    pieces.push_back(piece.get());
    by_start_[piece->start] = piece.get();
    by_id_[piece->id] = std::move(piece);
  }
  old->start = start;
  old->version = version;
  by_start_[old->start] = old;
  pieces.push_back(old);
  return pieces;
}

void RegionMap::PrepareMerge(RegionId source) {
  const auto found = by_id_.find(source);
  CHECK(found != by_id_.end());
  Region* region = found->second.get();
  CHECK(!region->merging && !region->end.empty());
  region->merging = true;
  ++region->version;
  ++region->conf_ver;
}

const Region* RegionMap::CommitMerge(RegionId source) {
  const auto found = by_id_.find(source);
  CHECK(found != by_id_.end());
  const Region& left = *found->second;
  CHECK(left.merging);
  const auto right = by_start_.find(left.end);
  CHECK(right != by_start_.end());
  Region* target = right->second;
  CHECK(!target->merging);
  by_start_.erase(left.start);
  by_start_.erase(target->start);
  target->start = left.start;
  target->version = std::max(left.version, target->version) + 1;
  by_start_[target->start] = target;
  by_id_.erase(found);
  return target;
}

std::vector<const Region*> RegionMap::Siblings(const Region& region, uint64_t requested_version) const {
  std::vector<const Region*> listed{&region};
  uint64_t newest = region.version;
  if (requested_version >= newest) {
    return listed;  // our own information is the older one
  }
  // As TiKV guesses it: to the left, as many as versions are missing, more if a neighbour was split further.
  uint64_t missing = newest - requested_version;
  auto at = by_start_.find(region.start);
  CHECK(at != by_start_.end());
  for (int i = 0; i < kSiblingsMax && missing > 0 && at != by_start_.begin(); ++i) {
    --at;
    --missing;
    if (at->second->version >= newest) {
      missing += at->second->version - newest;
      newest = at->second->version;
    }
    listed.push_back(at->second);
  }
  return listed;
}

}  // namespace kvjury::tikv
