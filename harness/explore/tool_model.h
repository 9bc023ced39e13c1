// ToolModel: which backup tool a case has, by the name in the case; and the runs of those that dump and load.
//
// "reference" copies records (harness/backup/reference_backup.h). The others are models of the real juicefs as a client of the cluster: what they read
// and write is harness/backup/juicefs_dump_model.h, juicefs_load_model.h and automatic_backup_model.h; here they get a place for their file,
// a claim, and what a careful operator does around them: the target is cleared before a load is tried again, and after a load without the
// trash the next ids are raised to those that the dump's head tells (juicefs does neither; without the latter it gives ids of the trash out again).
// Not modelled: the program's own retries of a whole dump, objects that are copied along.
#pragma once

#include <string>
#include <string_view>

#include "harness/backup/tool.h"
#include "harness/judge/evidence.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::explore {

struct ToolModel {
  std::string_view name;
  /// Writes the volume anew instead of copying its records.
  bool rewrites = false;
  bool binary = false;
  /// Reads the tree at one timestamp (JSON).
  bool fast = false;
  /// As a mount makes it for --backup-meta.
  bool automatic = false;
};

/// An empty name is "reference". Errors: kInvalidArgument naming the known ones.
Result<ToolModel> FindToolModel(const std::string& name);

/// What the case's tool, which rewrites, promises.
judge::RewriteForm RewriteFormOf(const record::Case& c);

struct DumpRun {
  backup::ToolReport report;
  /// At which it read; invalid if it failed.
  Timestamp first_ts;
  Timestamp last_ts;
  uint64_t entries = 0;
  /// Where the dump is, in the host's objects; compressed with gzip.
  std::string object;
};
/// `wall_ns`: the clock of who dumps. Fails loudly with what was wrong, also if no automatic backup is due. Suspends.
sim::Task<DumpRun> RunDumpTool(backup::ToolHost host, record::Case c, Bytes volume, int64_t wall_ns);

struct LoadRun {
  backup::ToolReport report;
  uint64_t entries = 0;
};
/// Loads the dump of `object`; `again`: what an attempt before has left of the volume is removed first. Suspends.
sim::Task<LoadRun> RunLoadTool(backup::ToolHost host, record::Case c, Bytes volume, std::string object, bool again);

}  // namespace kvjury::explore
