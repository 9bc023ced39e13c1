#include "harness/juicefs/lock_ranges.h"

#include <algorithm>

namespace kvjury::juicefs {

namespace {

/// Takes away what is unlocked and joins a range with the next one; what was joined is not looked at again, as in the real client, so that of
/// three neighbours the third stays.
std::vector<PlockRange> JoinPairs(std::vector<PlockRange> ranges) {
  std::vector<PlockRange> joined;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].type == kLockNone) {
      continue;
    }
    joined.push_back(ranges[i]);
    const PlockRange* next = i + 1 < ranges.size() ? &ranges[i + 1] : nullptr;
    if (next != nullptr && next->type == ranges[i].type && next->pid == ranges[i].pid && next->start == ranges[i].end + 1) {
      joined.back().end = next->end;
      ++i;
    }
  }
  return joined;
}

}  // namespace

std::vector<PlockRange> SetLockRange(const std::vector<PlockRange>& held, const PlockRange& added) {
  // Cut at the new range's ends; what is covered changes its kind where it stands, and the gaps are filled.
  std::vector<PlockRange> ranges;
  uint64_t filled_to = added.start;  // of the new range, everything before this is placed
  bool open = true;                  // some of it is left
  for (const PlockRange& range : held) {
    if (range.end < added.start || range.start > added.end) {
      ranges.push_back(range);
      continue;
    }
    const uint64_t begin = std::max(range.start, added.start);
    const uint64_t end = std::min(range.end, added.end);
    if (range.start < begin) {
      ranges.push_back({range.type, range.pid, range.start, begin - 1});
    }
    if (filled_to < begin) {
      ranges.push_back({added.type, added.pid, filled_to, begin - 1});
    }
    ranges.push_back({added.type, added.pid, begin, end});
    if (range.end > end) {
      ranges.push_back({range.type, range.pid, end + 1, range.end});
    }
    open = end < added.end;
    filled_to = open ? end + 1 : end;
  }
  if (open) {
    ranges.push_back({added.type, added.pid, filled_to, added.end});
  }
  std::sort(ranges.begin(), ranges.end(), [](const PlockRange& a, const PlockRange& b) { return a.start < b.start; });
  return JoinPairs(std::move(ranges));
}

bool LocksConflict(const PlockRange& a, const PlockRange& b) {
  return (a.type == kLockWrite || b.type == kLockWrite) && a.end >= b.start && a.start <= b.end;
}

}  // namespace kvjury::juicefs
