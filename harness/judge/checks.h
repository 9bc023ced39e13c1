// The checks, one function each. Every check counts what it looked at; a check that counted nothing proves nothing and says
// why. Each states below what it proves, what it does not, and which planted bugs only it convicts.
#pragma once

#include <string>
#include <vector>

#include "harness/judge/evidence.h"
#include "harness/judge/finding.h"
#include "proto/kvjury/drill.pb.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::judge {

/// COVER: the ranges that the tool holds for done tile the key space without hole or overlap, all at the manifest's one
/// timestamp, and every key visible at the cut lies inside the range of a file. Proves that nothing was left out by
/// planning; not that the files' content is right. Convicts: empty-tree-reads-as-complete, two-timestamps-one-backup,
/// last-region-empty-end-key, encoded-empty-boundary. Of a real tool only the latter: which ranges were answered it does not tell.
Checked CheckCover(const Evidence& evidence);

/// FILE: each file of the manifest exists with the recorded length, digests and counts. Proves that the stored objects are
/// those the manifest speaks of. Convicts: right-name-wrong-file.
Checked CheckFile(const Evidence& evidence);

/// MVCC: structure of the records in the files and on the target: each commit has its value and each value its commit,
/// commit > start, nothing newer than the cut in the files. Convicts: value-or-commit-family-missing.
Checked CheckMvcc(const Evidence& evidence);

/// DIFF: every pair visible at the cut on the source is visible now on the target with the same bytes, and the other way
/// round. Convicts: newer-tombstone-hides-restore.
Checked CheckDiff(const Evidence& evidence);

/// TREE: the model's view, the source's view at the cut and the target's view are the same, entry by entry and field by
/// field, in both directions. Proves the mount view; statfs is compared between source and target only.
Checked CheckTree(const Evidence& evidence);

/// INV: the invariants of a JuiceFS volume hold on the target, apart from those that the source broke at the cut already
/// (hazards). Convicts: one-key-of-a-pair.
Checked CheckInvariants(const Evidence& evidence);

/// OBJ: every block of every slice that the restored volume's records name is in the bucket with its size; no object lies under an id that
/// the volume will issue next, if it goes on using the bucket (in one that is only looked at such objects are the living source's, and counted
/// alone); no object was replaced by other bytes; and what a living source needs is still there. Objects that nothing names are legal.
/// Proves names and sizes, not bytes. Convicts: slice-ids-reissued, metadata-older-than-objects, two-masters-one-bucket.
Checked CheckObjects(const Evidence& evidence);

/// WRITE: sessions, new ones and such from before the restore, worked on the restored volume and damaged nothing: entries that no operation
/// named are what they were, all others are what the sessions declared; no inode number and no slice id was issued twice, by the lost future
/// either, or to something that was there; no invariant broke that held before. Proves nothing about operations that were not drawn.
/// Convicts: clients-keep-old-id-batches, consumers-see-time-go-back, repair-overwrites-new-delta, half-clone-left.
Checked CheckWrite(const Evidence& evidence);

/// GC: when GC's safe point moves to the present and everything is compacted, no visible pair changes; when the cleaners have run, with all
/// their retentions over, the entries outside the trash are what they were and all of their blocks are in the bucket.
/// Convicts: cleaner-deletes-live-blocks.
Checked CheckGc(const Evidence& evidence);

/// HIST: the cut is consistent: what was acknowledged before it committed at or below it, nothing above it is in the files,
/// transactions are in the files whole or not at all, and the model met no contradiction. Convicts: max-ts-not-pushed,
/// memory-lock-unseen.
Checked CheckHistory(const Evidence& evidence);

/// EXIT: what the tool says of itself against measured facts: success over nothing, wrong counts, failure without cause.
Checked CheckExit(const Evidence& evidence);

/// LIVE: the run ended within its bounds and every range of the target can be read. Convicts: split-keys-unencoded.
Checked CheckLive(const Evidence& evidence);

/// TSO: timestamps of the target exceed the cut and every restored commit. Convicts: target-clock-behind.
Checked CheckTso(const Evidence& evidence);

/// STATE: the target's region boundaries can be decoded by a transactional client.
Checked CheckState(const Evidence& evidence);

/// RATE: no phase of the tool moved bytes faster than the limit that it was asked to keep. Of drills alone: nobody asks a simulated tool.
/// A limit is one of each store, as br and TiKV understand it (a store limits what it uploads for one request, and all that it
/// downloads), so N stores may move N times as much, and the busiest store is judged. Its bytes over all of the phase's time are an
/// average: who exceeds the limit there exceeded it for sure; that it was kept in each second is not proved, nor is what a store moved
/// and nobody kept counted (a file that was uploaded twice). Counts the phases with a limit and enough bytes to tell: what one second
/// may move proves nothing, since TiKV's limiter is a bucket that begins with a tenth of a second's bytes and delays after a piece, for
/// each request anew. Beyond that second a quarter more than the limit is let pass, for pieces under way.
/// Source: TiKV's components/backup and components/sst_importer, the crate async-speed-limit. `judged` are the same rates with the
/// judgement filled in.
Checked CheckRates(const google::protobuf::RepeatedPtrField<record::DrillRate>& rates,
                   google::protobuf::RepeatedPtrField<record::DrillRate>* judged);

struct CheckInfo {
  const char* code;
  /// One sentence: what it proves.
  const char* proves;
  Checked (*run)(const Evidence&);
  /// Whether there is something to ask; null: always.
  bool (*asked)(const Evidence&) = nullptr;
};
/// All checks of evidence in the order in which they run.
const std::vector<CheckInfo>& AllChecks();

struct DrillCheckInfo {
  const char* code;
  /// One sentence: what it proves.
  const char* proves;
};
/// The checks that drills make besides (judge_drill.h).
const std::vector<DrillCheckInfo>& DrillChecks();

}  // namespace kvjury::judge
