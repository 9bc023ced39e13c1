// MountOptions: what a JuiceFS session was mounted with, as far as it changes what the session does to the metadata.
//
// Defaults are those of `juicefs mount` 1.4; the automatic backup is off, because most worlds live for seconds. Not here: caches, buffers,
// limits of transfer. Units: virtual microseconds. Source: JuiceFS 1.4, command line of mount and base metadata.
#pragma once

#include <cstdint>
#include <string>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

/// When reading a file writes its access time.
enum class AtimeMode : uint8_t {
  kNoAtime,      // never
  kRelatime,     // when it is older than the last change, or than a day
  kStrictAtime,  // whenever it is older than a second
};

struct MountOptions {
  AtimeMode atime = AtimeMode::kNoAtime;
  bool read_only = false;           // no session and no write at all
  bool no_background_jobs = false;  // none of the elected jobs
  bool case_insensitive = false;
  /// A parent's times may stay this old; 0: they are always written.
  Micros skip_dir_mtime_us = 100'000;
  /// Conflicts after which a parent's link count is left alone; 0: never.
  uint32_t skip_dir_nlink_retries = 20;
  Micros flush_period_us = 1'000'000;
  Micros heartbeat_period_us = 12'000'000;
  /// Between two automatic backups; 0: none.
  Micros backup_meta_us = 0;
  bool backup_skip_trash = false;
  /// History that the cluster's GC keeps; 0: the client drives no GC.
  Micros gc_interval_us = 10'800'000'000;
};

/// Errors: kInvalidArgument for an unknown access-time mode.
Result<MountOptions> MountOptionsOf(const record::Mount& mount);

}  // namespace kvjury::juicefs
