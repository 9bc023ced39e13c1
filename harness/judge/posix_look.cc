// What only looks: attributes, names, targets, the volume's numbers; and the access times that looking leaves.
#include <algorithm>
#include <cerrno>

#include "harness/juicefs/constants.h"
#include "harness/judge/posix_model.h"

namespace kvjury::judge {

namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kDayNs = 86'400 * kSecondNs;

enum class Answer : uint8_t { kNo, kPerhaps, kYes };

PosixResult Refused(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

/// Spans that are alike are one moment: an operation gives its own to all times that it sets.
Answer IsAfter(const TimeSpan& late, const TimeSpan& early) {
  if ((late.low_ns == early.low_ns && late.high_ns == early.high_ns) || late.high_ns <= early.low_ns) {
    return Answer::kNo;
  }
  return late.low_ns > early.high_ns ? Answer::kYes : Answer::kPerhaps;
}

Answer IsOlder(const TimeSpan& time, int64_t age_ns, const TimeSpan& now) {
  return IsAfter({now.low_ns - age_ns, now.high_ns - age_ns}, time);
}

}  // namespace

PosixResult PosixModel::Look(const Call& call) {
  const auto kind = call.operation.kind_case();
  if (call.first.error != 0 || call.first.node == kNoNode) {
    return Refused(call.first.error != 0 ? call.first.error : ENOENT);
  }
  const PosixNode& node = tree_.at(call.first.node);
  PosixResult result;
  if (kind == record::Operation::kLookup) {
    result.attr = tree_.AttrOf(call.first.node);
  } else if (kind == record::Operation::kReaddir) {
    result.error = !node.IsDirectory() ? ENOTDIR : MayAccess(call.first.node, call.operation, 4) ? 0 : EACCES;
    result.names.emplace();
    for (const auto& [name, child] : node.entries) {
      result.names->push_back(name);
    }
  } else {
    result.error = node.type == juicefs::kTypeSymlink ? 0 : EINVAL;
    result.bytes = node.target;
  }
  if (result.error != 0) {
    return Refused(result.error);
  }
  if (kind != record::Operation::kLookup) {
    // The target of a link that was read before is known to a mount.
    Touch(call.first.node, call.now, kind == record::Operation::kReaddir);
  }
  return result;
}

PosixResult PosixModel::StatFs(const Call& call) const {
  if (call.first.error != 0 || call.first.node == kNoNode) {
    return Refused(call.first.error != 0 ? call.first.error : ENOENT);
  }
  PosixResult result;
  const bool limited = std::any_of(directory_limits_.begin(), directory_limits_.end(), [&](const auto& limit) {
    return call.first.node == limit.first || tree_.IsBelow(call.first.node, limit.first);
  });
  const bool buffered = std::any_of(handles_.begin(), handles_.end(), [this](const auto& handle) {
    return tree_.at(handle.second.node).mtime.high_ns == INT64_MAX;
  });
  if (limited || buffered) {
    return result;
  }
  const uint64_t used_space = tree_.UsedSpace();
  const uint64_t used_inodes = tree_.UsedInodes();
  uint64_t total = std::max(options_.capacity_bytes, used_space);
  if (options_.capacity_bytes == 0) {
    total = uint64_t{1} << 50;
    while (used_space > total / 10 * 8) {
      total *= 2;
    }
  }
  uint64_t free = options_.inodes_max - std::min(options_.inodes_max, used_inodes);
  if (options_.inodes_max == 0) {
    free = uint64_t{10} << 20;
    while (used_inodes > free * 4) {
      free *= 2;
    }
  }
  result.statfs = PosixStatFs{total / kStatFsBlockBytes, (total - used_space) / kStatFsBlockBytes, used_inodes, free};
  return result;
}

void PosixModel::Touch(NodeId id, TimeSpan now, bool surely) {
  if (options_.atime == juicefs::AtimeMode::kNoAtime || id == kTrashNode) {
    return;  // the trash itself is stored nowhere
  }
  PosixNode& node = tree_.Mutable(id);
  Answer due = std::max(IsAfter(node.mtime, node.atime), IsAfter(node.ctime, node.atime));
  due = std::max(due, IsOlder(node.atime, options_.atime == juicefs::AtimeMode::kStrictAtime ? kSecondNs : kDayNs, now));
  if (due == Answer::kYes && surely) {
    node.atime = now;
  } else if (due != Answer::kNo) {
    node.atime = {std::min(node.atime.low_ns, now.low_ns), std::max(node.atime.high_ns, now.high_ns)};
  }
}

}  // namespace kvjury::judge
