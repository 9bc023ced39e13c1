// RegionCache: which region holds a key, who leads it and where its stores are, as far as this client knows.
//
// Filled from PD and from the regions that stores report in epoch_not_match; entries may be stale and leaders are hints:
// the stores have the last word, and each errorpb answer has its rule of what is forgotten (region_request.cc).
// Boundaries are kept as user keys. On the wire they are memcomparable, and an empty one means "unbounded" and is never
// encoded. A boundary that cannot be decoded is an error (kDataLoss): somebody split at a key that was not encoded.
// A region that ends at the encoded empty key holds no user key and is not kept.
// Not modelled: down and pending peers, buckets, TTL of entries, followers' reads.
// Source: client-go v2.0.7 internal/locate; metapb and errorpb of TiKV 8.5.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <vector>

#include "fakes/base/memcomparable.h"
#include "harness/client/pd_client.h"

namespace kvjury::client {

/// One version of one region; the cache forgets exactly this.
struct RegionVersion {
  RegionId id;
  uint64_t version = 0;
  uint64_t conf_version = 0;
  friend auto operator<=>(const RegionVersion&, const RegionVersion&) = default;
};

struct Region {
  RegionVersion version;
  Bytes start;
  Bytes end;  // empty: unbounded
  std::vector<metapb::Peer> peers;
  size_t leader = 0;  // index into peers; a hint
  bool valid = true;

  [[nodiscard]] bool Contains(std::string_view key) const { return RangeContains(start, end, key); }
};
using RegionPtr = std::shared_ptr<Region>;

/// Keys of one region, in the order in which they were given.
struct KeyGroup {
  RegionPtr region;
  std::vector<Bytes> keys;
};

class RegionCache {
 public:
  RegionCache(Messenger* messenger, PdClient* pd) : messenger_(messenger), pd_(pd) {}

  /// The region that holds the user key, from memory or from PD. Errors: kDataLoss for a boundary that is no encoded key,
  /// kUnavailable, kRejected, kCancelled. May suspend.
  sim::Task<Result<RegionPtr>> LocateKey(Bytes key, Backoffer* backoff);
  /// Groups by region, in the order of the regions. Errors as LocateKey. May suspend.
  sim::Task<Result<std::vector<KeyGroup>>> GroupKeys(std::vector<Bytes> keys, Backoffer* backoff);
  /// Where a store answers. Errors: kNotFound for a store that is gone; as LocateKey. May suspend.
  sim::Task<Result<sim::Address>> StoreAddress(StoreId store, Backoffer* backoff);

  /// Forgets one version of a region.
  void Invalidate(const RegionPtr& region);
  /// Asks PD for the store's address again when it is next needed.
  void ForgetStore(StoreId store) { addresses_.erase(store); }
  /// Moves the leader hint. False if the peer is none of the region's: the region is then forgotten.
  bool SetLeader(const RegionPtr& region, const metapb::Peer& leader);

  /// Installs what a store said about the regions that now cover `old`; the store that answered is taken as their
  /// leader's. True if the store is behind the client: wait and send again. Errors: kDataLoss.
  Result<bool> InstallCurrentRegions(const RegionPtr& old, StoreId answered_by,
                                     const google::protobuf::RepeatedPtrField<metapb::Region>& regions);

  /// A region as PD or a store describes it; null if it holds no user key. Errors: kDataLoss.
  static Result<RegionPtr> FromProto(const metapb::Region& region);

  [[nodiscard]] size_t size() const { return regions_.size(); }

 private:
  RegionPtr Find(const Bytes& key) const;
  void Insert(const RegionPtr& region);

  Messenger* messenger_;
  PdClient* pd_;
  std::map<Bytes, RegionPtr> regions_;  // by start key; valid ones only, not overlapping
  std::map<StoreId, sim::Address> addresses_;
};

}  // namespace kvjury::client
