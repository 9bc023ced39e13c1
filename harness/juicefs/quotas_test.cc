// Quotas: set, used, refused and deleted; what renames, links, clones, chown and growth move between them; statfs.
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/test_operations.h"
#include "harness/juicefs/test_sessions.h"
#include "harness/juicefs/test_volumes.h"

namespace kvjury::juicefs {
namespace {

Quota QuotaOf(Sessions* sessions, Inode directory) {
  const std::optional<Bytes> value = sessions->Value(DirQuotaKey(directory));
  return value.has_value() ? DecodeQuota(*value).value() : Quota{0, 0, -1, -1};
}

Quota Used(int64_t space, int64_t inodes) { return {kNoLimitSpace, kNoLimitInodes, space, inodes}; }

/// Two directories with generous quotas, a (inode 2) and b (inode 3), which the session knows.
class TwoQuotas : public testing::Test {
 protected:
  static constexpr Inode kA{2};
  static constexpr Inode kB{3};

  void SetUp() override {
    ASSERT_EQ(Do(MkdirOp("a")), 0);
    ASSERT_EQ(Do(MkdirOp("b")), 0);
  }
  void SetQuotas() {
    Settle();
    ASSERT_EQ(Do(SetQuotaOp("a", kNoLimitSpace, kNoLimitInodes)), 0);
    ASSERT_EQ(Do(SetQuotaOp("b", kNoLimitSpace, kNoLimitInodes)), 0);
    Settle();
  }
  /// All that is pending is written, and the session has read the quotas.
  void Settle() { sessions_.Pass(20 * kSecondUs); }
  int Do(const record::Operation& operation) { return sessions_.Do(writer_, operation).error; }
  void Fill(const Bytes& path, uint32_t length) {
    ASSERT_EQ(sessions_.Create(writer_, path), 0);
    ASSERT_EQ(sessions_.Write(writer_, path, length), 0);
  }
  Quota Of(Inode directory) { return QuotaOf(&sessions_, directory); }

  Sessions sessions_{Formatted(0)};
  Writer* writer_ = sessions_.Mount();
};

TEST(QuotasOfAVolume, ADirectoryQuotaIsSetUsedRefusedAndDeletedWithTheGoldenRecord) {
  Sessions sessions(Formatted(0));
  Writer* writer = sessions.Mount();
  record::Operation mkdir;
  mkdir.mutable_mkdir()->set_path("d");
  mkdir.mutable_mkdir()->set_mode(0755);
  ASSERT_EQ(sessions.Do(writer, mkdir).error, 0);
  ASSERT_EQ(sessions.Create(writer, "d/f"), 0);
  ASSERT_EQ(sessions.Write(writer, "d/f", 10000), 0);
  sessions.Pass(2 * kSecondUs);
  EXPECT_EQ(ToHex(sessions.Value(DirStatKey(Inode(2))).value()), ToHex(Hex("0000000000002710 0000000000003000 0000000000000001")));
  record::Operation set;
  set.mutable_set_quota()->set_path("d");
  set.mutable_set_quota()->set_space_max(uint64_t{1} << 30);
  set.mutable_set_quota()->set_inodes_max(1000);
  ASSERT_EQ(sessions.Do(writer, set).error, 0);
  EXPECT_EQ(ToHex(sessions.Value(DirQuotaKey(Inode(2))).value()),
            ToHex(Hex("0000000040000000 00000000000003e8 0000000000003000 0000000000000001")));
  set.mutable_set_quota()->set_inodes_max(2);
  ASSERT_EQ(sessions.Do(writer, set).error, 0);
  sessions.Pass(15 * kSecondUs);  // a heartbeat
  EXPECT_EQ(sessions.Create(writer, "d/g"), 0);
  EXPECT_EQ(sessions.Create(writer, "d/h"), EDQUOT) << "by the session's own changes, flushed or not";
  EXPECT_EQ(sessions.Create(writer, "outside"), 0);
  sessions.Pass(5 * kSecondUs);
  EXPECT_EQ(DecodeQuota(sessions.Value(DirQuotaKey(Inode(2))).value()).value(), (Quota{int64_t{1} << 30, 2, 16384, 2}));
  record::Operation remove;
  remove.mutable_delete_quota()->set_path("d");
  ASSERT_EQ(sessions.Do(writer, remove).error, 0);
  EXPECT_FALSE(sessions.Value(DirQuotaKey(Inode(2))).has_value());
  sessions.Pass(15 * kSecondUs);
  EXPECT_EQ(sessions.Create(writer, "d/h"), 0);
}

TEST(QuotasOfAVolume, UsersAndGroupsAreCountedAndLimited) {
  Format format = Formatted(0);
  format.user_group_quota = true;
  Sessions sessions(format);
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  ASSERT_EQ(sessions.Write(writer, "f", 28000), 0);
  ASSERT_EQ(sessions.Create(writer, "g"), 0);
  sessions.Pass(5 * kSecondUs);
  const std::string golden = ToHex(Hex("ffffffffffffffff ffffffffffffffff 0000000000008000 0000000000000002"));
  EXPECT_EQ(ToHex(sessions.Value(UserQuotaKey(0)).value()), golden);
  EXPECT_EQ(ToHex(sessions.Value(GroupQuotaKey(0)).value()), golden);
  record::Operation set;
  set.mutable_set_quota()->set_uid(0);
  set.mutable_set_quota()->set_space_max(32768);
  ASSERT_EQ(sessions.Do(writer, set).error, 0);
  sessions.Pass(15 * kSecondUs);
  EXPECT_EQ(sessions.Create(writer, "h"), EDQUOT);
  record::Operation remove;
  remove.mutable_delete_quota()->set_uid(0);
  ASSERT_EQ(sessions.Do(writer, remove).error, 0);
  EXPECT_EQ(ToHex(sessions.Value(UserQuotaKey(0)).value()), golden) << "the usage stays";
}

TEST(QuotasOfAVolume, AFullVolumeAnswersENOSPC) {
  Format format = Formatted(0);
  format.inodes = 2;
  Sessions sessions(format);
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  ASSERT_EQ(sessions.Create(writer, "g"), 0);
  sessions.Pass(2 * kSecondUs);
  EXPECT_EQ(sessions.Create(writer, "h"), ENOSPC);
}

TEST_F(TwoQuotas, ARenameMovesWhatTheSourceHolds) {
  Fill("a/f", 10000);
  ASSERT_EQ(Do(MkdirOp("a/d")), 0);
  ASSERT_EQ(Do(MkdirOp("a/d/e")), 0);
  Fill("a/d/g", 5000);
  SetQuotas();
  EXPECT_EQ(Of(kA), Used(12288 + 4096 + 4096 + 8192, 4));
  ASSERT_EQ(Do(RenameOp("a/d", "b/moved")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(12288, 1));
  EXPECT_EQ(Of(kB), Used(16384, 3));
  ASSERT_EQ(Do(RenameOp("a/f", "f")), 0);
  ASSERT_EQ(Do(RenameOp("b/moved/g", "b/moved/e/g")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(0, 0));
  EXPECT_EQ(Of(kB), Used(16384, 3)) << "below one quota nothing moves";
}

TEST_F(TwoQuotas, WhatTheSessionHasNotFlushedMovesToo) {
  ASSERT_EQ(Do(MkdirOp("a/d")), 0);
  SetQuotas();
  Fill("a/d/g", 5000);
  ASSERT_EQ(Do(RenameOp("a/d", "b/d")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(0, 0));
  EXPECT_EQ(Of(kB), Used(12288, 2));
}

TEST_F(TwoQuotas, QuotasAboveBothStayAsTheyAre) {
  ASSERT_EQ(Do(MkdirOp("a/in")), 0);
  Fill("a/in/f", 100);
  SetQuotas();
  ASSERT_EQ(Do(SetQuotaOp("a/in", kNoLimitSpace, kNoLimitInodes)), 0);
  Settle();
  ASSERT_EQ(Do(RenameOp("a/in/f", "a/f")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(8192, 2));
  EXPECT_EQ(Of(Inode(4)), Used(0, 0));
  ASSERT_EQ(Do(RenameOp("a/f", "a/in/f")), 0);
  Settle();
  ASSERT_EQ(Do(RenameOp("a/in", "b/in")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(0, 0));
  EXPECT_EQ(Of(kB), Used(8192, 2)) << "what its own quota says, and itself";
  EXPECT_EQ(Of(Inode(4)), Used(4096, 1));
}

TEST_F(TwoQuotas, ARenameIntoAFullQuotaIsRefused) {
  ASSERT_EQ(Do(MkdirOp("a/d")), 0);
  Fill("a/d/g", 5000);
  Fill("a/f", 5000);
  SetQuotas();
  ASSERT_EQ(Do(SetQuotaOp("b", kNoLimitSpace, 1)), 0);
  Settle();
  EXPECT_EQ(Do(RenameOp("a/d", "b/d")), EDQUOT);
  EXPECT_EQ(Do(RenameOp("a/f", "b/f")), 0);
  EXPECT_EQ(Do(RenameOp("b/f", "b/f2")), 0) << "below one quota nobody asks";
  Settle();
  EXPECT_EQ(Of(kB).used_inodes, 1);
  EXPECT_EQ(Do(LinkOp("a/d/g", "b/g")), EDQUOT);
  EXPECT_EQ(sessions_.Create(writer_, "b/new"), EDQUOT);
}

TEST_F(TwoQuotas, AReplacedTargetIsGivenBack) {
  Fill("a/f", 10000);
  Fill("b/f", 30000);
  SetQuotas();
  ASSERT_EQ(Do(RenameOp("a/f", "b/f")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(0, 0));
  EXPECT_EQ(Of(kB), Used(12288, 1));
}

TEST_F(TwoQuotas, OfAnExchangedTargetOnlyItsOwnNumbersGoBack) {
  ASSERT_EQ(Do(MkdirOp("a/d")), 0);
  Fill("a/d/g", 5000);
  ASSERT_EQ(Do(MkdirOp("b/e")), 0);
  Fill("b/e/h", 9000);
  SetQuotas();
  ASSERT_EQ(Do(RenameOp("a/d", "b/e", 2)), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(4096, 1)) << "b/e/h is forgotten, as in the real one";
  EXPECT_EQ(Of(kB), Used(12288 + 12288, 3)) << "and is counted here still";
}

TEST_F(TwoQuotas, ALinkIsChargedWhereItStandsAndGrowsInBoth) {
  Fill("a/f", 4000);
  SetQuotas();
  ASSERT_EQ(Do(LinkOp("a/f", "b/f")), 0);
  ASSERT_EQ(Do(LinkOp("a/f", "b/f2")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(4096, 1));
  EXPECT_EQ(Of(kB), Used(8192, 2));
  ASSERT_EQ(sessions_.Write(writer_, "a/f", 10000), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(12288, 1));
  EXPECT_EQ(Of(kB), Used(24576, 2)) << "once for each name";
  EXPECT_EQ(DecodeDirStat(sessions_.Value(DirStatKey(kA)).value()).value(), (DirStat{10000, 12288, 1}));
  EXPECT_EQ(DecodeDirStat(sessions_.Value(DirStatKey(kB)).value()).value(), (DirStat{20000, 24576, 2}));
  ASSERT_EQ(Do(TruncateOp("b/f2", 0)), 0);
  Settle();
  EXPECT_EQ(Of(kB), Used(8192, 2));
  EXPECT_EQ(DecodeDirStat(sessions_.Value(DirStatKey(kB)).value()).value(), (DirStat{0, 8192, 2}));
}

TEST_F(TwoQuotas, AFileWithSeveralLinksGrowsOnlyIfAllItsQuotasLetIt) {
  Fill("a/f", 4000);
  ASSERT_EQ(Do(LinkOp("a/f", "b/f")), 0);
  SetQuotas();
  ASSERT_EQ(Do(SetQuotaOp("b", 8192, kNoLimitInodes)), 0);
  Settle();
  EXPECT_EQ(sessions_.Write(writer_, "a/f", 8000), 0);
  EXPECT_EQ(sessions_.Write(writer_, "a/f", 10000), EDQUOT);
  record::Operation fallocate;
  fallocate.mutable_fallocate()->set_path("a/f");
  fallocate.mutable_fallocate()->set_length(10000);
  EXPECT_EQ(Do(fallocate), EDQUOT);
  Fill("c", 12000);
  record::Operation copy;
  copy.mutable_copy_file_range()->set_from("c");
  copy.mutable_copy_file_range()->set_to("a/f");
  copy.mutable_copy_file_range()->set_length(12000);
  EXPECT_EQ(Do(copy), EDQUOT);
}

// The numbers of a juicefs 1.4.2: src holds three files of 10,000 bytes and a symbolic link.
TEST_F(TwoQuotas, AClonedTreeIsChargedWholeAndItsFilesOnceMore) {
  ASSERT_EQ(Do(MkdirOp("src")), 0);
  for (const char* name : {"src/f1", "src/f2", "src/f3"}) {
    Fill(name, 10000);
  }
  record::Operation symlink;
  symlink.mutable_symlink()->set_path("src/sym");
  symlink.mutable_symlink()->set_target("abc");
  ASSERT_EQ(Do(symlink), 0);
  SetQuotas();
  ASSERT_EQ(Do(CloneOp("src", "a/clone")), 0);
  ASSERT_EQ(Do(CloneOp("src/f1", "a/f1")), 0);
  Settle();
  EXPECT_EQ(Of(kA), Used(98304, 10));
  ASSERT_EQ(Do(SetQuotaOp("b", 45055, kNoLimitInodes)), 0);
  Settle();
  EXPECT_EQ(Do(CloneOp("src", "b/clone")), EDQUOT) << "4096 for itself, 3 x 12288, 4096";
  ASSERT_EQ(Do(SetQuotaOp("b", kNoLimitSpace, 4)), 0);
  Settle();
  EXPECT_EQ(Do(CloneOp("src", "b/clone")), EDQUOT);
  ASSERT_EQ(Do(SetQuotaOp("b", 45056, 5)), 0);
  Settle();
  EXPECT_EQ(Do(CloneOp("src", "b/clone")), 0);
}

TEST(QuotasOfAVolume, AChownMovesTheUsageOfFilesAndDirectories) {
  Format format = Formatted(0);
  format.user_group_quota = true;
  Sessions sessions(format);
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  ASSERT_EQ(sessions.Write(writer, "f", 28000), 0);
  ASSERT_EQ(sessions.Do(writer, MkdirOp("d")).error, 0);
  record::Operation symlink;
  symlink.mutable_symlink()->set_path("s");
  symlink.mutable_symlink()->set_target("f");
  ASSERT_EQ(sessions.Do(writer, symlink).error, 0);
  for (const char* path : {"f", "d", "s"}) {
    record::Operation chown;
    chown.mutable_setattr()->set_path(path);
    chown.mutable_setattr()->set_uid(7);
    chown.mutable_setattr()->set_gid(8);
    ASSERT_EQ(sessions.Do(writer, chown).error, 0);
  }
  sessions.Stop(writer);
  const auto quota = [&sessions](const Key& key) { return DecodeQuota(sessions.Value(key).value()).value(); };
  EXPECT_EQ(quota(UserQuotaKey(7)), (Quota{-1, -1, 28672 + 4096, 2}));
  EXPECT_EQ(quota(GroupQuotaKey(8)), (Quota{-1, -1, 28672 + 4096, 2}));
  EXPECT_EQ(quota(UserQuotaKey(0)), (Quota{-1, -1, 4096, 1})) << "a symbolic link stays with who made it";
  EXPECT_EQ(quota(GroupQuotaKey(0)), (Quota{-1, -1, 4096, 1}));
}

TEST_F(TwoQuotas, StatFsTellsOfTheVolumeAndBelowAQuotaOfTheNearestOne) {
  Fill("a/f", 10000);
  const auto statfs = [this](const Bytes& path) {
    record::Operation operation;
    operation.mutable_stat_fs()->set_path(path);
    OperationResult result = sessions_.Do(writer_, operation);
    EXPECT_EQ(result.error, 0);
    return result.statfs.value();
  };
  const uint64_t used = 4096 + 4096 + 12288;
  const StatFs volume{uint64_t{1} << 50, (uint64_t{1} << 50) - used, 3, uint64_t{10} << 20};
  EXPECT_EQ(statfs(""), volume) << "flushed or not";
  Settle();
  EXPECT_EQ(statfs(""), volume);
  EXPECT_EQ(statfs("a/f"), volume);
  ASSERT_EQ(Do(SetQuotaOp("a", 1 << 20, 10)), 0);
  Settle();
  const StatFs quota{1 << 20, (1 << 20) - 12288, 1, 9};
  EXPECT_EQ(statfs("a"), quota);
  EXPECT_EQ(statfs("a/f"), quota);
  EXPECT_EQ(statfs("b"), volume);
  Fill("a/g", 100);
  EXPECT_EQ(statfs("a"), quota) << "what the session has not flushed is not in a quota's numbers";
  Settle();
  EXPECT_EQ(statfs("a"), (StatFs{1 << 20, (1 << 20) - 16384, 2, 8}));
  record::Operation nowhere;
  nowhere.mutable_stat_fs()->set_path("nowhere");
  EXPECT_EQ(Do(nowhere), ENOENT);
}

TEST(QuotasOfAVolume, StatFsOfAVolumeWithLimitsIsNeverBelowWhatIsUsed) {
  Format format = Formatted(0);
  format.capacity_bytes = 8192;
  format.inodes = 5;
  Sessions sessions(format);
  Writer* writer = sessions.Mount();
  record::Operation statfs;
  statfs.mutable_stat_fs();
  EXPECT_EQ(sessions.Do(writer, statfs).statfs.value(), (StatFs{8192, 8192, 0, 5}));
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  EXPECT_EQ(sessions.Do(writer, statfs).statfs.value(), (StatFs{8192, 4096, 1, 4}));
  sessions.Put({{EncodeKey(CounterKey("usedSpace")), EncodeInt64Le(20000)}, {EncodeKey(CounterKey("totalInodes")), EncodeInt64Le(9)}});
  sessions.Pass(2 * kSecondUs);
  EXPECT_EQ(sessions.Do(writer, statfs).statfs.value(), (StatFs{24096, 0, 10, 0}));
}

}  // namespace
}  // namespace kvjury::juicefs
