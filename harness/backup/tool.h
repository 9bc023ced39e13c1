// What a backup or restore tool is given, and what it says of itself afterwards.
//
// A tool never throws and never says less than the truth about its own end: it claims success, or it failed loudly with a
// sentence. The caller may start it again, with another label and, for a backup, another folder.
#pragma once

#include <string>
#include <vector>

#include "fakes/objects/object_store.h"
#include "fakes/sim/world.h"
#include "harness/backup/range_tree.h"
#include "harness/client/client.h"

namespace kvjury::backup {

/// How a tool reaches its cluster. Nothing is owned; everything must outlive the run.
struct ToolHost {
  sim::World* world = nullptr;
  /// For timestamps, regions, locks and scans.
  client::Client* client = nullptr;
  /// For the tool's own requests; from the same address as the client.
  sim::Channel* channel = nullptr;
  /// Where the files are, as this process sees them and as the stores are told. The same place.
  objects::ObjectStore* objects = nullptr;
  ::backup::StorageBackend storage;
  /// The root of all its labels: "backup", "restore", "backup#2".
  sim::Label label;
};

/// A range that the tool holds for done when it ends.
struct CoveredRange {
  KeyRange range;
  Timestamp end_ts;
  RegionId region;
  StoreId store;
  std::vector<std::string> files;
};

struct ToolReport {
  /// Claimed success; otherwise `failure` says in one sentence what was wrong.
  bool success = false;
  Status failure;
  /// The timestamp of the backup: taken by it, or found in its meta.
  Timestamp cut;
  /// Virtual time at which the cut was asked for.
  Micros cut_asked_us = 0;
  /// Backup: every answer in force at the end, in key order, also after a failure. Restore: every range imported.
  std::vector<CoveredRange> ranges;
  uint64_t files = 0;
  uint64_t keys = 0;
  /// Sum of the lengths of keys and values; for files of a backup, of File.size.
  uint64_t key_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t rounds = 0;
  uint64_t locks_met = 0;
  /// Tries that had to be made again: lost messages, moved regions, failed uploads.
  uint64_t retries = 0;
  /// Restore: the largest commit timestamp among the files.
  Timestamp commit_ts_max;
  /// Restore: pairs that were visible in the target before it was cleared.
  uint64_t cleared_keys = 0;

  /// "success: 12 files, 345 keys" or the failure.
  [[nodiscard]] std::string Sentence() const;
};

}  // namespace kvjury::backup
