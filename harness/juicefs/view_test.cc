// The view against what kernel mounts showed, and its comparison.
#include "harness/juicefs/view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "fakes/base/compress.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/view_json.h"

namespace kvjury::juicefs {
namespace {

View ViewOf(const KeyValues& pairs) { return BuildView(BuildImage(pairs)).value(); }

const ViewDiffOptions kAllButContent = {false, false, true};

class RealView : public testing::TestWithParam<std::string> {};

TEST_P(RealView, EqualsTheMountInEveryEntryAndFieldBothWays) {
  const std::map<std::string, uint64_t> entries = {{"rich", 396}, {"crashed", 382}, {"busy", 4510}};
  const View mounted = ParseViewJson("mount.jsonl.gz", ReadVolumeFile(GetParam(), "mount.jsonl.gz")).value();
  const View computed = ViewOf(RealVolume(GetParam()));
  EXPECT_THAT(computed.problems, testing::IsEmpty());
  for (const bool swapped : {false, true}) {
    const ViewDiff diff = swapped ? DiffViews(mounted, computed, kAllButContent) : DiffViews(computed, mounted, kAllButContent);
    for (const ViewDifference& difference : diff.differences) {
      ADD_FAILURE() << difference.ToString();
    }
    EXPECT_EQ(diff.entries_compared, entries.at(GetParam()));
    EXPECT_GE(diff.fields_compared, 11 * diff.entries_compared - 3);
  }
}

TEST_P(RealView, LinesAreThoseOfTheRecordedWalkToTheByte) {
  std::map<Bytes, std::string> recorded;
  const Bytes text = ReadVolumeText(GetParam(), "mount.jsonl.gz");
  const std::string hash = "\"sha256\": \"";
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    std::string line = text.substr(begin, end - begin);
    const View one = ParseViewJson("line", line).value();
    if (const size_t at = line.find(hash); at != std::string::npos) {
      line.erase(at, line.find("\", ", at) + 3 - at);
    }
    recorded[one.entries.begin()->first] = line;
    begin = end + 1;
  }
  size_t compared = 0;
  for (auto [path, entry] : ViewOf(RealVolume(GetParam())).entries) {
    if (path == kTrashName) {
      continue;  // its times are those of the mount
    }
    entry.content.clear();
    ASSERT_EQ(ViewEntryJson(path, entry), recorded.at(path));
    ++compared;
  }
  EXPECT_EQ(compared + 1, recorded.size());
}

TEST_P(RealView, JsonTextComesBack) {
  const View view = ViewOf(RealVolume(GetParam()));
  const View again = ParseViewJson("view", ZstdCompress(ViewJson(view))).value();
  const ViewDiff diff = DiffViews(view, again);
  EXPECT_TRUE(diff.same());
  EXPECT_EQ(diff.entries_compared, view.entries.size());
  EXPECT_THAT(ViewJson(view), testing::HasSubstr("\", \"content\": \"xxh3:"));
}

TEST_P(RealView, EveryShownInodeHasAPath) {
  const View view = ViewOf(RealVolume(GetParam()));
  EXPECT_EQ(view.PathOfInode(kRootInode), ".");
  EXPECT_EQ(view.PathOfInode(kTrashInode), ".trash");
  EXPECT_EQ(view.PathOfInode(Inode(999'999)), std::nullopt);
  for (const auto& [path, entry] : view.entries) {
    ASSERT_TRUE(view.PathOfInode(entry.inode).has_value());
    ASSERT_LE(*view.PathOfInode(entry.inode), path);
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, RealView, testing::ValuesIn(RealVolumeNames()));

/// A small formatted volume for cases that no recorded one has.
struct TinyVolume {
  KeyValues pairs;

  TinyVolume() {
    pairs["setting"] = "{}";
    PutAttr(kRootInode, kTypeDirectory, kRootInode);
  }
  void Put(const Key& key, const RecordValue& value) { pairs[EncodeKey(key)] = EncodeValue(key, value); }
  void PutAttr(Inode inode, uint8_t type, Inode parent) {
    Attr attr;
    attr.type = type;
    attr.mode = 0755;
    attr.parent = parent;
    attr.nlink = type == kTypeDirectory ? 2 : 1;
    attr.length = type == kTypeDirectory ? kDirectoryBytes : 0;
    Put(AttrKey(inode), attr);
  }
  void Link(Inode directory, const Bytes& name, uint8_t type, Inode inode) {
    Put(DentryKey(directory, name), Dentry{type, inode});
  }
};

TEST(View, TrashIsThereWithoutAnyRecord) {
  const View view = ViewOf(TinyVolume().pairs);
  ASSERT_EQ(view.entries.size(), 2u);
  const ViewEntry& trash = view.entries.at(".trash");
  EXPECT_EQ(trash.mode, 0040555u);
  EXPECT_EQ(trash.inode, kTrashInode);
  EXPECT_EQ(trash.size, 0u);
}

TEST(View, AnUnformattedVolumeHasNone) {
  EXPECT_EQ(BuildView(BuildImage({})).error().code(), StatusCode::kNotFound);
}

TEST(View, ACycleAndAMissingInodeAreProblemsAndTheWalkEnds) {
  TinyVolume volume;
  volume.PutAttr(Inode(2), kTypeDirectory, kRootInode);
  volume.Link(kRootInode, "d", kTypeDirectory, Inode(2));
  volume.Link(Inode(2), "back", kTypeDirectory, Inode(2));
  volume.Link(Inode(2), "root", kTypeDirectory, kRootInode);
  volume.Link(Inode(2), "lost", kTypeFile, Inode(77));
  const View view = ViewOf(volume.pairs);
  EXPECT_EQ(view.entries.size(), 6u);
  EXPECT_EQ(view.problems.size(), 3u);
  EXPECT_EQ(view.entries.at("d/lost").mode, 0100000u);
  EXPECT_EQ(view.PathOfInode(kRootInode), ".");
}

TEST(View, DeepTreesAreWalkedWithoutRecursionUpToTheBound) {
  TinyVolume volume;
  constexpr uint64_t kDepth = 9'000;
  Inode parent = kRootInode;
  for (uint64_t i = 2; i < kDepth; ++i) {
    volume.PutAttr(Inode(i), kTypeDirectory, parent);
    volume.Link(parent, "d", kTypeDirectory, Inode(i));
    parent = Inode(i);
  }
  const View view = ViewOf(volume.pairs);
  EXPECT_GT(view.entries.size(), kPathBytesMax / 2);
  ASSERT_EQ(view.problems.size(), 1u);
  EXPECT_THAT(view.problems[0].text, testing::HasSubstr("path longer than"));
}

TEST(View, StatFsFollowsCapacityAndUsage) {
  TinyVolume volume;
  const StatFs open = *ViewOf(volume.pairs).statfs;
  EXPECT_EQ(open.total_bytes, uint64_t{1} << 50);
  EXPECT_EQ(open.available_inodes, uint64_t{10} << 20);
  volume.Put(CounterKey("usedSpace"), int64_t{1} << 50);
  volume.Put(CounterKey("totalInodes"), int64_t{100} << 20);
  const StatFs grown = *ViewOf(volume.pairs).statfs;
  EXPECT_EQ(grown.total_bytes, uint64_t{1} << 51);
  EXPECT_EQ(grown.available_bytes, uint64_t{1} << 50);
  EXPECT_EQ(grown.available_inodes, uint64_t{40} << 20);
  volume.pairs["setting"] = "{\"Capacity\": 1000, \"Inodes\": 7}";
  const StatFs full = *ViewOf(volume.pairs).statfs;
  EXPECT_EQ(full.total_bytes, uint64_t{1} << 50);  // what is used, as it is more
  EXPECT_EQ(full.available_bytes, 0u);
  EXPECT_EQ(full.available_inodes, 0u);
}

TEST(ViewDiff, EveryFieldIsSeenAndNamed) {
  const View left = ViewOf(RealVolume("rich"));
  const Bytes file = "data/sparse.bin";
  const std::map<std::string, std::function<void(ViewEntry*)>> changes = {
      {"inode", [](ViewEntry* e) { e->inode = Inode(9999); }},
      {"mode", [](ViewEntry* e) { e->mode ^= 1; }},
      {"uid", [](ViewEntry* e) { ++e->uid; }},
      {"gid", [](ViewEntry* e) { ++e->gid; }},
      {"rdev", [](ViewEntry* e) { ++e->rdev; }},
      {"size", [](ViewEntry* e) { ++e->size; }},
      {"nlink", [](ViewEntry* e) { ++e->nlink; }},
      {"atime_ns", [](ViewEntry* e) { ++e->atime_ns; }},
      {"mtime_ns", [](ViewEntry* e) { ++e->mtime_ns; }},
      {"ctime_ns", [](ViewEntry* e) { ++e->ctime_ns; }},
      {"target", [](ViewEntry* e) { e->target = "x"; }},
      {"content", [](ViewEntry* e) { e->content = "other"; }},
      {"xattrs.user.x", [](ViewEntry* e) { e->xattrs["user.x"] = ""; }},
  };
  for (const auto& [field, change] : changes) {
    View right = left;
    change(&right.entries.at(file));
    for (const bool swapped : {false, true}) {
      const ViewDiff diff = swapped ? DiffViews(right, left) : DiffViews(left, right);
      ASSERT_EQ(diff.differences.size(), 1u) << field;
      EXPECT_EQ(diff.differences[0].field, field);
      EXPECT_EQ(diff.differences[0].path, file);
      EXPECT_FALSE(diff.same());
    }
  }
}

TEST(ViewDiff, EntriesOfOneSideAndStatFsAreSeenAndEmptyIsNotSame) {
  const View left = ViewOf(RealVolume("rich"));
  View right = left;
  right.entries.erase("docs");
  right.statfs->used_inodes += 1;
  right.entries.at(".trash").mtime_ns = 5;
  const ViewDiff diff = DiffViews(left, right);
  ASSERT_EQ(diff.differences.size(), 2u);
  EXPECT_EQ(diff.differences[0].ToString(), "docs: entry: inode 2 against absent");
  EXPECT_EQ(diff.differences[1].field, "statfs.used_inodes");
  EXPECT_EQ(diff.entries_only_left, 1u);
  EXPECT_EQ(DiffViews(right, left).entries_only_right, 1u);
  EXPECT_EQ(DiffViews(left, right, {true, true, false}).differences.size(), 2u);  // the trash root's time, the entry
  EXPECT_FALSE(DiffViews(View(), View()).same());
}

TEST(ViewJson, ErrorsNameFileLineAndMember) {
  const std::string good = ViewEntryJson("a", ViewEntry());
  EXPECT_EQ(ParseViewJson("v", good)->entries.size(), 1u);
  EXPECT_THAT(ParseViewJson("v", good + "\n[]").error().message(), testing::HasSubstr("v line 2: expected a JSON object"));
  EXPECT_THAT(ParseViewJson("v", good + "\n" + good).error().message(), testing::HasSubstr("every path once"));
  std::string wrong = good;
  wrong.replace(wrong.find("0o0"), 3, "755");
  EXPECT_THAT(ParseViewJson("v", wrong).error().message(), testing::HasSubstr("member mode"));
}

}  // namespace
}  // namespace kvjury::juicefs
