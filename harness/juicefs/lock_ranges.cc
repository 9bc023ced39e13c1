#include "harness/juicefs/lock_ranges.h"

#include <algorithm>

namespace kvjury::juicefs {

std::vector<PlockRange> SetLockRange(const std::vector<PlockRange>& held, const PlockRange& added) {
  std::vector<PlockRange> ranges;
  for (const PlockRange& range : held) {
    if (range.end < added.start || range.start > added.end) {
      ranges.push_back(range);
      continue;
    }
    if (range.start < added.start) {
      ranges.push_back({range.type, range.pid, range.start, added.start - 1});
    }
    if (range.end > added.end) {
      ranges.push_back({range.type, range.pid, added.end + 1, range.end});
    }
  }
  if (added.type != kLockNone) {
    ranges.push_back(added);
  }
  std::sort(ranges.begin(), ranges.end(), [](const PlockRange& a, const PlockRange& b) { return a.start < b.start; });
  std::vector<PlockRange> merged;
  for (const PlockRange& range : ranges) {
    const bool continues = !merged.empty() && merged.back().type == range.type && merged.back().pid == range.pid && merged.back().end + 1 == range.start;
    if (continues) {
      merged.back().end = range.end;
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

bool LocksConflict(const PlockRange& a, const PlockRange& b) {
  return (a.type == kLockWrite || b.type == kLockWrite) && a.end >= b.start && a.start <= b.end;
}

}  // namespace kvjury::juicefs
