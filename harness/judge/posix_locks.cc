#include "harness/judge/posix_locks.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>

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
  // Between two neighbouring edges nothing changes.
  std::set<uint64_t> edges = {start};
  for (const auto& [range_start, range] : ranges) {
    edges.insert(range_start);
    if (range.end < UINT64_MAX) {
      edges.insert(range.end + 1);
    }
  }
  if (end < UINT64_MAX) {
    edges.insert(end + 1);
  }
  std::vector<std::pair<uint64_t, Range>> pieces;
  for (auto edge = edges.begin(); edge != edges.end(); ++edge) {
    const auto next = std::next(edge);
    Range piece{next == edges.end() ? UINT64_MAX : *next - 1, kUnlock};
    const auto held = ranges.upper_bound(*edge);
    if (*edge >= start && *edge <= end) {
      piece.kind = kind;
    } else if (held != ranges.begin() && std::prev(held)->second.end >= *edge) {
      piece.kind = std::prev(held)->second.kind;
    }
    if (piece.kind != kUnlock) {
      pieces.emplace_back(*edge, piece);
    }
  }
  ranges.clear();
  for (size_t i = 0; i < pieces.size(); ++i) {
    Range& made = ranges.emplace(pieces[i]).first->second;
    if (i + 1 < pieces.size() && pieces[i + 1].second.kind == made.kind && pieces[i + 1].first == made.end + 1) {
      made.end = pieces[++i].second.end;
    }
  }
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
