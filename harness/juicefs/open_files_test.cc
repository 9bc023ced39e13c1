// Handles, files that live on while they are open, and the blocks of what is written and deleted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/test_mount.h"
#include "harness/juicefs/written_bytes.h"

namespace kvjury::juicefs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const Inode kFirst(2);

std::string Read(const std::string& from, uint32_t length = 100'000) { return "read { " + from + " length: " + std::to_string(length) + " }"; }

TEST(WrittenBytesTest, AnyPartIsThatOfTheWhole) {
  const Bytes whole = WrittenBytes(77, 0, 100);
  for (uint64_t begin = 0; begin < 100; begin += 7) {
    EXPECT_EQ(WrittenBytes(77, begin, 100 - begin), whole.substr(begin));
  }
  EXPECT_NE(WrittenBytes(78, 0, 100), whole);
  EXPECT_EQ(SeedOfWrite("w1/op6", 5), 5U);
  EXPECT_NE(SeedOfWrite("w1/op6", 0), SeedOfWrite("w1/op7", 0));
}

TEST(OpenFilesTest, AFileUnlinkedWhileOpenLivesOnUntilTheLastClose) {
  TestMount m({.trash_days = 0, .blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' mode: 420 }"), 0);
  ASSERT_EQ(m.Errno("write { path: 'f' length: 5000 seed: 9 }"), 0);
  ASSERT_EQ(m.Errno("setxattr { path: 'f' name: 'user.a' value: 'v' }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 1 flags: 2 }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 2 }"), 0);
  ASSERT_EQ(m.Errno("unlink { path: 'f' }"), 0);
  EXPECT_EQ(m.HexOf(SustainedKey(1, kFirst)), "01");
  EXPECT_EQ(m.AttrOf(kFirst).nlink, 0U);
  EXPECT_EQ(m.HexOf(XattrKey(kFirst, "user.a")), "absent");
  EXPECT_EQ(m.HexOf(DeletedFileKey(kFirst, 5000)), "absent");
  EXPECT_EQ(m.Errno("lookup { path: 'f' }"), ENOENT);
  EXPECT_EQ(m.Do(Read("handle: 2")).data, WrittenBytes(9, 0, 5000));
  EXPECT_EQ(m.Errno("write { handle: 1 offset: 5000 length: 1000 seed: 10 }"), 0);
  EXPECT_EQ(m.Do(Read("handle: 2")).data, WrittenBytes(9, 0, 5000) + WrittenBytes(10, 0, 1000));
  EXPECT_THAT(m.Violations(), IsEmpty());
  EXPECT_EQ(m.Errno("close { handle: 2 }"), 0);
  EXPECT_EQ(m.HexOf(SustainedKey(1, kFirst)), "01") << "open once more";
  EXPECT_THAT(m.BlockNames(), SizeIs(3));

  const OperationResult last = m.Do("close { handle: 1 }");
  EXPECT_EQ(last.error, 0);
  ASSERT_FALSE(last.transactions.empty());
  EXPECT_EQ(last.transactions[0].label, "w1/op12/txn#1");
  for (const auto& [key, value] : m.Pairs()) {
    const Result<Key> parsed = ParseKey(key);
    ASSERT_TRUE(parsed.ok());
    EXPECT_NE(parsed->inode, kFirst) << DescribeKey(*parsed) << " is left";
    EXPECT_NE(parsed->kind, KeyKind::kSliceReferences);
    EXPECT_NE(parsed->kind, KeyKind::kSustained);
  }
  EXPECT_THAT(m.BlockNames(), IsEmpty());
  m.Stop();
  EXPECT_EQ(m.HexOf(CounterKey("usedSpace")), "absent") << "what was added went again, in one flush";
}

TEST(OpenFilesTest, AFileThatARenameReplacesLivesOnToo) {
  TestMount m({.trash_days = 0});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("create { path: 'g' }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 7 flags: 1 }"), 0);
  ASSERT_EQ(m.Errno("rename { from: 'g' to: 'f' }"), 0);
  EXPECT_EQ(m.HexOf(SustainedKey(1, kFirst)), "01");
  EXPECT_EQ(m.Errno("write { handle: 7 length: 100 }"), 0);
  EXPECT_THAT(m.Violations(), IsEmpty());
  m.Stop();  // an unmount closes what is open
  EXPECT_EQ(m.HexOf(SustainedKey(1, kFirst)), "absent");
  EXPECT_EQ(m.HexOf(AttrKey(kFirst)), "absent");
}

TEST(OpenFilesTest, AnotherClientKnowsNothingOfIt) {
  TestMount m({.trash_days = 0, .writers = 2, .blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("write { path: 'f' length: 5000 }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 1 flags: 2 }"), 0);
  ASSERT_EQ(m.Errno("unlink { path: 'f' }", 2), 0);
  EXPECT_EQ(m.HexOf(AttrKey(kFirst)), "absent");
  EXPECT_THAT(m.BlockNames(), IsEmpty());
  EXPECT_EQ(m.Errno("write { handle: 1 length: 10 }"), EBADF);
  EXPECT_EQ(m.Errno(Read("handle: 1")), EBADF);
  EXPECT_EQ(m.Errno("close { handle: 1 }"), 0);
}

TEST(OpenFilesTest, InTheTrashAFileIsNoSustainedOne) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 1 flags: 2 }"), 0);
  ASSERT_EQ(m.Errno("unlink { path: 'f' }"), 0);
  EXPECT_EQ(m.HexOf(SustainedKey(1, kFirst)), "absent");
  EXPECT_EQ(m.Errno("truncate { handle: 1 length: 10 }"), 0) << "open already";
  EXPECT_EQ(m.AttrOf(kFirst).nlink, 1U);
}

TEST(OpenFilesTest, TruncateAndAppendOnOpen) {
  TestMount m({.trash_days = 0, .blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 1 flags: 1025 }"), 0);
  ASSERT_EQ(m.Errno("write { handle: 1 length: 10 seed: 1 }"), 0);
  ASSERT_EQ(m.Errno("write { handle: 1 length: 20 seed: 2 }"), 0);
  EXPECT_EQ(m.Do(Read("path: 'f'")).data, WrittenBytes(1, 0, 10) + WrittenBytes(2, 0, 20));
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 2 flags: 514 }"), 0);
  EXPECT_EQ(m.AttrOf(kFirst).length, 0U);
  EXPECT_EQ(m.Do(Read("handle: 2")).data, "");
}

TEST(OpenFilesTest, OddCallsGetTheErrnoOfPosix) {
  TestMount m({});
  ASSERT_EQ(m.Errno("mkdir { path: 'd' }"), 0);
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  EXPECT_EQ(m.Errno("open { path: 'none' handle: 1 }"), ENOENT);
  EXPECT_EQ(m.Errno("open { path: 'd' handle: 1 flags: 2 }"), EISDIR);
  EXPECT_EQ(m.Errno("open { path: 'f' handle: 0 }"), EINVAL);
  EXPECT_EQ(m.Errno("open { path: 'f' handle: 1 flags: 512 }"), EACCES);
  EXPECT_EQ(m.Errno("close { handle: 1 }"), EBADF);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 1 }"), 0);
  EXPECT_EQ(m.Errno("open { path: 'f' handle: 1 }"), EINVAL) << "taken";
  EXPECT_EQ(m.Errno("write { handle: 1 length: 1 }"), EBADF);
  EXPECT_EQ(m.Errno("truncate { handle: 1 length: 1 }"), EINVAL);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 2 flags: 1 }"), 0);
  EXPECT_EQ(m.Errno(Read("handle: 2")), EBADF);
  EXPECT_EQ(m.Errno("write { handle: 3 length: 1 }"), EBADF);
}

TEST(BlocksTest, WhatCannotBeUploadedIsNotCommitted) {
  TestMount m({.blocks = true, .failing_object_step = "w1/op2/slice1/block1"});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  EXPECT_EQ(m.Errno("write { path: 'f' length: 10000 }"), EIO);
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)), "absent");
  EXPECT_THAT(m.BlockNames(), ElementsAre("vol/chunks/0/0/1_0_4096")) << "leaked, which is legal";
  EXPECT_EQ(m.Errno("write { path: 'f' length: 10000 seed: 4 }"), 0);
  EXPECT_EQ(m.Do(Read("path: 'f'")).data, WrittenBytes(4, 0, 10000));
}

TEST(BlocksTest, AMissingBlockIsAnError) {
  TestMount m({.blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("write { path: 'f' length: 10000 }"), 0);
  ASSERT_TRUE(m.bucket().Delete("vol/chunks/0/0/1_1_4096").ok());
  EXPECT_EQ(m.Errno(Read("path: 'f'")), EIO);
  EXPECT_EQ(m.Do(Read("path: 'f'", 4096)).error, 0) << "the first block is there";
}

}  // namespace
}  // namespace kvjury::juicefs
