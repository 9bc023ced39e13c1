// MountOperations on an ordinary folder: the calls are made, and nothing that could do harm is.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "fakes/base/check.h"
#include "harness/tools/mount_operations.h"

namespace kvjury::tools {
namespace {

class MountOperationsTest : public testing::Test {
 protected:
  MountOperationsTest() {
    std::string pattern = testing::TempDir() + "/operations-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    operations_ = std::make_unique<MountOperations>(folder_);
  }
  ~MountOperationsTest() override {
    operations_.reset();
    std::filesystem::remove_all(folder_);
  }

  judge::PosixResult Do(const std::string& text) {
    record::Operation operation;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &operation)) << text;
    return operations_->Do(1, operation);
  }
  int Errno(const std::string& text) { return Do(text).error; }

  std::string folder_;
  std::unique_ptr<MountOperations> operations_;
};

TEST_F(MountOperationsTest, WhatIsWrittenIsReadAndStatted) {
  EXPECT_EQ(Errno("mkdir { path: 'd' mode: 493 }"), 0);
  EXPECT_EQ(Errno("create { path: 'd/f' mode: 416 }"), 0);
  EXPECT_EQ(Errno("write { path: 'd/f' offset: 3 length: 20 seed: 5 }"), 0);
  const judge::PosixResult read = Do("read { path: 'd/f' length: 100 }");
  ASSERT_TRUE(read.bytes.has_value());
  EXPECT_EQ(read.bytes->size(), 23U);
  EXPECT_EQ(read.bytes->substr(0, 3), Bytes(3, '\0'));
  const judge::PosixResult look = Do("lookup { path: 'd/f' }");
  ASSERT_TRUE(look.attr.has_value());
  EXPECT_EQ(look.attr->mode, static_cast<uint32_t>(S_IFREG | 0640));
  EXPECT_EQ(look.attr->size, 23U);
  EXPECT_EQ(Do("readdir { path: 'd' }").names, std::vector<Bytes>{"f"});
  EXPECT_EQ(operations_->InodeAt("d/missing"), 0U);
  EXPECT_NE(operations_->InodeAt("d/f"), 0U);
}

TEST_F(MountOperationsTest, TheNumbersOfTheFileSystemAreThoseOfStatfs) {
  struct statvfs status {};
  ASSERT_EQ(::statvfs(folder_.c_str(), &status), 0);
  EXPECT_EQ(Errno("symlink { path: 'l' target: '/proc' }"), 0);
  for (const char* text : {"stat_fs { }", "stat_fs { path: 'l' }"}) {
    const judge::PosixResult numbers = Do(text);
    ASSERT_TRUE(numbers.statfs.has_value()) << text;
    EXPECT_EQ(numbers.statfs->blocks, status.f_blocks * status.f_frsize / judge::kStatFsBlockBytes) << text << ": a link is not followed";
    EXPECT_GT(numbers.statfs->blocks, 0U);
  }
  EXPECT_EQ(Errno("stat_fs { path: 'missing' }"), ENOENT);
  EXPECT_EQ(Errno("stat_fs { path: 'missing/x' }"), ENOENT);
}

TEST_F(MountOperationsTest, NothingOutsideIsTouchedAndNoLinkIsFollowed) {
  EXPECT_EQ(Errno("mkdir { path: '../x' mode: 493 }"), EINVAL);
  EXPECT_EQ(Errno("create { path: 'a/../../x' mode: 416 }"), EINVAL);
  EXPECT_EQ(Errno("symlink { path: 'l' target: '/tmp' }"), 0);
  EXPECT_EQ(Errno("create { path: 'l/f' mode: 416 }"), ENOTDIR);
  EXPECT_EQ(Errno("write { path: 'l' length: 1 seed: 1 }"), EINVAL);
  EXPECT_EQ(Errno("truncate { path: 'l' length: 0 }"), EINVAL);
  EXPECT_EQ(Do("readlink { path: 'l' }").bytes, Bytes("/tmp"));
}

TEST_F(MountOperationsTest, PipesAreNeverOpened) {
  EXPECT_EQ(Errno("mknod { path: 'p' mode: 420 type: 4 }"), 0);
  EXPECT_EQ(Errno("read { path: 'p' length: 1 }"), EINVAL);
  EXPECT_EQ(Errno("open { path: 'p' handle: 1 }"), EINVAL);
  EXPECT_EQ(Errno("setattr { path: 'p' flags: 1 }"), EINVAL);
}

TEST_F(MountOperationsTest, ARemovedFileLivesInItsHandle) {
  EXPECT_EQ(Errno("create { path: 'f' mode: 420 }"), 0);
  EXPECT_EQ(Errno("open { path: 'f' handle: 7 flags: 2 }"), 0);
  EXPECT_EQ(Errno("open { path: 'f' handle: 7 flags: 2 }"), EINVAL);
  EXPECT_EQ(Errno("unlink { path: 'f' }"), 0);
  EXPECT_EQ(Errno("write { handle: 7 length: 4 seed: 1 }"), 0);
  EXPECT_EQ(Do("read { handle: 7 length: 9 }").bytes.value_or("").size(), 4U);
  EXPECT_EQ(Errno("close { handle: 7 }"), 0);
  EXPECT_EQ(Errno("read { handle: 7 length: 9 }"), EBADF);
}

TEST_F(MountOperationsTest, OwnersOfLocksAreInEachOthersWay) {
  EXPECT_EQ(Errno("create { path: 'f' mode: 420 }"), 0);
  EXPECT_EQ(Errno("flock { path: 'f' owner: 1 kind: 1 }"), 0);
  EXPECT_EQ(Errno("flock { path: 'f' owner: 2 }"), EAGAIN);
  EXPECT_EQ(Errno("set_lock { path: 'f' owner: 1 kind: 1 start: 0 end: 9 }"), 0);
  EXPECT_EQ(Errno("set_lock { path: 'f' owner: 2 start: 9 end: 12 }"), EAGAIN);
  const judge::PosixResult found = Do("get_lock { path: 'f' owner: 2 start: 9 end: 12 }");
  ASSERT_TRUE(found.lock.has_value());
  EXPECT_EQ(*found.lock, (judge::PosixLock{1, 0, 9}));
}

TEST_F(MountOperationsTest, WhatHasNoCallIsSaidSo) {
  for (const char* text : {"clone { from: 'a' to: 'b' }", "compact { path: 'a' }", "remove_tree { path: 'a' }", "unlink { path: 'a' skip_trash: true }", "die {}"}) {
    EXPECT_EQ(Errno(text), ENOSYS) << text;
  }
}

}  // namespace
}  // namespace kvjury::tools
