// Evidence: everything the judge looks at, as plain data. Whoever gathers it (a simulated run, a folder of files) fills in
// what it has; what is missing makes the checks that need it UNPROVEN, never silently right.
//
// Four accounts of one truth: the model (the writers' declared effects), the source read at the cut, the backup files alone,
// and the restored target. Keys are whole-cluster user keys; all comparisons go both ways.
// Not here: how evidence is gathered; the checks (checks.h).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "harness/juicefs/block_store.h"
#include "harness/judge/torn_pair.h"
#include "harness/juicefs/view.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::judge {

/// A range that the backup tool holds for done at its end, as user keys; an empty end is unbounded.
struct ClaimedRange {
  Bytes start;
  Bytes end;
  Timestamp end_ts;
  RegionId region;
};

/// One file of the manifest.
struct ManifestFile {
  std::string name;
  std::string column_family;
  Bytes start;
  Bytes end;
  Timestamp start_version;
  Timestamp end_version;
};

/// What the backup files say by themselves.
struct FileEvidence {
  Timestamp end_version;
  std::vector<ManifestFile> files;
  Pairs pairs;
  /// Results of the reader's rules: check is FILE, MVCC or COVER.
  std::vector<record::CheckResult> results;
  std::vector<record::Finding> findings;
};

/// What raw records the target holds, beside what is visible.
struct TargetRecords {
  /// Structure findings: commits without values, values without commits, commit at or before start.
  std::vector<record::Finding> findings;
  uint64_t records_checked = 0;
  /// The newest write record of each user key, tombstones and rollbacks included: tells hidden from missing.
  std::map<Bytes, Timestamp> newest_commit_ts;
  /// Region boundaries that a transactional client cannot decode, encoded.
  std::vector<Bytes> undecodable_boundaries;
  uint64_t boundaries_checked = 0;
};

/// A transaction as its writer understood it, settled by asking the store where the answer was lost.
struct DeclaredTransaction {
  std::string label;  // "w1/op6/txn#1"
  Timestamp start_ts;
  bool committed = false;
  Timestamp commit_ts;
  bool acknowledged = false;
  /// Virtual time at which the writer knew.
  Micros acknowledged_us = 0;
};

/// What the tool said of itself.
struct ToolClaim {
  bool backup_ran = false;
  bool restore_ran = false;
  bool success = false;
  std::string message;
  uint64_t files = 0;
  uint64_t keys = 0;
};

/// The work of a tool that writes the volume anew and names no timestamp: what it promises, and the source while it read.
struct Rewrite {
  RewriteForm form;
  /// The first and the last timestamp at which it read.
  Timestamp begin;
  Timestamp end;
  Pairs at_begin;
  std::vector<KeyChange> changes;
  uint64_t entries_dumped = 0;
  uint64_t entries_loaded = 0;
  /// The target against the moments of the window (SettleRewrite).
  std::optional<WindowJudgement> window;
};

/// The bucket that the restored volume is used with.
struct BucketEvidence {
  juicefs::BlockLayout layout;
  /// Names and sizes, once the restored volume was ready for use and before anybody used it.
  std::map<std::string, uint64_t> objects;
  /// The restored volume goes on writing into it; otherwise it was looked at only.
  bool in_use = false;
  /// Objects that were replaced by other bytes while the restored volume was in use.
  std::vector<std::string> replaced;
  /// If the source lives on with this bucket: its records and the objects when all was over.
  std::optional<juicefs::VolumeImage> living_source;
  std::map<std::string, uint64_t> objects_at_end;
};

/// An inode number or slice id that a session gave to something new.
struct IssuedId {
  bool is_slice = false;
  uint64_t id = 0;
  std::string session;  // "w1"
  /// On the source, before the restored volume was used.
  bool at_source = false;
};

/// What was done with the restored volume after everything else had been looked at, and what came of it.
struct AfterlifeEvidence {
  /// The bucket belongs to a living source, so that nobody wrote.
  bool only_looked = false;
  /// The restored volume when it was ready for use: counters raised, nobody in it.
  juicefs::VolumeImage begun;
  /// When all sessions, new and old, had ended.
  juicefs::VolumeImage worked;
  /// `begun` and the declared effects of the sessions' transactions.
  juicefs::View model_view;
  std::vector<std::string> model_anomalies;
  /// Paths that operations named.
  std::set<Bytes> named;
  uint64_t operations = 0;
  uint64_t operations_failed = 0;
  /// Usage was counted before the first session, and every session flushed what it changed: counters and tree must agree in `worked`.
  bool usage_is_exact = false;
  std::vector<IssuedId> issued;
  /// All pairs of the target, before and after GC's safe point moved to the present and everything was compacted.
  Pairs before_gc;
  Pairs after_gc;
  /// When the cleaners were through, with the objects that were left.
  juicefs::VolumeImage cleaned;
  std::map<std::string, uint64_t> objects_left;
  /// Timestamps of the target in the order in which it gave them, changes of PD's leader between them.
  std::vector<Timestamp> timestamps;
  /// Steps that did not come to their end, in words.
  std::vector<std::string> troubles;
};

struct Evidence {
  std::string volume;
  Timestamp cut;
  /// Virtual time at which the tool asked for the cut.
  Micros cut_us = 0;
  /// A fault or trigger took effect: a loud failure is honest.
  bool trouble = false;
  ToolClaim claim;
  /// Real clients wrote and a real tool was asked: nobody declared effects, so there is no model, no history, no list of answered ranges.
  bool by_real_programs = false;

  /// Of a tool that writes the volume anew; then `cut` and `source` are the moment of its window that its target shows, or shows best.
  std::optional<Rewrite> rewrite;

  /// The truth at the cut, from the source's oracle memory.
  Pairs source;
  std::vector<ClaimedRange> claimed_ranges;
  std::optional<FileEvidence> files;

  /// The target read through the ordinary client at a fresh timestamp.
  std::optional<Pairs> target;
  /// Ranges that the client could not read within its bounds, with the reason.
  std::vector<std::string> unreadable_ranges;
  std::optional<TargetRecords> target_records;
  /// A timestamp the target's oracle gave after the restore, and after a leader change.
  std::vector<Timestamp> target_timestamps;

  std::vector<DeclaredTransaction> transactions;
  /// Transactions of which nobody can say whether they committed: the label and why the store could not settle it.
  std::vector<std::string> unsettled;
  std::optional<juicefs::View> model_view;
  /// Effects that contradicted the model's state.
  std::vector<std::string> model_anomalies;

  /// The volume's records on both sides, decoded: made from `source` and `target` by DecodeImages.
  std::optional<juicefs::VolumeImage> source_image;
  std::optional<juicefs::VolumeImage> target_image;

  std::optional<BucketEvidence> bucket;
  /// The case asked for an afterlife; without a restored volume there is none.
  bool afterlife_asked = false;
  std::optional<AfterlifeEvidence> afterlife;

  /// The run: empty when it ended by itself, else what did not end.
  std::string hang;
};

/// The records of one volume, decoded.
juicefs::VolumeImage ImageOf(const Pairs& pairs, const std::string& volume);

/// Fills source_image and target_image from the pairs of the volume.
void DecodeImages(Evidence* evidence);

/// Finds the moment of the window that the target shows, and makes it the cut; the window's beginning if nothing was restored.
void SettleRewrite(Evidence* evidence);

}  // namespace kvjury::judge
