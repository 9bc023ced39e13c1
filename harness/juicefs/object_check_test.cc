// Objects against records: fsck's numbers and rules, and what lies beyond them.
#include "harness/juicefs/object_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/juicefs/block_name.h"
#include "harness/juicefs/test_patient.h"

namespace kvjury::juicefs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A volume of its own: blocks of 4 KiB, a trash, and two files.
VolumeImage SmallVolume() {
  VolumeImage image;
  image.setting = Setting();
  image.setting->format.name = "vol";
  image.setting->format.block_size_kib = 4;
  image.setting->format.compression = "none";
  image.setting->format.trash_days = 1;
  image.counters["nextChunk"] = 4'097;
  Attr root;
  root.type = kTypeDirectory;
  root.nlink = 2;
  image.inodes[kRootInode] = root;
  Attr file;
  file.type = kTypeFile;
  file.nlink = 1;
  file.length = 10'000;
  file.parent = kRootInode;
  image.inodes[Inode(2)] = file;
  image.inodes[Inode(3)] = file;
  image.dentries[kRootInode] = {{"a", {kTypeFile, Inode(2)}}, {"b", {kTypeFile, Inode(3)}}};
  // The second record reads the same slice again; a hole needs nothing.
  image.chunks[Inode(2)][0] = {{0, 7, 10'000, 0, 10'000}, {0, 7, 10'000, 100, 50}, {5, 0, 0, 0, 9}};
  image.chunks[Inode(3)][1] = {{0, 1'002'003, 4'096, 0, 4'096}};
  image.counters["nextChunk"] = 1'002'004;
  return image;
}

std::map<std::string, uint64_t> AllObjects() {
  return {{"0/0/7_0_4096", 4'096}, {"0/0/7_1_4096", 4'096}, {"0/0/7_2_1808", 1'808}, {"1/1002/1002003_0_4096", 4'096}};
}

TEST(ObjectCheck, CountsAsFsckDoesEachRecordOfASliceAndEachBlockOnce) {
  const ObjectCheck check = CheckObjects(SmallVolume(), AllObjects());
  EXPECT_EQ(check.blocks_found, 4u);
  EXPECT_EQ(check.block_bytes_found, 14'096u);
  EXPECT_EQ(check.slices_used, 3u);
  EXPECT_EQ(check.slice_bytes_used, 24'096u);
  EXPECT_EQ(check.blocks_checked, 7u);
  EXPECT_THAT(check.lost, IsEmpty());
  EXPECT_THAT(check.leaked, IsEmpty());
  EXPECT_THAT(check.future, IsEmpty());
}

TEST(ObjectCheck, ALostBlockIsNamedWithItsFileOnceForEachRecordThatNeedsIt) {
  std::map<std::string, uint64_t> objects = AllObjects();
  objects.erase("0/0/7_2_1808");
  objects.erase("1/1002/1002003_0_4096");
  const ObjectCheck check = CheckObjects(SmallVolume(), objects);
  ASSERT_EQ(check.lost.size(), 3u);
  EXPECT_EQ(check.lost[0].object, "0/0/7_2_1808");
  EXPECT_EQ(check.lost[0].path, "/a");
  EXPECT_EQ(check.lost[1].object, "0/0/7_2_1808");
  EXPECT_EQ(check.lost[2].object, "1/1002/1002003_0_4096");
  EXPECT_EQ(check.lost[2].inode, Inode(3));
  EXPECT_EQ(check.bytes_lost, 1'808u * 2 + 4'096u);
  EXPECT_EQ(check.broken_files, 2u);
}

TEST(ObjectCheck, FilesThatWaitForDeletionAreSkippedAndDelayedSlicesNeededWhileThereIsATrash) {
  VolumeImage image = SmallVolume();
  image.inodes.erase(Inode(2));
  image.dentries[kRootInode].erase("a");
  image.deleted_files[{Inode(2), 10'000}] = 1;
  image.delayed_slices[{5, 9}] = {{8, 100}};
  const ObjectCheck check = CheckObjects(image, AllObjects());
  EXPECT_EQ(check.files_skipped, 1u);
  EXPECT_EQ(check.slices_skipped, 2u);
  EXPECT_EQ(check.slices_used, 2u);
  ASSERT_EQ(check.lost.size(), 1u);
  EXPECT_EQ(check.lost[0].object, "0/0/8_0_100");
  EXPECT_EQ(check.lost[0].path, "/") << "fsck has delayed slices under the root";
  EXPECT_THAT(check.leaked, IsEmpty()) << "blocks of a skipped file are not leaked";
  image.setting->format.trash_days = 0;
  EXPECT_THAT(CheckObjects(image, AllObjects()).lost, IsEmpty());
}

TEST(ObjectCheck, SurplusObjectsAreLeakedOrOfTheFutureAndOthersAreNoBlocks) {
  std::map<std::string, uint64_t> objects = AllObjects();
  objects["0/0/9_0_1"] = 1;
  objects["1/1002/1002004_0_1"] = 1;
  objects["stray"] = 5;
  const ObjectCheck check = CheckObjects(SmallVolume(), objects);
  EXPECT_THAT(check.leaked, ElementsAre("0/0/9_0_1"));
  EXPECT_THAT(check.future, ElementsAre("1/1002/1002004_0_1"));
  EXPECT_EQ(check.blocks_found, 6u);
  // The blocks of a slice that waits for its deletion are nobody's leak.
  VolumeImage image = SmallVolume();
  image.slice_references[{9, 1}] = -1;
  EXPECT_THAT(CheckObjects(image, objects).leaked, IsEmpty());
}

TEST(ObjectCheck, SizesCountWhereBlocksAreStoredAsTheyAre) {
  std::map<std::string, uint64_t> objects = AllObjects();
  objects["0/0/7_0_4096"] = 100;
  VolumeImage image = SmallVolume();
  const ObjectCheck check = CheckObjects(image, objects);
  ASSERT_EQ(check.wrong_sizes.size(), 1u);
  EXPECT_EQ(check.wrong_sizes[0].bytes, 100u);
  EXPECT_EQ(check.wrong_sizes[0].expected_bytes, 4'096u);
  image.setting->format.compression = "zstd";
  EXPECT_THAT(CheckObjects(image, objects).wrong_sizes, IsEmpty());
}

TEST(ObjectCheck, NamesFollowTheSettingsOfTheVolume) {
  VolumeImage image = SmallVolume();
  EXPECT_EQ(BlockPrefix(image), "vol/chunks/");
  EXPECT_EQ(BlockName(image.setting->format.hash_prefix, 1'002'003, 5, 77), "1/1002/1002003_5_77");
  image.setting->format.hash_prefix = true;
  EXPECT_EQ(BlockName(image.setting->format.hash_prefix, 1'002'003, 5, 77), "13/1/1002003_5_77");
}

TEST(ObjectCheck, OfARecordedVolumeEachBlockIsLookedFor) {
  const VolumeImage image = BuildImage(RealVolume("busy"));
  const ObjectCheck check = CheckObjects(image, {});
  EXPECT_GT(check.slices_used, 2'000u);
  EXPECT_EQ(check.lost.size(), check.blocks_checked);
  EXPECT_EQ(check.blocks_checked, check.slices_used) << "each file is smaller than a block";
}

}  // namespace
}  // namespace kvjury::juicefs
