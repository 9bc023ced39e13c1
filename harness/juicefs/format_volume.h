// New volumes: the format transaction, and whole volumes made by the same rules for preloading a cluster quickly.
//
// GenerateVolume gives the records that writers would have left behind after quiet work: a tree of directories, files with
// slices, overwrites and holes, hard links, symbolic links, devices, xattrs, and a trash hour when trash is on. All invariants
// hold, usage counters, directory statistics and what users and groups use are exact. Not generated: ACLs, limits of quotas, sessions, tiers,
// compactions, a change log's past.
// Deterministic in its options. Source: JuiceFS 1.4. Units: nanoseconds since the epoch.
#pragma once

#include "harness/client/kv.h"
#include "harness/juicefs/format.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

/// What `juicefs format` makes of a name with file storage and nothing else asked for. The UUID is derived from the name.
Format DefaultFormat(std::string_view volume_name, uint32_t trash_days);

/// What `juicefs format` is asked for besides name and trash.
struct FormatChoices {
  bool enable_acl = false;        // no client before 1.2 may use the volume then
  bool user_group_quota = false;  // what users and groups use is counted
  bool change_log = false;        // kept for two hours
  bool hash_prefix = false;       // of the names of blocks
  // Of the whole volume; 0: no limit.
  uint64_t capacity_bytes = 0;
  uint64_t inodes_max = 0;
};
Format FormatWith(std::string_view volume_name, uint32_t trash_days, const FormatChoices& choices);

/// Every pair of a new, empty volume, without the volume's prefix.
KeyValues FormatPairs(const Format& format, int64_t wall_ns);

/// Formats a volume through transactions. Errors: kAlreadyExists if the setting is there, those of the store. Suspends.
sim::Task<Status> FormatVolume(client::Store* store, Bytes volume_name, Format format, int64_t wall_ns);

struct GenerateOptions {
  Bytes volume_name = "generated";
  uint32_t directories = 4;  // below the root
  uint32_t files = 20;       // regular files with a name of their own; links, devices and trash come on top
  uint64_t seed = 1;
  uint32_t trash_days = 1;
  FormatChoices choices;  // limits that are smaller than the volume leave it full
  /// The newest time in the volume.
  int64_t wall_ns = 1'795'000'000'000'000'000;
};

/// Pairs without the volume's prefix.
KeyValues GenerateVolume(const GenerateOptions& options);

/// The same pairs with the prefix of `volume_name` in front of each key, ready to be stored.
KeyValues WithPrefix(const KeyValues& pairs, std::string_view volume_name);

}  // namespace kvjury::juicefs
