// Invariants of a volume's records: what holds at every snapshot of a healthy volume.
//
// Twelve named checks over a VolumeImage. Each says how many things it looked at and lists what it found: a violation
// (damage), or a hazard (a state that correct clients can leave behind: write skew between mounts, an interrupted rename,
// a load). What two checks could both report belongs to one of them, named in the comments below, so that one damaged
// key has one name. Eventual values (usage counters, directory statistics, quota usage) are not judged here.
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
  /// The volume came out of `juicefs load` of a binary dump, which drops delayed slices: too many references are a hazard.
  bool after_binary_load = false;
};

// Names, in the order of the results.
/// The setting and the root exist together; nextInode >= 2, nextChunk >= 1.
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
/// Inodes, hour directories, sessions and ACL rules in use are not beyond their counters; used ACL rules exist.
inline constexpr char kInvariantCounters[] = "counters";
/// Every pair decodes and inodes have a legal length. Keys of an unknown kind are hazards.
inline constexpr char kInvariantForms[] = "forms";
/// Names and shape of the trash: hour directories, entries named parent-inode-name, no children below them.
inline constexpr char kInvariantTrash[] = "trash";

/// Always twelve results.
std::vector<InvariantResult> CheckInvariants(const VolumeImage& image, const InvariantOptions& options = {});

}  // namespace kvjury::juicefs
