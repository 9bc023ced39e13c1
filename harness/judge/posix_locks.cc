#include "harness/judge/posix_locks.h"

#include <algorithm>
#include <cerrno>

namespace kvjury::judge {

namespace {

constexpr uint32_t kExclusive = 1;
constexpr uint32_t kUnlock = 2;

}  // namespace

int PosixLocks::Flock(uint64_t node, LockOwner owner, uint32_t kind) {
  if (kind > kUnlock) {
    return EINVAL;
  }
  auto& holders = flocks_[node];
  if (kind == kUnlock) {
    holders.erase(owner);
    return 0;
  }
  for (const auto& [holder, held] : holders) {
    if (holder != owner && (kind == kExclusive || held == kExclusive)) {
      return EAGAIN;
    }
  }
  holders[owner] = kind;
  return 0;
}

PosixLock PosixLocks::GetLock(uint64_t node, LockOwner owner, uint32_t kind, uint64_t start, uint64_t end) const {
  PosixLock found;
  const auto holders = ranges_.find(node);
  if (holders == ranges_.end() || kind == kUnlock) {
    return found;
  }
  for (const auto& [holder, ranges] : holders->second) {
    for (const auto& [range_start, range] : ranges) {
      const bool overlaps = range_start <= end && start <= range.end;
      const bool conflicts = kind == kExclusive || range.kind == kExclusive;
      if (holder != owner && overlaps && conflicts && (found.kind == kUnlock || range_start < found.start)) {
        found = PosixLock{range.kind, range_start, range.end};
      }
    }
  }
  return found;
}

int PosixLocks::SetLock(uint64_t node, LockOwner owner, uint32_t kind, uint64_t start, uint64_t end) {
  if (kind > kUnlock || end < start) {
    return EINVAL;
  }
  if (kind != kUnlock && GetLock(node, owner, kind, start, end).kind != kUnlock) {
    return EAGAIN;
  }
  Ranges& ranges = ranges_[node][owner];
  Ranges kept;
  for (const auto& [range_start, range] : ranges) {
    if (range_start < start) {
      kept[range_start] = Range{std::min(range.end, start - 1), range.kind};
    }
    if (range.end > end) {
      kept[std::max(range_start, end + 1)] = range;
    }
    // What lies within, or beside the cuts, is replaced.
  }
  if (kind != kUnlock) {
    kept[start] = Range{end, kind};
  }
  // Neighbours of one kind are one lock.
  Ranges merged;
  for (const auto& [range_start, range] : kept) {
    if (!merged.empty()) {
      Range& last = merged.rbegin()->second;
      if (last.kind == range.kind && last.end + 1 == range_start) {
        last.end = range.end;
        continue;
      }
    }
    merged[range_start] = range;
  }
  ranges = std::move(merged);
  return 0;
}

void PosixLocks::Drop(uint32_t session) {
  for (auto& [node, holders] : flocks_) {
    std::erase_if(holders, [session](const auto& holder) { return holder.first.session == session; });
  }
  for (auto& [node, holders] : ranges_) {
    std::erase_if(holders, [session](const auto& holder) { return holder.first.session == session; });
  }
}

}  // namespace kvjury::judge
