// RegionMap: the regions of a cluster, tiling the key space, and what changes them.
//
// Boundaries are encoded keys; an empty start or end means "unbounded" and is never encoded. Every key lies in exactly one
// region at every time; epochs only grow.
// Modelled: splits (right-derive: the old id keeps the rightmost piece, version grows by the number of new regions in all of
// them), merges in two steps (prepare: version and conf_ver of the source grow by one; commit: the target's version becomes
// max(both) + 1 and the source's id is gone), siblings as an epoch_not_match lists them.
// Not modelled: changes of peers (each store holds a peer of each region), buckets, flashback.
// Source: TiKV 8.5, raftstore; a real 8.5.0's answers.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "proto/tikv/metapb.pb.h"

namespace kvjury::tikv {

struct Peer {
  PeerId id;
  StoreId store;
};

struct Region {
  RegionId id;
  Bytes start;
  Bytes end;
  uint64_t conf_ver = 1;
  uint64_t version = 1;
  std::vector<Peer> peers;
  /// Prepared as the source of a merge: takes no writes any more.
  bool merging = false;

  [[nodiscard]] bool Contains(std::string_view encoded_key) const { return RangeContains(start, end, encoded_key); }
  /// The peer on `store`; null if there is none.
  [[nodiscard]] const Peer* PeerOn(StoreId store) const;
  [[nodiscard]] metapb::Region ToProto() const;
};

metapb::Peer ToProto(const Peer& peer);

/// The ids of a region that a split makes.
struct NewRegionIds {
  RegionId region;
  std::vector<PeerId> peers;
};

class RegionMap {
 public:
  /// One region over the whole key space; `first` has empty bounds.
  explicit RegionMap(Region first);
  /// Regions that tile the key space, in the order of their keys.
  explicit RegionMap(std::vector<Region> regions);

  [[nodiscard]] const Region* Find(RegionId id) const;
  /// The region that holds the encoded key. Never null.
  [[nodiscard]] const Region* FindByKey(std::string_view encoded_key) const;
  /// Regions by start key.
  [[nodiscard]] const std::map<Bytes, Region*>& by_start() const { return by_start_; }
  [[nodiscard]] size_t size() const { return by_id_.size(); }
  /// The right neighbour; null for the last region.
  [[nodiscard]] const Region* Right(const Region& region) const;

  /// Splits at `keys`: encoded, ascending, each strictly inside the region; one of `ids` for each. Returns the resulting
  /// regions in key order, the old id last.
  std::vector<const Region*> Split(RegionId id, const std::vector<Bytes>& keys, const std::vector<NewRegionIds>& ids);
  void PrepareMerge(RegionId source);
  /// Merges the prepared `source` into the region on its right, which must not be merging itself. Returns the target.
  const Region* CommitMerge(RegionId source);

  /// What an epoch_not_match for a request of `requested_version` lists: the region, then, if the request is older, those on
  /// its left that may have been split off.
  [[nodiscard]] std::vector<const Region*> Siblings(const Region& region, uint64_t requested_version) const;

 private:
  std::map<RegionId, std::unique_ptr<Region>> by_id_;
  std::map<Bytes, Region*> by_start_;
};

}  // namespace kvjury::tikv
