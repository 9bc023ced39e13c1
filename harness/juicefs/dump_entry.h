// What a JSON dump says of one inode and of a volume's head, from their records: the same for whoever read these, from a map or over a network.
//
// A missing inode record, chunks that do not parse and the like go into the dump as juicefs puts them there, and are problems of the
// report. Source: JuiceFS 1.4, dump (KV engine).
#pragma once

#include "fakes/sim/planted_bugs.h"
#include "harness/juicefs/dump_text.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

/// The two ways in which juicefs makes a JSON dump. kWalk asks for inode after inode; kFast reads all keys once (`--fast`).
enum class DumpForm { kWalk, kFast };

struct DumpOptions {
  DumpForm form = DumpForm::kWalk;
  /// Without the tree of the trash.
  bool skip_trash = false;
  /// With SecretKey, SessionToken (and in a binary dump EncryptKey) instead of the word `removed`.
  bool keep_secrets = false;
  /// Another one: the dump of a subdirectory, which has no trash and no quotas of users and groups, and is always a walk.
  Inode root = kRootInode;
  /// Guards that are taken away, of a simulated dump; may be null.
  sim::PlantedBugs* bugs = nullptr;
};

struct DumpReport {
  uint64_t entry_count = 0;  // names in both trees; in a binary dump its edges
  uint64_t problem_count = 0;
  std::vector<std::string> problems;  // the first few

  void AddProblem(std::string sentence);
};

/// `records` has at least the keys of `inode` and the ACL rules. `dentry_type` is what the name says that it is; 0 for the trash's root of a
/// fast dump that has no record at all. Errors: kDataLoss for an attribute that does not parse, and where juicefs gives up, too: an ACL rule that is not there.
Result<DumpEntry> DumpEntryOf(const KeyValues& records, Inode inode, uint8_t dentry_type, DumpForm form, DumpReport* report,
                              sim::PlantedBugs* bugs = nullptr);

/// `records` has at least the setting, counters, sustained and deleted files, quotas and the change log. Errors: kNotFound without a setting,
/// kDataLoss for one that does not parse.
Result<DumpHead> DumpHeadOf(const KeyValues& records, const DumpOptions& options);

/// How keys of deleted files that are still open begin, of which a dump asks for all.
Bytes SustainedPrefix(sim::PlantedBugs* bugs);

/// Of the change log: entries of the last 10 s before its newest one, which is what a dump keeps. By timestamp.
std::vector<std::pair<int64_t, Bytes>> ChangelogTail(const KeyValues& records);

/// The directory at a path such as "a/b", names as bytes; slashes too many do no harm. Errors: kNotFound naming the part that is no directory.
Result<Inode> FindDirectory(const KeyValues& records, std::string_view path);

/// The first key of `kind` that can belong to `inode`, without what follows the inode: a prefix for scans.
Bytes InodeKeyPrefix(Inode inode, KeyKind kind);

}  // namespace kvjury::juicefs
