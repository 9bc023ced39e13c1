// CommitWalk: the invariants of a volume at every commit of its history, not only at its end.
//
// A commit is all changes of one commit timestamp; behind each, the whole volume is looked at as a reader at that timestamp would see it.
// A half-written operation that a later commit completes, and every state that a client or backup could have met in between, is seen.
// Moments at which the volume has no pair do not count. What a broken invariant leaves broken is one finding, with its first commit.
// Cost: one pass over the volume a commit (about a microsecond a pair).
// Not modelled: what a DeleteRange removes (juicefs destroy), which leaves no commit; values at rest, which no commit owes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/juicefs/invariants.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

struct CommittedChange {
  Timestamp commit_ts;
  Bytes key;  // without the volume's prefix
  /// None: removed.
  std::optional<Bytes> value;
};

struct CommitWalkOptions {
  /// `at_rest` must not be set.
  InvariantOptions invariants;
  /// Told how many commits are done. May be empty.
  std::function<void(uint64_t commits)> on_commit;
};

/// One check and key, over all commits at which it was at fault.
struct BrokenInvariant {
  std::string check;
  InvariantIssue issue;  // as it was first
  std::optional<Bytes> path;
  Timestamp first;
  Timestamp last;
  uint64_t commits = 0;
};

struct CommitWalk {
  uint64_t commits = 0;
  uint64_t changes = 0;
  Timestamp first;
  Timestamp last;
  uint64_t pairs_max = 0;
  /// Subjects by check, in the order of the checks, over all commits together.
  std::vector<std::pair<std::string, uint64_t>> counted;
  /// Violations, then hazards, each in the order of first commits.
  std::vector<BrokenInvariant> violations;
  std::vector<BrokenInvariant> hazards;
};

/// `at_begin` is the volume at `begin`; `changes` are in the order of commits, all behind it.
CommitWalk WalkCommits(const KeyValues& at_begin, Timestamp begin, const std::vector<CommittedChange>& changes, const CommitWalkOptions& options);

/// The first path of an inode in a volume, if it has one.
std::optional<Bytes> FindPath(const VolumeImage& image, Inode inode);

}  // namespace kvjury::juicefs
