// What a mount answers to statfs: of the volume, and of a directory with a quota.
//
// Total is the capacity of the setting, or the used space where that is more; without a capacity 1 PiB, doubled until at least a quarter of
// what is used is free. Inodes likewise. Below a directory with a quota (the nearest one above counts, those above it may only take
// away) the numbers are the quota's, as every mount that may write shows; a read-only mount loads no quotas and shows the volume's.
// Quotas of users and groups do not matter: statfs does not look at them. What a session adds that it has not flushed: operations_statfs.cc.
// Source: facts of JuiceFS 1.4.2 through the kernel.
#pragma once

#include <cstdint>

#include "fakes/base/ids.h"

namespace kvjury::juicefs {

struct Format;
struct Quota;
struct VolumeImage;

struct StatFs {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t used_inodes = 0;
  uint64_t available_inodes = 0;
  friend bool operator==(const StatFs&, const StatFs&) = default;
};

/// Of a volume with this setting, so many bytes and inodes used; below 0 counts as 0.
StatFs StatVolume(const Format& format, int64_t used_space, int64_t used_inodes);

/// Takes away what a quota's limits leave less. Call it for the nearest quota first, then upwards.
void LimitByQuota(const Quota& quota, StatFs* statfs);

/// At last: the numbers of the nearest quota take the place of the volume's.
void ShowQuota(const Quota& nearest, StatFs* statfs);

/// Of the root, quotas aside. The image must have a setting.
StatFs StatVolume(const VolumeImage& image);

/// Of any inode: with the quotas of the directories that it is in. The image must have a setting.
StatFs StatFsOf(const VolumeImage& image, Inode inode);

}  // namespace kvjury::juicefs
