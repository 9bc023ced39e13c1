#include "harness/juicefs/mount_options.h"

#include <algorithm>

namespace kvjury::juicefs {

namespace {

constexpr Micros kHourUs = 3'600'000'000;

/// What a case leaves at 0 is the default, what is below 0 is off.
Micros PeriodOf(int64_t asked_us, Micros by_default_us) { return asked_us == 0 ? by_default_us : std::max<Micros>(asked_us, 0); }

}  // namespace

Result<MountOptions> MountOptionsOf(const record::Mount& mount) {
  MountOptions options;
  if (mount.atime() == "relatime") {
    options.atime = AtimeMode::kRelatime;
  } else if (mount.atime() == "strictatime") {
    options.atime = AtimeMode::kStrictAtime;
  } else if (!mount.atime().empty() && mount.atime() != "noatime") {
    return Status::InvalidArgument("mount.atime: \"" + mount.atime() + "\", expected noatime, relatime or strictatime");
  }
  options.read_only = mount.read_only();
  options.no_background_jobs = mount.no_background_jobs();
  options.case_insensitive = mount.case_insensitive();
  if (mount.has_skip_dir_mtime_us()) {
    options.skip_dir_mtime_us = std::max<int64_t>(mount.skip_dir_mtime_us(), 0);
  }
  if (mount.has_skip_dir_nlink()) {
    options.skip_dir_nlink_retries = mount.skip_dir_nlink();
  }
  options.heartbeat_period_us = PeriodOf(mount.heartbeat_us(), options.heartbeat_period_us);
  options.backup_meta_us = PeriodOf(mount.backup_meta_us(), kHourUs);
  options.backup_skip_trash = mount.backup_skip_trash();
  options.gc_interval_us = PeriodOf(mount.gc_interval_us(), options.gc_interval_us);
  return options;
}

}  // namespace kvjury::juicefs
