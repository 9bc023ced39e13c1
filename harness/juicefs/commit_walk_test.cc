// A walk over commits sees what only one commit shows, names its first commit, and counts every moment.
#include "harness/juicefs/commit_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/juicefs/test_patient.h"

namespace kvjury::juicefs {
namespace {

CommittedChange Put(uint64_t commit_ts, const Key& key, const RecordValue& value) {
  return {Timestamp(commit_ts), EncodeKey(key), EncodeValue(key, value)};
}
CommittedChange Remove(uint64_t commit_ts, const Key& key) { return {Timestamp(commit_ts), EncodeKey(key), std::nullopt}; }

Attr NewFile() {
  Attr attr;
  attr.type = kTypeFile;
  attr.nlink = 1;
  attr.parent = kRootInode;
  return attr;
}

// Inodes of `rich` end below these.
const Inode kNew(500);
const Inode kOther(501);

TEST(CommitWalk, AHealthyHistoryIsLookedAtBehindEachCommitAndOnce) {
  const std::vector<CommittedChange> changes = {Put(11, AttrKey(kNew), NewFile()), Put(11, DentryKey(kRootInode, "new"), Dentry{kTypeFile, kNew}),
                                                Remove(12, AttrKey(kNew)), Remove(12, DentryKey(kRootInode, "new"))};
  uint64_t told = 0;
  CommitWalkOptions options;
  options.on_commit = [&told](uint64_t commits) { told = commits; };
  const CommitWalk walk = WalkCommits(RealVolume("rich"), Timestamp(10), changes, options);
  EXPECT_EQ(walk.commits, 3u);
  EXPECT_EQ(told, 3u);
  EXPECT_EQ(walk.changes, 4u);
  EXPECT_EQ(walk.first, Timestamp(10));
  EXPECT_EQ(walk.last, Timestamp(12));
  EXPECT_EQ(walk.pairs_max, RealVolume("rich").size() + 2);
  EXPECT_TRUE(walk.violations.empty());
  EXPECT_TRUE(walk.hazards.empty());
  ASSERT_EQ(walk.counted.size(), 15u);
  EXPECT_EQ(walk.counted[1].first, kInvariantDentries);
  EXPECT_EQ(walk.counted[1].second, 3 * CheckInvariants(BuildImage(RealVolume("rich")))[1].counted + 1);
}

TEST(CommitWalk, WhatOnlyOneCommitShowsIsFoundThereThoughTheEndIsHealthy) {
  // The entry comes a commit before its inode: a create that was torn into two transactions.
  const std::vector<CommittedChange> torn = {Put(11, DentryKey(kRootInode, "torn"), Dentry{kTypeFile, kNew}), Put(12, AttrKey(kNew), NewFile()),
                                             Put(13, DentryKey(kRootInode, "late"), Dentry{kTypeFile, kOther}),
                                             Put(14, CounterKey("usedSpace"), int64_t{7}), Put(15, AttrKey(kOther), NewFile())};
  const CommitWalk walk = WalkCommits(RealVolume("rich"), Timestamp(10), torn, {});
  EXPECT_EQ(walk.commits, 6u);
  ASSERT_EQ(walk.violations.size(), 2u);
  EXPECT_EQ(walk.violations[0].check, kInvariantDentries);
  EXPECT_EQ(walk.violations[0].issue.key, EncodeKey(DentryKey(kRootInode, "torn")));
  EXPECT_EQ(walk.violations[0].path, ".");
  EXPECT_EQ(walk.violations[0].first, Timestamp(11));
  EXPECT_EQ(walk.violations[0].last, Timestamp(11));
  EXPECT_EQ(walk.violations[0].commits, 1u);
  EXPECT_EQ(walk.violations[1].first, Timestamp(13));
  EXPECT_EQ(walk.violations[1].last, Timestamp(14));
  EXPECT_EQ(walk.violations[1].commits, 2u);
}

TEST(CommitWalk, BeforeTheFirstPairAndBehindTheLastThereIsNoMoment) {
  const std::vector<CommittedChange> changes = {Put(11, CounterKey("nextInode"), int64_t{2}), Remove(12, CounterKey("nextInode"))};
  const CommitWalk walk = WalkCommits({}, Timestamp(0), changes, {});
  EXPECT_EQ(walk.commits, 1u);
  EXPECT_EQ(walk.first, Timestamp(11));
  EXPECT_FALSE(walk.violations.empty());
  EXPECT_EQ(WalkCommits({}, Timestamp(0), {}, {}).commits, 0u);
}

TEST(CommitWalk, HazardsStandApart) {
  Attr directory;
  directory.type = kTypeDirectory;
  directory.nlink = 2;
  directory.parent = kRootInode;
  const std::vector<CommittedChange> clone = {Put(11, AttrKey(kNew), directory), Put(11, DetachedKey(kNew), int64_t{1}),
                                              Put(12, CounterKey("usedSpace"), int64_t{7}), Remove(13, AttrKey(kNew)), Remove(13, DetachedKey(kNew))};
  const CommitWalk walk = WalkCommits(RealVolume("rich"), Timestamp(10), clone, {});
  EXPECT_TRUE(walk.violations.empty());
  ASSERT_EQ(walk.hazards.size(), 1u);
  EXPECT_EQ(walk.hazards[0].check, kInvariantDetached);
  EXPECT_EQ(walk.hazards[0].commits, 2u);
}

}  // namespace
}  // namespace kvjury::juicefs
