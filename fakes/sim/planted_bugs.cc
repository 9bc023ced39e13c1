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
      {Bug::kInodeCounterRewound, "inode-counter-rewound", "a load puts the next inode under the counter's own name", "INV"},
      {Bug::kSkipTrashLowersNextId, "skip-trash-lowers-next-id",
       "after the load of a dump without the trash, the next ids are raised to those that the dump's head tells", "INV"},
      {Bug::kAclIdCollision, "acl-id-collision", "a binary load counts ACL ids from the largest one of all batches", "INV"},
      {Bug::kAclLeaksToNextNode, "acl-leaks-to-next-node", "a load starts each inode without the ACL of the one before", "TREE"},
      {Bug::kXattrDoubleEscaped, "xattr-double-escaped", "a dump escapes the value of an xattr once", "TREE"},
      {Bug::kNamesNotUtf8, "names-not-utf8", "a dump writes bytes of a name that are no text as %XX", "TREE"},
      {Bug::kAttributeFieldForgotten, "attribute-field-forgotten", "a dump holds the flags and the storage tier of an inode", "TREE"},
      {Bug::kQuotaLost, "quota-lost", "a dump holds the quotas of users and groups", "DIFF,INV"},
      {Bug::kUsageCountersZero, "usage-counters-zero", "a binary load puts the counters of used space and inodes", "DIFF,INV"},
      {Bug::kNlinkCountsHiddenLinks, "nlink-counts-hidden-links",
       "a load counts the links that it makes and not those that the dump tells of", "INV"},
      {Bug::kParentSetLost, "parent-set-lost", "a load puts the parents of an inode with several links", "INV"},
      {Bug::kSliceRefsLost, "slice-refs-lost", "a load counts how often a slice is used", "INV"},
      {Bug::kDumpBufferReused, "dump-buffer-reused", "a reader of a binary dump has a buffer of its own until its records are written", "TREE"},
      {Bug::kBatchLimitTruncates, "batch-limit-truncates",
       "a directory with more names than a dump reads ahead is read once more as a whole", "TREE"},
      {Bug::kKeyPrefixConfusion, "key-prefix-confusion", "a dump takes keys for open files by both letters of their kind", "INV,DIFF"},
      {Bug::kDanglingEdgeOrInode, "dangling-edge-or-inode", "a binary load puts inodes of every type", "INV,TREE"},
      {Bug::kDirectoryListingChanges, "directory-listing-changes", "a load gives each name of a large directory its own inode", "TREE"},
      {Bug::kSubdirLoadWrongRoot, "subdir-load-wrong-root", "the top of a loaded dump becomes the root, whatever its number was", "TREE"},
      {Bug::kSustainedFilesLeak, "sustained-files-leak",
       "a load leaves out open files that were deleted, since their sessions do not come along", "INV"},
      {Bug::kLockWithoutSession, "lock-without-session", "a restore leaves the records of sessions alone", "INV"},
      {Bug::kTrashDangling, "trash-dangling", "a load puts the record of an hour of the trash with what lies in it", "INV"},
      {Bug::kHalfCloneLeft, "half-clone-left", "a restore leaves the marks of half-made clones alone", "INV"},
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
