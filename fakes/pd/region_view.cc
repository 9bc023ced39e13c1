#include "fakes/pd/region_view.h"

#include <algorithm>

#include "fakes/base/check.h"

namespace kvjury::pd {

namespace {

constexpr size_t kStatesKept = 256;
constexpr Micros kStateKeptUs = 120'000'000;

RegionTable::const_iterator Holder(const RegionTable& table, std::string_view key) {
  auto after = table.upper_bound(Bytes(key));
  return after == table.begin() ? table.end() : std::prev(after);
}

}  // namespace

RegionInfoPtr FindRegion(const RegionTable& table, std::string_view key) {
  const auto found = Holder(table, key);
  if (found == table.end()) {
    return nullptr;
  }
  CHECK(RangeContains(found->second->region.start_key(), found->second->region.end_key(), key)) << "a hole in the table";
  return found->second;
}

RegionInfoPtr FindPrevRegion(const RegionTable& table, std::string_view key) {
  const auto found = Holder(table, key);
  return found == table.end() || found == table.begin() ? nullptr : std::prev(found)->second;
}

RegionInfoPtr FindRegionById(const RegionTable& table, RegionId id) {
  for (const auto& [start, info] : table) {
    if (info->region.id() == id.value()) {
      return info;
    }
  }
  return nullptr;
}

std::vector<RegionInfoPtr> ScanRegions(const RegionTable& table, std::string_view start, std::string_view end,
                                       int32_t limit) {
  std::vector<RegionInfoPtr> found;
  for (auto at = Holder(table, start); at != table.end(); ++at) {
    if (!end.empty() && at->first >= end) {
      break;
    }
    found.push_back(at->second);
    if (limit > 0 && found.size() >= static_cast<size_t>(limit)) {
      break;
    }
  }
  return found;
}

void RegionViews::Learn(RegionTablePtr table, Micros now_us) {
  CHECK(table != nullptr && !table->empty() && table->begin()->first.empty());
  CHECK(states_.empty() || states_.back().since_us <= now_us);
  states_.push_back({now_us, std::move(table)});
  while (states_.size() > kStatesKept || (states_.size() > 1 && states_[1].since_us < now_us - kStateKeptUs)) {
    states_.pop_front();
  }
}

void RegionViews::ServeStale(Micros age_us, Micros until_us) {
  stale_age_us_ = age_us;
  stale_until_us_ = until_us;
}

const RegionTable& RegionViews::newest() const {
  CHECK(!states_.empty());
  return *states_.back().table;
}

const RegionTable& RegionViews::At(Micros now_us) const {
  if (now_us >= stale_until_us_) {
    return newest();
  }
  // The state that was the newest at now - age.
  const Micros then_us = now_us - stale_age_us_;
  for (auto state = states_.rbegin(); state != states_.rend(); ++state) {
    if (state->since_us <= then_us) {
      return *state->table;
    }
  }
  CHECK(!states_.empty());
  return *states_.front().table;
}

}  // namespace kvjury::pd
