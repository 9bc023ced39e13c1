// The mounted view against what kernel mounts showed, and call by call.
#include "harness/juicefs/mounted_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/view_json.h"

namespace kvjury::juicefs {
namespace {

using testing::ElementsAre;

const ViewDiffOptions kWithoutContents = {false, false, false};

std::unique_ptr<MountedView> Mounted(const std::string& volume) { return MountedView::Make(BuildImage(RealVolume(volume))).value(); }

/// What a program sees that walks by look-ups and pages of a directory, and asks each entry all that can be asked.
class Walker {
 public:
  explicit Walker(MountedView* mounted) : mounted_(mounted) {}

  View Walk() {
    Visit(".", mounted_->Stat(kRootInode).value);
    Visit(kTrashName, mounted_->Lookup(kRootInode, kTrashName).value);
    return std::move(view_);
  }

 private:
  void Visit(const Bytes& path, const FileStatus& status) {
    EXPECT_EQ(mounted_->Stat(status.inode).value, status) << path;
    ViewEntry entry;
    entry.inode = status.inode;
    entry.mode = status.mode;
    entry.uid = status.uid;
    entry.gid = status.gid;
    entry.rdev = status.rdev;
    entry.size = status.size;
    entry.nlink = status.nlink;
    entry.atime_ns = status.atime_s * 1'000'000'000 + status.atime_ns;
    entry.mtime_ns = status.mtime_s * 1'000'000'000 + status.mtime_ns;
    entry.ctime_ns = status.ctime_s * 1'000'000'000 + status.ctime_ns;
    if (const Answer<Bytes> target = mounted_->ReadLink(status.inode); target.error == 0) {
      entry.target = target.value;
    }
    for (const Bytes& name : mounted_->ListXattrs(status.inode).value) {
      entry.xattrs[name] = mounted_->GetXattr(status.inode, name).value;
    }
    view_.entries[path] = entry;
    if ((status.mode & 0170000) == 0040000) {
      Descend(path, status.inode);
    }
  }

  void Descend(const Bytes& path, Inode directory) {
    constexpr size_t kPage = 3;
    Bytes last;
    uint64_t cursor = 0;
    for (Answer<std::vector<DirectoryEntry>> page; page = mounted_->ReadDirectory(directory, cursor, kPage), !page.value.empty();) {
      EXPECT_EQ(page.error, 0);
      for (const DirectoryEntry& entry : page.value) {
        cursor = entry.cursor;
        if (entry.name == "." || entry.name == ".." || entry.name == kTrashName) {
          continue;
        }
        EXPECT_LT(last, entry.name) << path;
        last = entry.name;
        const Answer<FileStatus> status = mounted_->Lookup(directory, entry.name);
        ASSERT_EQ(status.error, 0) << path << "/" << entry.name;
        EXPECT_EQ(status.value.inode, entry.inode);
        EXPECT_EQ(status.value.mode & 0170000, entry.mode);
        Visit(path == "." ? entry.name : path + "/" + entry.name, status.value);
      }
    }
  }

  MountedView* mounted_;
  View view_;
};

/// How many entries were compared; differences fail the test.
uint64_t ExpectSame(const View& left, const View& right, const ViewDiffOptions& options = kWithoutContents) {
  const ViewDiff diff = DiffViews(left, right, options);
  for (const ViewDifference& difference : diff.differences) {
    ADD_FAILURE() << difference.ToString();
  }
  return diff.entries_compared;
}

class RealMountedView : public testing::TestWithParam<std::string> {};

TEST_P(RealMountedView, AWalkByCallsEqualsTheKernelMountInEveryEntryBothWays) {
  const std::map<std::string, uint64_t> entries = {{"rich", 396}, {"crashed", 382}, {"busy", 4510}};
  const View recorded = ParseViewJson("mount.jsonl.gz", ReadVolumeFile(GetParam(), "mount.jsonl.gz")).value();
  const std::unique_ptr<MountedView> mounted = Mounted(GetParam());
  const View walked = Walker(mounted.get()).Walk();
  EXPECT_EQ(ExpectSame(walked, recorded), entries.at(GetParam()));
  EXPECT_EQ(ExpectSame(recorded, walked), entries.at(GetParam()));
}

TEST_P(RealMountedView, AFalsifiedAttributeIsSeenByTheWalk) {
  const View recorded = ParseViewJson("mount.jsonl.gz", ReadVolumeFile(GetParam(), "mount.jsonl.gz")).value();
  KeyValues pairs = RealVolume(GetParam());
  const Inode inode = recorded.entries.begin()->second.inode == kRootInode ? recorded.entries.rbegin()->second.inode : kRootInode;
  Attr attr = DecodeAttr(pairs.at(EncodeKey(AttrKey(inode)))).value();
  attr.mtime_ns ^= 1;
  pairs[EncodeKey(AttrKey(inode))] = EncodeAttr(attr);
  const std::unique_ptr<MountedView> mounted = MountedView::Make(BuildImage(pairs)).value();
  const ViewDiff diff = DiffViews(Walker(mounted.get()).Walk(), recorded, {.compare_content = false, .compare_statfs = false});
  ASSERT_FALSE(diff.differences.empty());
  EXPECT_EQ(diff.differences.front().field, "mtime_ns");
}

TEST_P(RealMountedView, WhatWasMadeOfAViewShowsTheSame) {
  const View recorded = ParseViewJson("mount.jsonl.gz", ReadVolumeFile(GetParam(), "mount.jsonl.gz")).value();
  const std::unique_ptr<MountedView> mounted = MountedView::Make(ImageOfView(recorded), {.has_pieces = false}).value();
  EXPECT_GT(ExpectSame(recorded, Walker(mounted.get()).Walk()), 300u);
  EXPECT_GT(mounted->StatFileSystem(kRootInode).used_inodes, 300u);
  size_t refused = 0;
  for (const auto& [path, entry] : recorded.entries) {
    if ((entry.mode & 0170000) == 0100000) {
      EXPECT_EQ(mounted->Read(entry.inode, 0, 10).error, entry.size == 0 ? 0 : EIO) << path;
      refused += entry.size == 0 ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 100u);
}

INSTANTIATE_TEST_SUITE_P(Recorded, RealMountedView, testing::ValuesIn(RealVolumeNames()));

/// A small formatted volume for what no recorded one has.
struct TinyVolume {
  VolumeImage image;

  TinyVolume() {
    image.setting = DecodeSetting("{\"Name\": \"tiny\", \"BlockSize\": 64}").value();
    Put(kRootInode, kTypeDirectory, 4096);
  }
  Attr& Put(Inode inode, uint8_t type, uint64_t length) {
    Attr& attr = image.inodes[inode];
    attr.type = type;
    attr.mode = 0644;
    attr.nlink = 1;
    attr.length = length;
    attr.parent = kRootInode;
    return attr;
  }
  std::unique_ptr<MountedView> Mount() { return MountedView::Make(std::move(image), {.mounted_at_s = 77}).value(); }
};

TEST(MountedView, StatShowsBlocksOf512BytesForWhatHasALength) {
  TinyVolume volume;
  const std::map<uint64_t, uint64_t> blocks = {{0, 0}, {1, 1}, {512, 1}, {513, 2}, {UINT64_MAX, uint64_t{1} << 55}};
  uint64_t inode = 10;
  for (const auto& [length, expected] : blocks) {
    volume.Put(Inode(inode++), kTypeFile, length);
  }
  volume.Put(Inode(20), kTypeFifo, 513);
  volume.Put(Inode(21), kTypeCharDevice, 513).rdev = 1050412;
  volume.Put(Inode(22), kTypeSymlink, 600);
  const auto mounted = volume.Mount();
  inode = 10;
  for (const auto& [length, expected] : blocks) {
    EXPECT_EQ(mounted->Stat(Inode(inode++)).value.blocks, expected) << length;
  }
  EXPECT_EQ(mounted->Stat(Inode(20)).value.size, 0u);
  EXPECT_EQ(mounted->Stat(Inode(20)).value.blocks, 0u);
  EXPECT_EQ(mounted->Stat(Inode(21)).value.rdev, 1050412u);
  EXPECT_EQ(mounted->Stat(Inode(21)).value.size, 0u);
  EXPECT_EQ(mounted->Stat(Inode(22)).value.blocks, 2u);
  EXPECT_EQ(mounted->Stat(kRootInode).value.blocks, 8u);
  EXPECT_EQ(mounted->Stat(kTrashInode).value.blocks, 0u);
  EXPECT_EQ(mounted->Stat(kTrashInode).value.ctime_s, 77);
  EXPECT_EQ(mounted->Stat(Inode(99)).error, ENOENT);
}

TEST(MountedView, LookUpAnswersAsTheKernelExpects) {
  TinyVolume volume;
  volume.Put(Inode(2), kTypeDirectory, 4096);
  volume.Put(Inode(3), kTypeFile, 5);
  volume.image.dentries[kRootInode] = {{"d", {kTypeDirectory, Inode(2)}}, {".trash", {kTypeFile, Inode(3)}}, {"lost", {kTypeFifo, Inode(44)}}};
  volume.image.dentries[Inode(2)] = {{".trash", {kTypeFile, Inode(3)}}};
  const auto mounted = volume.Mount();
  EXPECT_EQ(mounted->Lookup(kRootInode, "d").value.inode, Inode(2));
  EXPECT_EQ(mounted->Lookup(Inode(2), "..").value.inode, kRootInode);
  EXPECT_EQ(mounted->Lookup(Inode(2), ".").value.inode, Inode(2));
  EXPECT_EQ(mounted->Lookup(kRootInode, "..").value.inode, kRootInode);
  EXPECT_EQ(mounted->Lookup(kTrashInode, "..").value.inode, kRootInode);
  EXPECT_EQ(mounted->Lookup(kRootInode, ".trash").value.inode, kTrashInode);
  EXPECT_EQ(mounted->Lookup(Inode(2), ".trash").value.inode, Inode(3));
  EXPECT_EQ(mounted->Lookup(kRootInode, "no").error, ENOENT);
  EXPECT_EQ(mounted->Lookup(Inode(77), "no").error, ENOENT);
  EXPECT_EQ(mounted->Lookup(Inode(3), "no").error, ENOTDIR);
  EXPECT_EQ(mounted->Lookup(kRootInode, Bytes(255, 'n')).error, ENOENT);
  EXPECT_EQ(mounted->Lookup(kRootInode, Bytes(256, 'n')).error, ENAMETOOLONG);
  const Answer<FileStatus> lost = mounted->Lookup(kRootInode, "lost");
  EXPECT_EQ(lost.error, 0);
  EXPECT_TRUE(lost.value.is_type_only);
  EXPECT_EQ(lost.value.mode, 0010000u);
  EXPECT_EQ(mounted->Stat(Inode(44)).error, ENOENT);
}

std::vector<Bytes> Names(const std::vector<DirectoryEntry>& entries) {
  std::vector<Bytes> names;
  for (const DirectoryEntry& entry : entries) {
    names.push_back(entry.name);
  }
  return names;
}

TEST(MountedView, DirectoriesAreInByteOrderBehindTheMadeUpNames) {
  TinyVolume volume;
  volume.Put(Inode(2), kTypeDirectory, 4096);
  volume.Put(Inode(3), kTypeFile, 5);
  const Dentry file = {kTypeFile, Inode(3)};
  volume.image.dentries[kRootInode] = {{"b", file}, {"B", file}, {"\xff", file}, {".a", file}, {".trash", file}, {"d", {kTypeDirectory, Inode(2)}}};
  const auto mounted = volume.Mount();
  EXPECT_THAT(Names(mounted->ReadDirectory(kRootInode, 0, 100).value), ElementsAre(".trash", ".", "..", ".a", "B", "b", "d", "\xff"));
  EXPECT_THAT(Names(mounted->ReadDirectory(Inode(2), 0, 100).value), ElementsAre(".", ".."));
  EXPECT_EQ(mounted->ReadDirectory(Inode(2), 0, 100).value[1].inode, kRootInode);
  EXPECT_EQ(mounted->ReadDirectory(Inode(3), 0, 100).error, ENOTDIR);
  EXPECT_EQ(mounted->ReadDirectory(Inode(9), 0, 100).error, ENOENT);
}

TEST(MountedView, PagesOfAnySizeGiveEveryNameOfALargeDirectoryOnce) {
  constexpr size_t kEntries = 12'345;
  TinyVolume volume;
  volume.Put(Inode(3), kTypeFile, 5);
  for (size_t i = 0; i < kEntries; ++i) {
    volume.image.dentries[kRootInode]["n" + std::to_string(i)] = {kTypeFile, Inode(3)};
  }
  const auto mounted = volume.Mount();
  const std::vector<DirectoryEntry> all = mounted->ReadDirectory(kRootInode, 0, SIZE_MAX).value;
  ASSERT_EQ(all.size(), kEntries + 3);
  for (const size_t page_size : {size_t{1}, size_t{7}, size_t{4096}, kEntries}) {
    std::vector<Bytes> names;
    uint64_t cursor = 0;
    for (std::vector<DirectoryEntry> page; page = mounted->ReadDirectory(kRootInode, cursor, page_size).value, !page.empty();) {
      ASSERT_LE(page.size(), page_size);
      cursor = page.back().cursor;
      const std::vector<Bytes> more = Names(page);
      names.insert(names.end(), more.begin(), more.end());
    }
    EXPECT_EQ(names, Names(all)) << page_size;
  }
  // A reader may come back to any place that it was told.
  EXPECT_EQ(mounted->ReadDirectory(kRootInode, all[9'999].cursor, 1).value[0].name, all[10'000].name);
  EXPECT_TRUE(mounted->ReadDirectory(kRootInode, all.back().cursor, 10).value.empty());
  EXPECT_TRUE(mounted->ReadDirectory(kRootInode, UINT64_MAX, 10).value.empty());
}

TEST(MountedView, LinksAndExtendedAttributesAnswerWithErrno) {
  TinyVolume volume;
  volume.Put(Inode(2), kTypeSymlink, 3);
  volume.Put(Inode(3), kTypeSymlink, 3);
  Attr& attr = volume.Put(Inode(4), kTypeDirectory, 4096);
  attr.access_acl = 7;
  attr.default_acl = 8;
  volume.image.symlinks[Inode(2)] = "a/b";
  volume.image.xattrs[Inode(4)] = {{"user.b", "x"}, {"user.a", ""}};
  volume.image.acl_rules[7] = {6, 4, 0xFFFF, 0, {}, {}};
  const auto mounted = volume.Mount();
  EXPECT_EQ(mounted->ReadLink(Inode(2)).value, "a/b");
  EXPECT_EQ(mounted->ReadLink(Inode(3)).error, EIO);
  EXPECT_EQ(mounted->ReadLink(Inode(4)).error, EINVAL);
  EXPECT_EQ(mounted->ReadLink(Inode(5)).error, ENOENT);
  EXPECT_THAT(mounted->ListXattrs(Inode(4)).value, ElementsAre("user.a", "user.b", "system.posix_acl_access", "system.posix_acl_default"));
  EXPECT_EQ(mounted->GetXattr(Inode(4), "user.a").error, 0);
  EXPECT_EQ(mounted->GetXattr(Inode(4), "user.c").error, ENODATA);
  EXPECT_EQ(mounted->GetXattr(Inode(4), "system.posix_acl_access").value, PosixAclXattr({6, 4, 0xFFFF, 0, {}, {}}));
  EXPECT_EQ(mounted->GetXattr(Inode(4), "system.posix_acl_default").error, ENODATA);  // its rule is lost
  EXPECT_EQ(mounted->GetXattr(Inode(4), Bytes(256, 'n')).error, ERANGE);
  EXPECT_EQ(mounted->GetXattr(kTrashInode, "user.a").error, ENODATA);
  EXPECT_EQ(mounted->ListXattrs(Inode(kTrashInode.value() + 1)).error, ENODATA);
  EXPECT_EQ(mounted->ListXattrs(Inode(5)).error, ENOENT);
}

// The numbers are those of real mounts of `rich`, of its capacity set to 1,000 bytes and 100 inodes, and of one that may write.
TEST(MountedView, StatFsShowsTheVolumeAndBelowAQuotaTheQuota) {
  constexpr uint64_t kBlock = 4096;
  const auto mounted = Mounted("rich");
  const StatFs root = mounted->StatFileSystem(kRootInode);
  EXPECT_EQ(root.total_bytes / kBlock, 274877906944u);
  EXPECT_EQ(root.available_bytes / kBlock, 274609451895u);
  EXPECT_EQ(root.used_inodes + root.available_inodes, 10486151u);
  EXPECT_EQ(root.available_inodes, 10485760u);
  const Inode quota = mounted->Lookup(kRootInode, "quota").value.inode;
  for (const Inode inode : {quota, mounted->Lookup(quota, "q0").value.inode}) {
    const StatFs below = mounted->StatFileSystem(inode);
    EXPECT_EQ(below.total_bytes / kBlock, 262144u);
    EXPECT_EQ(below.available_bytes / kBlock, 262019u);
    EXPECT_EQ(below.used_inodes + below.available_inodes, 100u);
    EXPECT_EQ(below.available_inodes, 95u);
  }
  VolumeImage small = mounted->image();
  small.setting->format.capacity_bytes = 1000;
  small.setting->format.inodes = 100;
  const StatFs full = StatVolume(small);
  EXPECT_EQ(full.total_bytes / kBlock, 268455049u);
  EXPECT_EQ(full.available_bytes, 0u);
  EXPECT_EQ(full.used_inodes + full.available_inodes, 391u);
  EXPECT_EQ(full.available_inodes, 0u);
}

TEST(MountedView, AQuotaAboveOrOneThatIsOverdrawnLimitsTheNearestOne) {
  TinyVolume volume;
  volume.image.setting->format.dir_stats = true;
  volume.Put(Inode(2), kTypeDirectory, 4096);
  volume.Put(Inode(3), kTypeDirectory, 4096).parent = Inode(2);
  volume.Put(Inode(4), kTypeDirectory, 4096).parent = Inode(4);  // damage: inside itself
  volume.image.dir_quotas[Inode(2)] = {1000, 10, 900, 3};
  volume.image.dir_quotas[Inode(3)] = {5000, 0, 600, -2};
  const auto mounted = volume.Mount();
  const StatFs inner = mounted->StatFileSystem(Inode(3));
  EXPECT_EQ(inner.available_bytes, 100u);
  EXPECT_EQ(inner.total_bytes, 700u);
  EXPECT_EQ(inner.used_inodes, 0u);
  EXPECT_EQ(inner.available_inodes, 7u);
  EXPECT_EQ(mounted->StatFileSystem(Inode(4)), StatVolume(mounted->image()));
  VolumeImage overdrawn = mounted->image();
  overdrawn.dir_quotas[Inode(2)].used_space = 1'500;
  EXPECT_EQ(StatFsOf(overdrawn, Inode(2)).available_bytes, 0u);
  EXPECT_EQ(StatFsOf(overdrawn, Inode(2)).total_bytes, 1'500u);
  overdrawn.setting->format.dir_stats = false;
  EXPECT_EQ(StatFsOf(overdrawn, Inode(2)), StatVolume(overdrawn));
}

TEST(MountedView, AnUnformattedVolumeHasNone) { EXPECT_EQ(MountedView::Make({}).error().code(), StatusCode::kNotFound); }

TEST(MountedView, ARootWithoutARecordIsMadeUp) {
  VolumeImage image;
  image.setting = DecodeSetting("{}").value();
  const auto mounted = MountedView::Make(std::move(image)).value();
  EXPECT_EQ(mounted->Stat(kRootInode).value.mode, 0040777u);
  EXPECT_THAT(Names(mounted->ReadDirectory(kRootInode, 0, 9).value), ElementsAre(".trash", ".", ".."));
  EXPECT_EQ(mounted->ListXattrs(kRootInode).error, 0);
}

}  // namespace
}  // namespace kvjury::juicefs
