// fallocate, copy_file_range, clone, compaction and rmr: golden records, what dies in between, and the errno of odd calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/test_mount.h"
#include "harness/juicefs/written_bytes.h"

namespace kvjury::juicefs {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

const Inode kFirst(2);
const Inode kSecond(3);

std::string Digits(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

std::string WriteText(const std::string& path, uint64_t offset, uint64_t length, uint64_t seed = 0) {
  return "write { path: '" + path + "' offset: " + std::to_string(offset) + " length: " + std::to_string(length) +
         " seed: " + std::to_string(seed) + " }";
}

/// Keys of one kind, decoded.
std::vector<Key> KeysOf(TestMount* m, KeyKind kind) {
  std::vector<Key> keys;
  for (const auto& [bytes, value] : m->Pairs()) {
    const Result<Key> key = ParseKey(bytes);
    if (key.ok() && key->kind == kind) {
      keys.push_back(*key);
    }
  }
  return keys;
}

TEST(FallocateTest, HolesAndZerosAreRecordsBelowTheOldLength) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 0, 10000)), 0);
  const std::string written = m.HexOf(ChunkKey(kFirst, 0));
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 3 offset: 100 length: 1000 }"), 0);
  const std::string hole = Digits("00000064 0000000000000000 00000000 00000000 000003e8");
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)), written + hole);
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 16 offset: 9000 length: 4000 }"), 0);
  const std::string zeros = Digits("00002328 0000000000000000 00000000 00000000 000003e8");
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)), written + hole + zeros);
  EXPECT_EQ(m.AttrOf(kFirst).length, 13000U);
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 1 offset: 50000 length: 4000 }"), 0);
  EXPECT_EQ(m.AttrOf(kFirst).length, 13000U) << "keep size";
  EXPECT_EQ(m.Errno("fallocate { path: 'f' offset: 50000 length: 4000 }"), 0);
  EXPECT_EQ(m.AttrOf(kFirst).length, 54000U);
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)), written + hole + zeros) << "plain allocation writes no record";
  m.Stop();
  EXPECT_EQ(m.HexOf(CounterKey("usedSpace")), ToHex(EncodeInt64Le(57344)));
}

TEST(FallocateTest, OddModesGetTheErrnoOfAMount) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("mkdir { path: 'd' }"), 0);
  ASSERT_EQ(m.Errno("open { path: 'f' handle: 1 }"), 0);
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 8 length: 4096 }"), EOPNOTSUPP) << "collapse";
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 32 length: 4096 }"), EOPNOTSUPP) << "insert";
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 9 length: 4096 }"), EINVAL) << "collapse with another";
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 2 length: 4096 }"), EOPNOTSUPP) << "punch a hole and grow";
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 19 length: 4096 }"), EOPNOTSUPP) << "hole and zeros";
  EXPECT_EQ(m.Errno("fallocate { path: 'f' mode: 64 length: 4096 }"), EOPNOTSUPP);
  EXPECT_EQ(m.Errno("fallocate { path: 'f' }"), EINVAL);
  EXPECT_EQ(m.Errno("fallocate { path: 'f' offset: 1 length: 144115188075855872 }"), EFBIG);
  EXPECT_EQ(m.Errno("fallocate { path: 'none' length: 1 }"), ENOENT);
  EXPECT_EQ(m.Errno("fallocate { path: 'd' length: 1 }"), EISDIR);
  EXPECT_EQ(m.Errno("fallocate { handle: 1 length: 1 }"), EBADF) << "read-only";
}

TEST(CopyFileRangeTest, CopiesPiecesAndCountsReferences) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 0, 8192)), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 4096, 8192)), 0);
  ASSERT_EQ(m.Errno("truncate { path: 'f' length: 5000 }"), 0);
  ASSERT_EQ(m.Errno("truncate { path: 'f' length: 209715200 }"), 0);
  ASSERT_EQ(m.Errno("truncate { path: 'f' length: 10000 }"), 0);
  ASSERT_EQ(m.Errno("fallocate { path: 'f' mode: 3 offset: 100 length: 1000 }"), 0);
  ASSERT_EQ(m.Errno("create { path: 'g' }"), 0);
  const OperationResult copy = m.Do("copy_file_range { from: 'f' to: 'g' length: 20000 }");
  EXPECT_EQ(copy.error, 0);
  EXPECT_EQ(copy.copied_bytes, 10000U);
  EXPECT_EQ(m.HexOf(ChunkKey(kSecond, 0)), Digits("00000000 0000000000000001 00002000 00000000 00000064"
                                                  "00000064 0000000000000000 00000000 00000000 000003e8"
                                                  "0000044c 0000000000000001 00002000 0000044c 00000bb4"
                                                  "00001000 0000000000000002 00002000 00000000 00000388"
                                                  "00001388 0000000000000000 00000000 00000000 00001388"));
  EXPECT_EQ(m.HexOf(SliceReferencesKey(1, 8192)), "0200000000000000");
  EXPECT_EQ(m.HexOf(SliceReferencesKey(2, 8192)), "0100000000000000");
  EXPECT_EQ(m.AttrOf(kSecond).length, 10000U);
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(CopyFileRangeTest, APieceIsCutAtTheEndOfAChunk) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 0, 8192)), 0);
  ASSERT_EQ(m.Errno("copy_file_range { from: 'f' to: 'f' to_offset: 67104864 length: 8192 }"), 0);
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)).substr(48), Digits("03fff060 0000000000000001 00002000 00000000 00000fa0"));
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 1)), Digits("00000000 0000000000000001 00002000 00000fa0 00001060"));
  EXPECT_EQ(m.HexOf(SliceReferencesKey(1, 8192)), "0200000000000000");
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(CopyFileRangeTest, OddCalls) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("mkdir { path: 'd' }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 0, 8192)), 0);
  EXPECT_EQ(m.Errno("copy_file_range { from: 'f' to: 'f' to_offset: 4096 length: 8192 }"), EINVAL) << "overlap";
  EXPECT_EQ(m.Errno("copy_file_range { from: 'f' to: 'none' length: 1 }"), ENOENT);
  EXPECT_EQ(m.Errno("copy_file_range { from: 'd' to: 'f' length: 1 }"), EISDIR);
  const OperationResult behind = m.Do("copy_file_range { from: 'f' from_offset: 8192 to: 'f' length: 10 }");
  EXPECT_EQ(behind.error, 0);
  EXPECT_EQ(behind.copied_bytes, 0U);
  EXPECT_THAT(behind.transactions, IsEmpty());
}

TEST(CompactionTest, AReadOfSixRecordsMakesOneAndTheTrashKeepsTheOthers) {
  TestMount m({.blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_EQ(m.Errno(WriteText("f", i * 4096, 8192)), 0);
  }
  const OperationResult read = m.Do("read { path: 'f' length: 100000 }");
  EXPECT_EQ(read.extents.at(0).size(), 6U);
  ASSERT_THAT(read.data->size(), 28672U);
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)), Digits("00000000 0000000000000007 00007000 00000000 00007000"));
  EXPECT_EQ(m.HexOf(SliceReferencesKey(7, 28672)), "absent");
  const std::vector<Key> delayed = KeysOf(&m, KeyKind::kDelayedSlices);
  ASSERT_THAT(delayed, SizeIs(1));
  EXPECT_EQ(delayed[0].id, 7U);
  std::string kept;
  for (int id = 1; id <= 6; ++id) {
    kept += "000000000000000" + std::to_string(id) + "00002000";
  }
  EXPECT_EQ(m.HexOf(delayed[0]), kept);
  EXPECT_EQ(m.Do("read { path: 'f' length: 100000 }").data, read.data);
  EXPECT_THAT(m.BlockNames(), SizeIs(12 + 7)) << "the trash keeps the blocks, too";
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(CompactionTest, WithoutTrashTheReplacedSlicesGoUnlessOthersUseThem) {
  TestMount m({.trash_days = 0, .blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 0, 8192, 5)), 0);
  ASSERT_EQ(m.Errno("clone { from: 'f' to: 'g' }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 4096, 8192, 6)), 0);
  ASSERT_EQ(m.Errno("compact { path: '' }"), 0);
  EXPECT_EQ(m.HexOf(ChunkKey(kFirst, 0)), Digits("00000000 0000000000000003 00003000 00000000 00003000"));
  EXPECT_THAT(m.BlockNames(), testing::ElementsAre("vol/chunks/0/0/1_0_4096", "vol/chunks/0/0/1_1_4096", "vol/chunks/0/0/3_0_4096",
                                                   "vol/chunks/0/0/3_1_4096", "vol/chunks/0/0/3_2_4096"));
  EXPECT_EQ(m.HexOf(SliceReferencesKey(1, 8192)), "0000000000000000");
  EXPECT_EQ(m.Do("read { path: 'f' length: 100000 }").data, WrittenBytes(5, 0, 4096) + WrittenBytes(6, 0, 8192));
  EXPECT_EQ(m.Do("read { path: 'g' length: 100000 }").data, WrittenBytes(5, 0, 8192));
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(CompactionTest, AWriteThatMakesNinetyNineRecordsCompacts) {
  TestMount m({});
  ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
  for (uint64_t i = 0; i < 98; ++i) {
    ASSERT_EQ(m.Errno(WriteText("f", i, 100)), 0);
  }
  EXPECT_THAT(m.HexOf(ChunkKey(kFirst, 0)), SizeIs(98 * 48));
  ASSERT_EQ(m.Errno(WriteText("f", 98, 100)), 0);
  EXPECT_THAT(m.HexOf(ChunkKey(kFirst, 0)), SizeIs(48));
}

TEST(CompactionTest, ALostAnswerIsLookedUpBothWays) {
  for (const bool takes_place : {false, true}) {
    TestMount m({.trash_days = 0, .blocks = true});
    ASSERT_EQ(m.Errno("create { path: 'f' }"), 0);
    ASSERT_EQ(m.Errno(WriteText("f", 0, 5000, 1)), 0);
    ASSERT_EQ(m.Errno(WriteText("f", 1000, 5000, 2)), 0);
    m.store().LoseAnswer("w1/op4/txn#1", takes_place);
    const OperationResult compact = m.Do("compact { path: 'f' }");
    EXPECT_EQ(compact.error, 0);
    EXPECT_TRUE(compact.undetermined);
    const std::string chunk = m.HexOf(ChunkKey(kFirst, 0));
    EXPECT_THAT(chunk, SizeIs(takes_place ? 48 : 96));
    EXPECT_EQ(m.Do("read { path: 'f' length: 100000 }").data, WrittenBytes(1, 0, 1000) + WrittenBytes(2, 0, 5000));
    EXPECT_THAT(m.BlockNames(), SizeIs(takes_place ? 2 : 4)) << "blocks of what is not used are gone";
    EXPECT_THAT(KeysOf(&m, KeyKind::kSliceReferences), IsEmpty());
    EXPECT_THAT(m.Violations(), IsEmpty());
  }
}

TEST(CloneTest, AFileSharesItsSlices) {
  TestMount m({.trash_days = 0, .blocks = true});
  ASSERT_EQ(m.Errno("create { path: 'f' mode: 511 }"), 0);
  ASSERT_EQ(m.Errno(WriteText("f", 0, 5000, 3)), 0);
  ASSERT_EQ(m.Errno("setxattr { path: 'f' name: 'user.a' value: 'v' }"), 0);
  ASSERT_EQ(m.Errno("link { from: 'f' to: 'l' }"), 0);
  ASSERT_EQ(m.Errno("setattr { path: 'f' uid: 7 gid: 8 }"), 0);
  ASSERT_EQ(m.Errno("clone { from: 'f' to: 'kept' preserve: true }"), 0);
  ASSERT_EQ(m.Errno("clone { from: 'f' to: 'own' }"), 0);
  const Attr source = m.AttrOf(kFirst);
  Attr kept = m.AttrOf(m.InodeOf("kept"));
  EXPECT_EQ(kept.nlink, 1U);
  EXPECT_EQ(kept.parent, kRootInode);
  kept.nlink = source.nlink;
  kept.parent = source.parent;
  EXPECT_EQ(kept, source);
  const Attr own = m.AttrOf(m.InodeOf("own"));
  EXPECT_EQ(own.mode, 0755);
  EXPECT_EQ(own.uid, 0U);
  EXPECT_GT(own.mtime_ns + own.mtime_s * 1'000'000'000, source.mtime_ns + source.mtime_s * 1'000'000'000);
  EXPECT_EQ(m.HexOf(XattrKey(m.InodeOf("own"), "user.a")), "76");
  EXPECT_EQ(m.HexOf(ChunkKey(m.InodeOf("own"), 0)), m.HexOf(ChunkKey(kFirst, 0)));
  EXPECT_EQ(m.HexOf(SliceReferencesKey(1, 5000)), "0200000000000000");
  ASSERT_EQ(m.Errno("unlink { path: 'f' }"), 0);
  ASSERT_EQ(m.Errno("unlink { path: 'l' }"), 0);
  ASSERT_EQ(m.Errno("unlink { path: 'own' }"), 0);
  EXPECT_EQ(m.Do("read { path: 'kept' length: 9000 }").data, WrittenBytes(3, 0, 5000));
  ASSERT_EQ(m.Errno("unlink { path: 'kept' }"), 0);
  EXPECT_THAT(m.BlockNames(), IsEmpty());
  EXPECT_THAT(m.Violations(), IsEmpty());
}

/// d with a file, a link, a symbolic link and two directories.
void MakeTree(TestMount* m) {
  for (const char* text : {"mkdir { path: 'd' mode: 511 }", "mkdir { path: 'd/e' mode: 511 }", "mkdir { path: 'd/e/deep' mode: 511 }",
                           "create { path: 'd/f' }", "write { path: 'd/f' length: 5000 }", "symlink { path: 'd/s' target: 'f' }",
                           "create { path: 'd/e/g' }", "link { from: 'd/f' to: 'd/e/l' }", "mknod { path: 'd/p' type: 4 }"}) {
    ASSERT_EQ(m->Errno(text), 0) << text;
  }
}

TEST(CloneTest, ADirectoryGetsItsNameLast) {
  TestMount m({.blocks = true});
  MakeTree(&m);
  const OperationResult clone = m.Do("clone { from: 'd' to: 'copy' preserve: true }");
  ASSERT_EQ(clone.error, 0);
  // d, then e and deep by themselves, the rest of e and of d in one batch each, the name.
  ASSERT_THAT(clone.transactions, SizeIs(6));
  EXPECT_THAT(KeysOf(&m, KeyKind::kDetached), IsEmpty());
  const Inode copy = m.InodeOf("copy");
  EXPECT_EQ(m.AttrOf(copy).nlink, 3U);
  EXPECT_EQ(m.AttrOf(copy).parent, kRootInode);
  EXPECT_EQ(m.AttrOf(kRootInode).nlink, 4U);
  EXPECT_NE(m.InodeOf("copy/f"), m.InodeOf("copy/e/l")) << "links become files of their own";
  EXPECT_EQ(m.AttrOf(m.InodeOf("copy/e/l")).length, 5000U);
  EXPECT_EQ(m.HexOf(SliceReferencesKey(1, 5000)), "0200000000000000");
  EXPECT_EQ(m.HexOf(DirStatKey(copy)), m.HexOf(DirStatKey(kFirst)));
  EXPECT_EQ(m.HexOf(SymlinkKey(m.InodeOf("copy/s"))), "66");
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(CloneTest, AClientThatDiesInBetweenLeavesAMarkedTreeWithoutAName) {
  for (uint32_t commits = 2; commits <= 5; ++commits) {
    TestMount m({});
    MakeTree(&m);
    ASSERT_EQ(m.Errno("unlink { path: 'd/p' }"), 0);  // makes the hour directory, so that every commit below is of the clone
    m.DoAndDie("clone { from: 'd' to: 'copy' }", commits);
    const std::vector<Key> marks = KeysOf(&m, KeyKind::kDetached);
    ASSERT_THAT(marks, SizeIs(1)) << commits;
    EXPECT_EQ(m.InodeOf("copy"), Inode());
    EXPECT_EQ(m.AttrOf(marks[0].inode).parent, kRootInode);
    EXPECT_THAT(m.Violations(), IsEmpty()) << commits;
  }
}

TEST(CloneTest, AFailureTakesTheTreeAwayAgain) {
  TestMount m({});
  MakeTree(&m);
  const std::vector<Key> before = KeysOf(&m, KeyKind::kAttr);
  const KeyValues other{{EncodeKey(DentryKey(kRootInode, "copy")), EncodeDentry(Dentry{kTypeFile, Inode(999)})}};
  m.store().AfterCommit("w1/op10/txn#3", [&m, other] { m.store().Preload(WithPrefix(other, "vol")); });
  EXPECT_EQ(m.Errno("clone { from: 'd' to: 'copy' }"), EEXIST);
  EXPECT_THAT(KeysOf(&m, KeyKind::kDetached), IsEmpty());
  EXPECT_EQ(m.InodeOf("copy"), Inode(999));
  EXPECT_EQ(KeysOf(&m, KeyKind::kAttr), before);
  EXPECT_EQ(m.HexOf(SliceReferencesKey(1, 5000)), "0000000000000000") << "counted back";
}

TEST(CloneTest, OddCalls) {
  TestMount m({});
  MakeTree(&m);
  EXPECT_EQ(m.Errno("clone { from: 'none' to: 'x' }"), ENOENT);
  EXPECT_EQ(m.Errno("clone { from: 'd' to: 'd/f' }"), EEXIST);
  EXPECT_EQ(m.Errno("clone { from: 'd' to: 'd/f/x' }"), ENOTDIR);
  EXPECT_EQ(m.Errno("clone { from: '.trash' to: 'x' }"), EPERM);
  EXPECT_EQ(m.Errno("clone { from: 'd' to: '.trash/x' }"), EPERM);
  EXPECT_EQ(m.Errno("clone { from: 'd' to: 'd/inside' }"), 0) << "it is listed before it has its name";
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(RemoveTreeTest, WithoutTrashNothingIsLeft) {
  for (const uint32_t trash_days : {0U, 1U}) {
    TestMount m({.trash_days = trash_days, .blocks = true});
    MakeTree(&m);
    ASSERT_EQ(m.Errno("remove_tree { path: 'd' skip_trash: true }"), 0);
    for (const Key& key : KeysOf(&m, KeyKind::kAttr)) {
      EXPECT_TRUE(key.inode == kRootInode || key.inode == kTrashInode) << DescribeKey(key);
    }
    EXPECT_THAT(KeysOf(&m, KeyKind::kDentry), IsEmpty());
    EXPECT_THAT(KeysOf(&m, KeyKind::kLinkCount), IsEmpty());
    EXPECT_THAT(KeysOf(&m, KeyKind::kDeletedFile), IsEmpty());
    EXPECT_THAT(m.BlockNames(), IsEmpty());
    EXPECT_EQ(m.AttrOf(kRootInode).nlink, 2U);
    m.Stop();
    EXPECT_EQ(m.HexOf(CounterKey("usedSpace")), "absent");
  }
}

TEST(RemoveTreeTest, InTheTrashEntriesLieFlat) {
  TestMount m({.blocks = true});
  MakeTree(&m);
  const Inode file = m.InodeOf("d/f");
  ASSERT_EQ(m.Errno("remove_tree { path: 'd' }"), 0);
  const VolumeImage image = BuildImage(m.Pairs());
  const Inode hour(kTrashInode.value() + 1);
  std::vector<std::string> names;
  for (const auto& [name, entry] : image.dentries.at(hour)) {
    names.push_back(name);
  }
  EXPECT_THAT(names, SizeIs(8));
  EXPECT_EQ(m.HexOf(LinkCountKey(file, hour)), "0200000000000000");
  EXPECT_EQ(m.AttrOf(file).nlink, 2U);
  EXPECT_THAT(m.BlockNames(), SizeIs(2));
  EXPECT_THAT(m.Violations(), IsEmpty());
  ASSERT_EQ(m.Errno("remove_tree { path: '.trash' }"), 0);
  EXPECT_EQ(BuildImage(m.Pairs()).dentries.count(hour), 0U);
  EXPECT_THAT(m.BlockNames(), IsEmpty());
  EXPECT_THAT(m.Violations(), IsEmpty());
}

TEST(RemoveTreeTest, BatchesAreOfSixteenHundredSixtySix) {
  TestMount m({.trash_days = 0});
  ASSERT_EQ(m.Errno("mkdir { path: 'd' }"), 0);
  for (int i = 0; i < 1700; ++i) {
    ASSERT_EQ(m.Errno("mknod { path: 'd/" + std::to_string(i) + "' type: 4 }"), 0);
  }
  const OperationResult removed = m.Do("remove_tree { path: 'd' }");
  EXPECT_EQ(removed.error, 0);
  EXPECT_THAT(removed.transactions, SizeIs(3)) << "1666, 34, the directory";
}

TEST(RemoveTreeTest, AnOpenFileLivesOn) {
  TestMount m({.trash_days = 0});
  MakeTree(&m);
  ASSERT_EQ(m.Errno("open { path: 'd/e/g' handle: 1 flags: 2 }"), 0);
  const Inode open = m.InodeOf("d/e/g");
  ASSERT_EQ(m.Errno("remove_tree { path: 'd' }"), 0);
  EXPECT_EQ(m.HexOf(SustainedKey(1, open)), "01");
  EXPECT_THAT(m.Violations(), IsEmpty());
  ASSERT_EQ(m.Errno("close { handle: 1 }"), 0);
  EXPECT_EQ(m.HexOf(AttrKey(open)), "absent");
}

TEST(RemoveTreeTest, OddCalls) {
  TestMount m({});
  MakeTree(&m);
  EXPECT_EQ(m.Errno("remove_tree { path: 'none' }"), ENOENT);
  EXPECT_EQ(m.Errno("remove_tree { path: '' }"), EBUSY);
  EXPECT_EQ(m.Errno("remove_tree { path: 'd/f' }"), 0) << "a file is unlinked";
  EXPECT_EQ(m.InodeOf("d/f"), Inode());
}

}  // namespace
}  // namespace kvjury::juicefs
