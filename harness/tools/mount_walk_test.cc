#include "harness/tools/mount_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fakes/base/digest.h"

namespace kvjury::tools {
namespace {

using testing::HasSubstr;

class MountWalkTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(root_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) { std::ofstream(root_ + "/" + path, std::ios::binary) << content; }
  juicefs::View Walk(bool read_contents = false) {
    Result<WalkedMount> walked = WalkMount(root_, {.read_contents = read_contents, .contents_below = below_, .content_bytes_max = 3'000'000, .on_progress = {}});
    EXPECT_TRUE(walked.ok()) << walked.status();
    warnings_ = walked.ok() ? walked->warnings : std::vector<std::string>();
    return walked.ok() ? std::move(walked->view) : juicefs::View();
  }

  std::string root_ = testing::TempDir() + "kvjury-walk-XXXXXX";
  std::string below_;
  std::vector<std::string> warnings_;
};

TEST_F(MountWalkTest, EveryEntryIsShownAsTheKernelShowsIt) {
  std::filesystem::create_directories(root_ + "/d/e");
  Write("d/file", "content");
  Write("d/b\xff\xfe", "");
  std::filesystem::create_hard_link(root_ + "/d/file", root_ + "/link");
  ASSERT_EQ(::symlink("d/no\xffwhere", (root_ + "/s").c_str()), 0);
  ASSERT_EQ(::mkfifo((root_ + "/pipe").c_str(), 0640), 0);
  const juicefs::View view = Walk();
  std::vector<Bytes> paths;
  for (const auto& [path, entry] : view.entries) {
    paths.push_back(path);
    struct stat status {};
    ASSERT_EQ(::lstat((root_ + "/" + path).c_str(), &status), 0) << path;
    EXPECT_EQ(entry.inode.value(), status.st_ino);
    EXPECT_EQ(entry.mode, status.st_mode);
    EXPECT_EQ(entry.uid, status.st_uid);
    EXPECT_EQ(entry.gid, status.st_gid);
    EXPECT_EQ(entry.size, static_cast<uint64_t>(status.st_size));
    EXPECT_EQ(entry.nlink, status.st_nlink);
    EXPECT_EQ(entry.mtime_ns, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
    EXPECT_EQ(entry.sha256, "");
  }
  EXPECT_THAT(paths, testing::ElementsAre(".", "d", "d/b\xff\xfe", "d/e", "d/file", "link", "pipe", "s"));
  EXPECT_EQ(view.entries.at("s").target, "d/no\xffwhere");
  EXPECT_EQ(view.PathOfInode(view.entries.at("link").inode), "d/file");
}

TEST_F(MountWalkTest, OnlyTheRootsOwnFilesOfJuiceFsAreLeftOutAndTheTrashIsNot) {
  std::filesystem::create_directories(root_ + "/.trash/2026-11-25-10");
  std::filesystem::create_directories(root_ + "/d");
  for (const char* name : {".stats", ".config", ".accesslog", ".control", "d/.stats", ".hidden"}) {
    Write(name, "x");
  }
  const juicefs::View view = Walk();
  EXPECT_EQ(view.entries.size(), 6U);
  for (const char* path : {".", ".trash", ".trash/2026-11-25-10", "d", "d/.stats", ".hidden"}) {
    EXPECT_EQ(view.entries.count(path), 1U) << path;
  }
  EXPECT_THAT(warnings_, testing::Contains(HasSubstr("is not the root of a mounted volume")));
}

TEST_F(MountWalkTest, ContentsAreReadOnRequestWholeAndOnlyOfRegularFiles) {
  const std::string large(3'000'000, 'x');
  Write("large", large);
  Write("too large", large + "x");
  Write("empty", "");
  ASSERT_EQ(::mkfifo((root_ + "/pipe").c_str(), 0640), 0);
  const juicefs::View view = Walk(true);
  EXPECT_EQ(view.entries.at("large").sha256, ToHex(Sha256(large)));
  EXPECT_EQ(view.entries.at("empty").sha256, ToHex(Sha256("")));
  EXPECT_EQ(view.entries.at("too large").sha256, "");
  EXPECT_EQ(view.entries.at("pipe").sha256, "");
}

TEST_F(MountWalkTest, ExtendedAttributesOfAnyBytesAreRead) {
  Write("file", "");
  const Bytes value("\0\xff", 2);
  if (::setxattr((root_ + "/file").c_str(), "user.x", value.data(), value.size(), 0) != 0) {
    GTEST_SKIP() << "no extended attributes in " << root_;
  }
  const std::map<Bytes, Bytes> expected = {{"user.x", value}};
  EXPECT_EQ(Walk().entries.at("file").xattrs, expected);
}

TEST_F(MountWalkTest, WhatCannotBeReadIsNamed) {
  const Result<WalkedMount> none = WalkMount(root_ + "/none", {});
  EXPECT_EQ(none.error().code(), StatusCode::kNotFound);
  EXPECT_THAT(none.error().message(), HasSubstr(root_ + "/none: no such folder"));
  Write("file", "");
  EXPECT_EQ(WalkMount(root_ + "/file", {}).error().code(), StatusCode::kNotFound);
}

TEST_F(MountWalkTest, AnEntryThatVanishesWhileItIsReadLeavesNothingProved) {
  for (int i = 0; i < 2'000; ++i) {
    Write("f" + std::to_string(i), "");
  }
  WalkOptions options;
  options.on_progress = [this](uint64_t) { std::filesystem::remove(root_ + "/f999"), std::filesystem::remove_all(root_); };
  EXPECT_EQ(WalkMount(root_, options).error().code(), StatusCode::kUndetermined);
}

TEST_F(MountWalkTest, ContentsAreReadOnlyBelowTheFolderThatWasAskedFor) {
  std::filesystem::create_directories(root_ + "/a/b");
  std::filesystem::create_directories(root_ + "/ab");
  Write("a/one", "1");
  Write("a/b/two", "2");
  Write("ab/three", "3");
  below_ = "a";
  const juicefs::View view = Walk(true);
  EXPECT_FALSE(view.entries.at("a/one").sha256.empty());
  EXPECT_FALSE(view.entries.at("a/b/two").sha256.empty());
  EXPECT_TRUE(view.entries.at("ab/three").sha256.empty());
}

}  // namespace
}  // namespace kvjury::tools
