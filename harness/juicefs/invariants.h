// Invariants of a volume's records: what holds at every snapshot of a healthy volume.
//
// Fifteen named checks over a VolumeImage. Each says how many things it looked at and lists what it found: a violation
// (damage), or a hazard (a state that correct clients can leave behind: write skew between mounts, an interrupted rename,
// a load). What two checks could both report belongs to one of them, named in the comments below, so that one damaged
// key has one name. Values that clients flush late (usage counters, directory statistics, quota usage) are judged only of
// a volume at rest, by seven more checks that must be asked for.
// Not here: the objects that slices are made of (object_check.h), every moment of a history (commit_walk.h).
// Order of checks and issues is fixed. Source: JuiceFS 1.4, KV engine.
#pragma once

#include <string>
#include <vector>

#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

enum class IssueSeverity { kViolation, kHazard };

struct InvariantIssue {
  IssueSeverity severity = IssueSeverity::kViolation;
  Inode inode;  // 0 where none is concerned
  Bytes key;    // the record at fault, without the volume's prefix
  std::string text;

  /// `violation: I(7): ...`.
  [[nodiscard]] std::string ToString() const;
};

struct InvariantResult {
  std::string name;
  uint64_t counted = 0;
  std::vector<InvariantIssue> issues;

  [[nodiscard]] uint64_t Violations() const;
  [[nodiscard]] uint64_t Hazards() const;
};

struct InvariantOptions {
  /// Other writers may have given up on a directory's link count after many conflicts: a wrong one is a hazard only.
  bool skipped_directory_nlink = false;
  /// The volume came out of `juicefs load` of a binary dump, which drops delayed slices and sessions: too many references and sustained
  /// inodes of no session are hazards.
  bool after_binary_load = false;
  /// A load runs or broke off: many transactions in no fixed order, of which any may be missing. All that is found is a hazard.
  bool during_load = false;
  /// A compaction may have tried again after it had taken effect unnoticed: a slice with one reference too few is a hazard.
  bool after_compaction_conflicts = false;

  /// All clients have unmounted, none crashed, and background jobs are done: also the seven checks of values that are flushed late.
  bool at_rest = false;
  // Exceptions of a volume at rest: what they excuse is a hazard.
  /// A client was killed, or two made an hour directory at the same time (JuiceFS up to 1.4.1 counts it twice): usage counters, statistics
  /// and the used part of quotas may be off for ever.
  bool lost_flushes = false;
  /// Directories were cloned: each has the statistics that its source had at that moment, and the quotas above count its files twice.
  bool clones = false;
  /// Clients before 1.1 keep no statistics, those before 1.4 none of the trash; a directory that was restored from the trash has none either.
  bool old_versions = false;
};

// Names, in the order of the results.
/// The setting and the root exist together, the setting lets some client mount (client_version.h); nextInode >= 2, nextChunk >= 1.
inline constexpr char kInvariantSetting[] = "setting";
/// An entry has 9 bytes and a type, its inode exists with that type, its directory exists and is one.
inline constexpr char kInvariantDentries[] = "dentries";
/// Links of files: parent, link counts and nlink agree with the entries; nlink 0 exactly while sustained.
inline constexpr char kInvariantLinks[] = "links";
/// A directory has one entry, in the directory that it calls its parent.
inline constexpr char kInvariantDirectories[] = "directories";
/// nlink of a directory is 2 + its child directories; always 2 in the trash's own directories.
inline constexpr char kInvariantDirectoryNlink[] = "directory-nlink";
/// Every inode is a root, has an entry, is sustained or detached; everything hangs below a root. An inode without any
/// entry is reported here and not by `links` or `directories`.
inline constexpr char kInvariantReachable[] = "reachable";
/// Inodes waiting for deletion are gone; chunks belong to an inode or to such; link targets to symbolic links.
inline constexpr char kInvariantOwners[] = "owners";
/// Records of chunks stay inside chunk and slice, slice ids come from nextChunk. Undecodable chunks are reported here.
inline constexpr char kInvariantChunks[] = "chunks";
/// References of every slice: K = occurrences in chunks and delayed lists - 1.
inline constexpr char kInvariantSliceReferences[] = "slice-references";
/// Inodes, hour directories, sessions, ACL rules and tokens in use are not beyond their counters; used ACL rules exist.
inline constexpr char kInvariantCounters[] = "counters";
/// Every pair decodes and inodes have a legal length. Keys of an unknown kind are hazards.
inline constexpr char kInvariantForms[] = "forms";
/// Names and shape of the trash: hour directories, entries named parent-inode-name, no children below them.
inline constexpr char kInvariantTrash[] = "trash";
/// The session of a sustained inode has a record (SE, or SH of clients before 1.0): without one nobody ever deletes it.
inline constexpr char kInvariantSustainedSessions[] = "sustained-sessions";
/// The session of a lock has a record: without one nobody ever releases it.
inline constexpr char kInvariantLockSessions[] = "lock-sessions";
/// Marks of unfinished clones: each names a directory that is there. Each is a hazard: half a clone, until it is attached or cleaned away.
inline constexpr char kInvariantDetached[] = "detached";

// Names of those at rest, behind the others.
/// usedSpace is the space of all inodes but the two roots: files rounded up to 4096, all else 4096, hard links once.
inline constexpr char kInvariantUsedSpace[] = "used-space";
/// totalInodes is their number.
inline constexpr char kInvariantTotalInodes[] = "total-inodes";
/// Statistics of a directory are the sums over its entries. Not of the trash's root, which only a load gives any; records without a
/// directory are normal (a rename leaves them).
inline constexpr char kInvariantDirectoryStatistics[] = "directory-statistics";
/// What a directory's quota says is used is what lies below the directory, each entry counted. A quota of no directory is a hazard.
inline constexpr char kInvariantDirectoryQuotas[] = "directory-quotas";
/// What a user has used is between the space of the user's files and directories and that of all the user's inodes: the scan that turning
/// quotas on makes leaves links and special files out, and directories of the trash are counted by it alone.
inline constexpr char kInvariantUserQuotas[] = "user-quotas";
/// The same of groups.
inline constexpr char kInvariantGroupQuotas[] = "group-quotas";
/// No sustained inodes, sessions, marks of clones, locks, slices and files that wait for deletion.
inline constexpr char kInvariantLeftovers[] = "leftovers";

/// Fifteen results; with `at_rest` twenty-two.
std::vector<InvariantResult> CheckInvariants(const VolumeImage& image, const InvariantOptions& options = {});

}  // namespace kvjury::juicefs
