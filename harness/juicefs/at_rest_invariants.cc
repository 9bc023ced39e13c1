// Checks of a volume at rest: what clients flush late has arrived, and nothing is left that somebody still has to do.
#include <fmt/format.h>

#include <functional>

#include "harness/juicefs/invariant_context.h"

namespace kvjury::juicefs {

namespace {

/// Lengths of a damaged volume may be anything: sums wrap around.
int64_t Sum(int64_t a, uint64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + b); }

struct Usage {
  int64_t space = 0;
  int64_t inodes = 0;

  void Add(const Attr& attr) {
    space = Sum(space, attr.type == kTypeFile ? SpaceOf(attr.length) : SpaceOf(0));
    ++inodes;
  }
};

IssueSeverity Excused(bool excused) { return excused ? IssueSeverity::kHazard : IssueSeverity::kViolation; }

InvariantResult CheckUsageCounter(const InvariantContext& context, const char* check, const char* counter, int64_t CountedUsage::*member) {
  InvariantResult result{check, 0, {}};
  const CountedUsage usage = CountUsage(context.image);
  // A new volume has no inode of its own, and its counters are absent.
  result.counted = static_cast<uint64_t>(usage.inodes) + 1;
  const int64_t says = context.image.Counter(counter);
  if (says != usage.*member) {
    AddIssue(&result, Excused(context.options.lost_flushes), CounterKey(counter),
             fmt::format("says {}, all inodes together are {}", says, usage.*member));
  }
  return result;
}

DirStat StatisticsOf(const InvariantContext& context, Inode directory) {
  DirStat stat;
  Usage usage;
  const auto entries = context.image.dentries.find(directory);
  if (entries == context.image.dentries.end()) {
    return stat;
  }
  for (const auto& [name, dentry] : entries->second) {
    const Attr* attr = context.image.FindAttr(dentry.inode);
    if (attr == nullptr) {
      continue;  // of the check `dentries`
    }
    usage.Add(*attr);
    stat.length = Sum(stat.length, attr->type == kTypeFile ? attr->length : 0);
  }
  stat.space = usage.space;
  stat.inodes = usage.inodes;
  return stat;
}

InvariantResult CheckDirectoryStatistics(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  InvariantResult result{kInvariantDirectoryStatistics, 0, {}};
  if (!image.setting.has_value() || !image.setting->format.dir_stats) {
    return result;  // they are not kept
  }
  for (const auto& [inode, attr] : image.inodes) {
    if (attr.type != kTypeDirectory || inode == kTrashInode || context.InsideDetached(inode)) {
      continue;
    }
    ++result.counted;
    const InvariantOptions& options = context.options;
    const DirStat expected = StatisticsOf(context, inode);
    const auto found = image.dir_stats.find(inode);
    if (found == image.dir_stats.end()) {
      // That of the root comes with its first entry; a directory that goes to the trash loses its own, and has no entries.
      const bool may_have_none = inode == kRootInode || (IsTrash(attr.parent) && !IsTrash(inode));
      if (!may_have_none || expected != DirStat()) {
        AddIssue(&result, Excused(options.old_versions || options.lost_flushes || options.clones), DirStatKey(inode),
                 fmt::format("is absent, the directory has {} entries", expected.inodes));
      }
    } else if (found->second != expected) {
      const bool excused = options.lost_flushes || options.clones || (options.old_versions && IsTrash(inode));
      AddIssue(&result, Excused(excused), DirStatKey(inode),
               fmt::format("says length {}, space {}, {} entries; the entries are {}, {}, {}", found->second.length, found->second.space,
                           found->second.inodes, expected.length, expected.space, expected.inodes));
    }
  }
  return result;
}

/// Each entry counts; a directory that is met again does not go down again.
Usage UsageBelow(const InvariantContext& context, Inode top) {
  Usage usage;
  context.ForEachEntryBelow(top, [&](const Dentry& entry) {
    const Attr* attr = context.image.FindAttr(entry.inode);
    if (attr == nullptr) {
      return false;  // of the check `dentries`
    }
    usage.Add(*attr);
    return attr->type == kTypeDirectory;
  });
  return usage;
}

InvariantResult CheckDirectoryQuotas(const InvariantContext& context) {
  InvariantResult result{kInvariantDirectoryQuotas, 0, {}};
  for (const auto& [inode, quota] : context.image.dir_quotas) {
    ++result.counted;
    if (context.image.FindAttr(inode) == nullptr) {
      AddHazard(&result, DirQuotaKey(inode), "belongs to no directory (set while it was being removed)");
      continue;
    }
    const Usage below = UsageBelow(context, inode);
    if (quota.used_space != below.space || quota.used_inodes != below.inodes) {
      AddIssue(&result, Excused(context.options.lost_flushes || context.options.clones), DirQuotaKey(inode),
               fmt::format("says {} bytes and {} inodes used, below the directory are {} and {}", quota.used_space, quota.used_inodes,
                           below.space, below.inodes));
    }
  }
  return result;
}

bool IsBetween(int64_t least, int64_t value, int64_t most) { return least <= value && value <= most; }

/// `owner` tells whose an inode is.
InvariantResult CheckOwnerQuotas(const InvariantContext& context, const char* check, const std::map<uint64_t, Quota>& quotas,
                                 const std::function<uint32_t(const Attr&)>& owner, Key (*key_of)(uint64_t)) {
  const VolumeImage& image = context.image;
  InvariantResult result{check, 0, {}};
  if (!image.setting.has_value() || !image.setting->format.user_group_quota) {
    return result;  // it is not counted
  }
  std::map<uint64_t, Usage> least;
  std::map<uint64_t, Usage> most;
  for (const auto& [inode, attr] : image.inodes) {
    if (inode == kRootInode || inode == kTrashInode) {
      continue;
    }
    most[owner(attr)].Add(attr);
    if (!IsTrash(inode) && (attr.type == kTypeFile || attr.type == kTypeDirectory)) {
      least[owner(attr)].Add(attr);
    }
  }
  for (const auto& [id, quota] : quotas) {
    most[id];
  }
  for (const auto& [id, all] : most) {
    ++result.counted;
    const auto found = quotas.find(id);
    const Quota quota = found == quotas.end() ? Quota() : found->second;
    const Usage& plain = least[id];
    if (!IsBetween(plain.space, quota.used_space, all.space) || !IsBetween(plain.inodes, quota.used_inodes, all.inodes)) {
      AddIssue(&result, Excused(context.options.lost_flushes), key_of(id),
               fmt::format("{} {} bytes and {} inodes used, inodes are {} to {} bytes and {} to {}",
                           found == quotas.end() ? "absent, means" : "says", quota.used_space, quota.used_inodes, plain.space, all.space,
                           plain.inodes, all.inodes));
    }
  }
  return result;
}

template <class Map, class KeyOf>
void AddLeftovers(const Map& records, const char* what, KeyOf key_of, InvariantResult* result) {
  ++result->counted;  // a kind that was looked for
  for (const auto& record : records) {
    ++result->counted;
    AddViolation(result, key_of(record), what);
  }
}

InvariantResult CheckLeftovers(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  InvariantResult result{kInvariantLeftovers, 0, {}};
  AddLeftovers(image.sustained, "an inode is still open", [](const auto& r) { return SustainedKey(r.first, r.second); }, &result);
  AddLeftovers(image.session_expiries, "a session is not closed",
               [](const auto& r) { return SessionKey(KeyKind::kSessionExpiry, r.first); }, &result);
  AddLeftovers(image.session_heartbeats, "a session is not closed",
               [](const auto& r) { return SessionKey(KeyKind::kSessionHeartbeat, r.first); }, &result);
  AddLeftovers(image.detached, "half a clone is not cleaned away", [](const auto& r) { return DetachedKey(r.first); }, &result);
  AddLeftovers(image.flocks, "BSD locks are still held", [](const auto& r) { return FlocksKey(r.first); }, &result);
  AddLeftovers(image.plocks, "POSIX locks are still held", [](const auto& r) { return PlocksKey(r.first); }, &result);
  AddLeftovers(image.deleted_files, "a file's data is not deleted yet",
               [](const auto& r) { return DeletedFileKey(r.first.first, r.first.second); }, &result);
  for (const auto& [slice, extra] : image.slice_references) {
    ++result.counted;
    if (extra < 0) {
      AddViolation(&result, SliceReferencesKey(slice.id, slice.size), "a slice is not deleted yet");
    }
  }
  return result;
}

}  // namespace

std::vector<InvariantResult> CheckAtRest(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  return {CheckUsageCounter(context, kInvariantUsedSpace, "usedSpace", &CountedUsage::space),
          CheckUsageCounter(context, kInvariantTotalInodes, "totalInodes", &CountedUsage::inodes),
          CheckDirectoryStatistics(context),
          CheckDirectoryQuotas(context),
          CheckOwnerQuotas(context, kInvariantUserQuotas, image.user_quotas, [](const Attr& attr) { return attr.uid; }, &UserQuotaKey),
          CheckOwnerQuotas(context, kInvariantGroupQuotas, image.group_quotas, [](const Attr& attr) { return attr.gid; }, &GroupQuotaKey),
          CheckLeftovers(context)};
}

}  // namespace kvjury::juicefs
