#include "harness/juicefs/statfs.h"

#include <algorithm>
#include <set>

#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

namespace {

constexpr uint64_t kNumberMax = uint64_t{1} << 60;  // keeps the products below inside 64 bits

uint64_t AtLeastZero(int64_t number) { return std::min(static_cast<uint64_t>(std::max<int64_t>(number, 0)), kNumberMax); }

/// The quota of the inode or of the nearest directory above it; `inode` becomes its directory. Null: none.
const Quota* NearestQuota(const VolumeImage& image, Inode* inode, std::set<Inode>* seen) {
  // A damaged volume may have a cycle: every directory is asked once.
  while (inode->value() != 0 && seen->insert(*inode).second) {
    if (const auto found = image.dir_quotas.find(*inode); found != image.dir_quotas.end()) {
      return &found->second;
    }
    const Attr* attr = image.FindAttr(*inode);
    if (*inode == kRootInode || attr == nullptr) {
      return nullptr;
    }
    *inode = attr->parent;
  }
  return nullptr;
}

void TakeAway(int64_t quota_limit, uint64_t used, uint64_t* available) {
  if (quota_limit > 0) {
    *available = std::min(*available, static_cast<uint64_t>(quota_limit) - std::min(used, static_cast<uint64_t>(quota_limit)));
  }
}

}  // namespace

StatFs StatVolume(const Format& format, int64_t used_space, int64_t used_inodes) {
  const uint64_t used = AtLeastZero(used_space);
  const uint64_t inodes = AtLeastZero(used_inodes);
  StatFs statfs;
  statfs.total_bytes = std::max(format.capacity_bytes, used);
  if (format.capacity_bytes == 0) {
    statfs.total_bytes = uint64_t{1} << 50;
    while (statfs.total_bytes * 4 < used * 5) {
      statfs.total_bytes *= 2;
    }
  }
  statfs.available_bytes = statfs.total_bytes - used;
  statfs.used_inodes = inodes;
  if (format.inodes != 0) {
    statfs.available_inodes = format.inodes - std::min(inodes, format.inodes);
  } else {
    statfs.available_inodes = uint64_t{10} << 20;
    while (statfs.available_inodes * 4 < inodes) {
      statfs.available_inodes *= 2;
    }
  }
  return statfs;
}

StatFs StatVolume(const VolumeImage& image) {
  CHECK(image.setting.has_value());
  return StatVolume(image.setting->format, image.Counter("usedSpace"), image.Counter("totalInodes"));
}

void LimitByQuota(const Quota& quota, StatFs* statfs) {
  TakeAway(quota.max_space, AtLeastZero(quota.used_space), &statfs->available_bytes);
  TakeAway(quota.max_inodes, AtLeastZero(quota.used_inodes), &statfs->available_inodes);
}

void ShowQuota(const Quota& nearest, StatFs* statfs) {
  statfs->total_bytes = AtLeastZero(nearest.used_space) + statfs->available_bytes;
  statfs->used_inodes = AtLeastZero(nearest.used_inodes);
}

StatFs StatFsOf(const VolumeImage& image, Inode inode) {
  StatFs statfs = StatVolume(image);
  if (!image.setting->format.dir_stats) {
    return statfs;  // without them no quota is kept
  }
  const Quota* shown = nullptr;
  std::set<Inode> seen;
  while (const Quota* quota = NearestQuota(image, &inode, &seen)) {
    shown = shown == nullptr ? quota : shown;
    LimitByQuota(*quota, &statfs);
    const Attr* attr = image.FindAttr(inode);
    if (inode == kRootInode || attr == nullptr) {
      break;
    }
    inode = attr->parent;
  }
  if (shown != nullptr) {
    ShowQuota(*shown, &statfs);
  }
  return statfs;
}

}  // namespace kvjury::juicefs
