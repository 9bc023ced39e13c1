#include "fakes/sim/planted_bugs.h"

namespace kvjury::sim {

const std::array<BugInfo, kBugCount>& AllBugs() {
  static constexpr std::array<BugInfo, kBugCount> kBugs = {{
      {Bug::kEmptyTreeReadsAsComplete, "empty-tree-reads-as-complete",
       "the backup client's gap calculation says that an empty tree of answers has gaps", "COVER,EXIT"},
      {Bug::kMaxTsNotPushed, "max-ts-not-pushed",
       "the store raises max_ts to the backup timestamp before it takes the snapshot", "HIST,DIFF"},
      {Bug::kMemoryLockUnseen, "memory-lock-unseen",
       "the store looks at the in-memory locks of async commit and 1PC before it takes the snapshot", "HIST"},
      {Bug::kOneKeyOfAPair, "one-key-of-a-pair", "the backup scan stops at a lock at or below its timestamp", "INV,HIST"},
      {Bug::kTwoTimestampsOneBackup, "two-timestamps-one-backup", "a retried range is read at the first timestamp",
       "COVER,HIST"},
      {Bug::kLastRegionEmptyEndKey, "last-region-empty-end-key",
       "an empty end key means no bound and is not compared as a key", "COVER,DIFF"},
      {Bug::kEncodedEmptyBoundary, "encoded-empty-boundary",
       "a region that ends at the encoded empty key is not taken for the whole key space", "COVER,EXIT,DIFF"},
      {Bug::kValueOrCommitFamilyMissing, "value-or-commit-family-missing",
       "both column families of a range are restored", "MVCC"},
      {Bug::kRightNameWrongFile, "right-name-wrong-file", "the restore compares each file's digest with the manifest",
       "FILE,DIFF"},
      {Bug::kNewerTombstoneHidesRestore, "newer-tombstone-hides-restore",
       "the restore clears a target range that is not empty", "DIFF"},
      {Bug::kTargetClockBehind, "target-clock-behind",
       "the restore moves the target's timestamps beyond every restored one", "TSO,DIFF"},
      {Bug::kSplitKeysUnencoded, "split-keys-unencoded", "split keys are encoded before they become region boundaries",
       "LIVE,STATE"},
      {Bug::kSliceIdsReissued, "slice-ids-reissued",
       "the restored volume's id counters are raised above everything that was ever issued, before its first client", "OBJ,WRITE"},
      {Bug::kClientsKeepOldIdBatches, "clients-keep-old-id-batches",
       "the counters are raised above the batches that clients from before the restore hold, not only above what is in use", "INV,WRITE"},
      {Bug::kMetadataOlderThanObjects, "metadata-older-than-objects",
       "objects that were deleted since the cut are brought back before the restored volume is used", "OBJ"},
      {Bug::kCleanerDeletesLiveBlocks, "cleaner-deletes-live-blocks",
       "the cleaner deletes nothing when the list of slices broke off with an error", "GC,OBJ"},
      {Bug::kTwoMastersOneBucket, "two-masters-one-bucket",
       "a restored volume that shares the bucket of a living one is only looked at", "STATE,OBJ"},
      {Bug::kRepairOverwritesNewDelta, "repair-overwrites-new-delta",
       "usage is counted anew before the first client, not while clients work", "INV"},
      {Bug::kConsumersSeeTimeGoBack, "consumers-see-time-go-back",
       "a client that lived through the restore forgets what it remembers of the lost future", "WRITE"},
  }};
  return kBugs;
}

Result<Bug> FindBug(std::string_view name) {
  std::string known;
  for (const BugInfo& info : AllBugs()) {
    if (info.name == name) {
      return info.bug;
    }
    known += known.empty() ? "" : ", ";
    known += info.name;
  }
  return Status::InvalidArgument("unknown planted bug \"" + std::string(name) + "\"; known are: " + known);
}

}  // namespace kvjury::sim
