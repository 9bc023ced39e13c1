// `juicefs restore`: names of the trash go back, inside the trash or home.
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/invariants.h"
#include "harness/juicefs/test_operations.h"
#include "harness/juicefs/test_sessions.h"
#include "harness/juicefs/view.h"

namespace kvjury::juicefs {
namespace {

class RestoreTest : public testing::Test {
 protected:
  static constexpr Inode kTop{2};
  static constexpr Inode kInner{3};
  static constexpr Inode kFile{4};
  static constexpr Inode kOther{5};

  /// d/e/f and d/g, all of it removed to the trash.
  void SetUp() override {
    ASSERT_EQ(Do(MkdirOp("d")), 0);
    ASSERT_EQ(Do(MkdirOp("d/e")), 0);
    ASSERT_EQ(sessions_.Create(writer_, "d/e/f"), 0);
    ASSERT_EQ(sessions_.Write(writer_, "d/e/f", 5000), 0);
    ASSERT_EQ(sessions_.Create(writer_, "d/g"), 0);
    record::Operation remove;
    remove.mutable_remove_tree()->set_path("d");
    ASSERT_EQ(Do(remove), 0);
    hour_name_ = TrashHourName(sessions_.now_s() * 1'000'000'000);
    ASSERT_EQ(InHour().size(), 4U);
  }
  int Do(const record::Operation& operation) { return sessions_.Do(writer_, operation).error; }
  OperationResult Restore(bool put_back, uint32_t uid = 0) {
    record::Operation operation;
    operation.set_uid(uid);
    operation.mutable_restore_trash()->set_hour(hour_name_);
    operation.mutable_restore_trash()->set_put_back(put_back);
    return sessions_.Do(writer_, operation);
  }
  std::map<Bytes, Dentry> Entries(Inode directory) { return BuildImage(sessions_.Pairs()).dentries[directory]; }
  std::map<Bytes, Dentry> InHour() { return Entries(kHour); }
  void ExpectSound() {
    sessions_.Stop(writer_);
    uint64_t counted = 0;
    InvariantOptions options;
    options.at_rest = true;
    for (const InvariantResult& result : CheckInvariants(BuildImage(sessions_.Pairs()), options)) {
      counted += result.counted;
      for (const InvariantIssue& issue : result.issues) {
        ADD_FAILURE() << result.name << ": " << issue.ToString();
      }
    }
    EXPECT_GT(counted, 0U);
  }

  const Inode kHour{kTrashInode.value() + 1};
  Bytes hour_name_;
  Sessions sessions_{Formatted(1)};
  Writer* writer_ = sessions_.Mount();
};

TEST_F(RestoreTest, TreesArePutTogetherInsideTheTrash) {
  const OperationResult result = Restore(false);
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(result.restored, 3U);
  EXPECT_EQ(InHour(), (std::map<Bytes, Dentry>{{"1-2-d", {kTypeDirectory, kTop}}}));
  EXPECT_EQ(Entries(kTop), (std::map<Bytes, Dentry>{{"e", {kTypeDirectory, kInner}}, {"g", {kTypeFile, kOther}}}));
  EXPECT_EQ(Entries(kInner), (std::map<Bytes, Dentry>{{"f", {kTypeFile, kFile}}}));
  ASSERT_EQ(Do(RenameOp(Bytes(".trash/") + hour_name_ + "/1-2-d", "back")), 0) << "and the top can be taken out whole";
  ExpectSound();
}

TEST_F(RestoreTest, PutBackMovesEverythingHome) {
  const OperationResult result = Restore(true);
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(result.restored, 4U);
  EXPECT_TRUE(InHour().empty());
  EXPECT_EQ(Entries(kRootInode), (std::map<Bytes, Dentry>{{"d", {kTypeDirectory, kTop}}}));
  EXPECT_EQ(Entries(kInner), (std::map<Bytes, Dentry>{{"f", {kTypeFile, kFile}}}));
  ExpectSound();
}

TEST_F(RestoreTest, WhatIsInTheWayStaysAndSoDoesWhatCannotBeMoved) {
  ASSERT_EQ(Do(MkdirOp("d")), 0);
  sessions_.Put({{EncodeKey(DentryKey(kHour, "stranger")), EncodeDentry({kTypeFile, Inode(77)})},
                 {EncodeKey(DentryKey(kHour, "999-78-orphan")), EncodeDentry({kTypeFile, Inode(78)})}});
  const OperationResult result = Restore(true);
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(result.restored, 3U) << "into the directory that lies in the trash, too";
  EXPECT_EQ(InHour().size(), 3U);
  EXPECT_EQ(InHour().count("1-2-d"), 1U);
  EXPECT_NE(Entries(kRootInode).at("d").inode, kTop);
}

TEST_F(RestoreTest, OnlyRootMayAndTheHourMustBeThere) {
  EXPECT_EQ(Restore(true, 1000).error, EPERM);
  for (const Bytes& hour : {Bytes("2001-01-01-00"), Bytes(""), hour_name_ + "/1-2-d"}) {
    record::Operation operation;
    operation.mutable_restore_trash()->set_hour(hour);
    EXPECT_EQ(Do(operation), ENOENT) << hour;
  }
  EXPECT_EQ(InHour().size(), 4U);
  EXPECT_EQ(Do(RenameOp(Bytes(".trash/") + hour_name_ + "/1-2-d", "d", 33)), EINVAL) << "a flag of the program alone";
}

}  // namespace
}  // namespace kvjury::juicefs
