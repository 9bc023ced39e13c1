// What `kvjury check` says: of each check what it counted and found, of each finding its path, inode, key and reason.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/base/ids.h"
#include "harness/cli/verb.h"
#include "harness/juicefs/commit_walk.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/object_check.h"

namespace kvjury::cli {

/// One violation or hazard.
struct CheckFinding {
  std::string check;
  juicefs::InvariantIssue issue;
  std::optional<Bytes> path;
  /// Of a walk over commits: where it was first and last, and at how many commits.
  Timestamp first;
  Timestamp last;
  uint64_t commits = 0;
};

struct CheckedVolume {
  Bytes name;  // empty: unknown
  uint64_t pairs = 0;
  /// In their order: name, subjects.
  std::vector<std::pair<std::string, uint64_t>> counted;
  /// Violations first.
  std::vector<CheckFinding> findings;
  std::optional<juicefs::ObjectCheck> objects;
  /// Of a walk over commits.
  bool is_walk = false;
  uint64_t commits = 0;
  uint64_t changes = 0;
  Timestamp first;
  Timestamp last;

  [[nodiscard]] uint64_t Count(juicefs::IssueSeverity severity) const;
  [[nodiscard]] bool sound() const;
};

struct CheckReport {
  std::string source;
  std::optional<Timestamp> cut;
  std::vector<CheckedVolume> volumes;

  [[nodiscard]] ExitCode code() const;
};

/// Of one volume as it is; finds the paths.
CheckedVolume CheckedNow(const Bytes& name, const juicefs::KeyValues& pairs, const juicefs::InvariantOptions& options);
CheckedVolume CheckedWalk(const Bytes& name, const juicefs::CommitWalk& walk);

/// Lines for people; at most `limit` findings of a volume, 0: all.
std::string CheckText(const CheckReport& report, uint64_t limit);
/// One JSON object with every finding; 64-bit numbers as strings, bytes as Latin-1 text, keys in hex without the volume's prefix.
std::string CheckJson(const CheckReport& report);

}  // namespace kvjury::cli
