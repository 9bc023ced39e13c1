// What PD knows of the regions, now and at past times.
//
// PD learns of splits, merges and leaders by heartbeats, some time after they happened; until then it answers with what it
// knew. Each state is kept for a while, so that a fault can let PD answer from an older one (a follower that serves reads,
// a heartbeat that hangs). A state always covers the whole key space without holes.
// Source: pdpb of TiKV 8.5; the rules of empty keys and limits as a real PD 8.5.7 answered them.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "proto/tikv/metapb.pb.h"

namespace kvjury::pd {

/// A region as PD reports it; keys are encoded, a leader without id is unknown.
struct RegionInfo {
  metapb::Region region;
  metapb::Peer leader;
};
using RegionInfoPtr = std::shared_ptr<const RegionInfo>;
/// Regions by start key.
using RegionTable = std::map<Bytes, RegionInfoPtr>;
using RegionTablePtr = std::shared_ptr<const RegionTable>;

/// The region that holds the encoded `key`; null only for an empty table.
RegionInfoPtr FindRegion(const RegionTable& table, std::string_view key);
/// The region immediately left of the one that holds `key`; null if there is none.
RegionInfoPtr FindPrevRegion(const RegionTable& table, std::string_view key);
RegionInfoPtr FindRegionById(const RegionTable& table, RegionId id);
/// From the region that holds `start` on those that start below `end`, ascending; at most `limit`, 0 or less: all. Thus
/// start = end inside a region names that one. An empty end is unbounded.
std::vector<RegionInfoPtr> ScanRegions(const RegionTable& table, std::string_view start, std::string_view end, int32_t limit);

class RegionViews {
 public:
  /// PD knows `table` from `now_us` on; times do not decrease.
  void Learn(RegionTablePtr table, Micros now_us);
  /// From now until `until_us` look-ups answer from the state of `age_us` ago (the oldest that is kept, if none is so old).
  void ServeStale(Micros age_us, Micros until_us);
  void EndStale() { stale_until_us_ = 0; }

  /// The state that answers at `now_us`.
  [[nodiscard]] const RegionTable& At(Micros now_us) const;
  [[nodiscard]] const RegionTable& newest() const;

 private:
  struct State {
    Micros since_us;
    RegionTablePtr table;
  };
  std::deque<State> states_;
  Micros stale_age_us_ = 0;
  Micros stale_until_us_ = 0;
};

}  // namespace kvjury::pd
