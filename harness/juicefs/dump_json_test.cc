// The view of a JSON dump against the view of the records it was made from.
#include "harness/juicefs/dump_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fakes/base/compress.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/view_diff.h"

namespace kvjury::juicefs {
namespace {

class RealDump : public testing::TestWithParam<std::string> {
 protected:
  const JsonDump& dump() const {
    static std::map<std::string, JsonDump> cache;
    auto found = cache.find(GetParam());
    if (found == cache.end()) {
      found = cache.emplace(GetParam(), ReadDumpJson("dump.json.gz", ReadVolumeFile(GetParam(), "dump.json.gz")).value()).first;
    }
    return found->second;
  }
};

TEST_P(RealDump, ViewEqualsTheViewOfTheRecordsBothWaysContentIncluded) {
  const std::map<std::string, uint64_t> entries = {{"rich", 396}, {"crashed", 382}, {"busy", 4510}};
  EXPECT_THAT(dump().problems, testing::IsEmpty());
  const View from_dump = BuildView(dump().image).value();
  const View from_records = BuildView(BuildImage(RealVolume(GetParam()))).value();
  EXPECT_THAT(from_dump.problems, testing::IsEmpty());
  for (const bool swapped : {false, true}) {
    const ViewDiff diff = swapped ? DiffViews(from_records, from_dump) : DiffViews(from_dump, from_records);
    for (const ViewDifference& difference : diff.differences) {
      ADD_FAILURE() << difference.ToString();
    }
    EXPECT_EQ(diff.entries_compared, entries.at(GetParam()));
    EXPECT_GE(diff.fields_compared, 12 * diff.entries_compared);
  }
  EXPECT_EQ(dump().entry_count + 2, from_dump.entries.size());
}

TEST_P(RealDump, CarriesSettingCountersSustainedFilesAndQuotaLimits) {
  const VolumeImage records = BuildImage(RealVolume(GetParam()));
  EXPECT_EQ(dump().image.setting->format, records.setting->format);
  for (const char* counter : {"usedSpace", "totalInodes", "nextInode", "nextChunk", "nextSession", "nextTrash"}) {
    EXPECT_EQ(dump().image.Counter(counter), records.Counter(counter)) << counter;
  }
  EXPECT_EQ(dump().image.sustained, records.sustained);
  EXPECT_EQ(dump().image.dir_quotas.size(), records.dir_quotas.size());
  for (const auto& [inode, quota] : records.dir_quotas) {
    EXPECT_EQ(dump().image.dir_quotas.at(inode).max_space, quota.max_space);
    EXPECT_EQ(dump().image.dir_quotas.at(inode).max_inodes, quota.max_inodes);
  }
}

TEST_P(RealDump, TheListedLossesAreRealAndTheRestIsCarried) {
  std::set<std::string> names;
  for (const JsonDumpLoss& loss : JsonDumpLosses()) {
    EXPECT_TRUE(names.insert(loss.name).second) << loss.name;
    EXPECT_FALSE(loss.sentence.empty());
  }
  EXPECT_GE(names.size(), 12u);
  const VolumeImage& image = dump().image;
  EXPECT_TRUE(image.slice_references.empty() && image.delayed_slices.empty());                       // slice-references
  EXPECT_TRUE(image.link_counts.empty());                                                            // link-records
  EXPECT_TRUE(image.dir_stats.empty());                                                              // directory-statistics
  EXPECT_TRUE(image.session_expiries.empty() && image.flocks.empty() && image.plocks.empty());       // sessions
  for (const auto& [session, inode] : image.sustained) {
    EXPECT_EQ(image.FindAttr(inode), nullptr);                                                       // unreachable
  }
  const VolumeImage records = BuildImage(RealVolume(GetParam()));
  EXPECT_EQ(image.inodes.size() + image.sustained.size(),
            records.inodes.size() + (records.FindAttr(kTrashInode) == nullptr ? 1 : 0));             // trash-root
  EXPECT_EQ(image.symlinks, records.symlinks);
  EXPECT_EQ(image.xattrs, records.xattrs);
}

INSTANTIATE_TEST_SUITE_P(Recorded, RealDump, testing::ValuesIn(RealVolumeNames()));

TEST(DumpJson, PlainGzipAndZstdAreTheSameAndTruncationIsDataLoss) {
  const Bytes text = ReadVolumeText("crashed", "dump.json.gz");
  const uint64_t entries = ReadDumpJson("d", text)->entry_count;
  EXPECT_EQ(ReadDumpJson("d", GzipCompress(text))->entry_count, entries);
  EXPECT_EQ(ReadDumpJson("d", ZstdCompress(text))->entry_count, entries);
  size_t refused = 0;
  for (size_t size = 0; size + 2 < text.size(); size += 4999) {
    const Result<JsonDump> cut = ReadDumpJson("d.json", std::string_view(text).substr(0, size));
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code(), StatusCode::kDataLoss);
    EXPECT_THAT(cut.error().message(), testing::StartsWith("d.json: "));
    ++refused;
  }
  EXPECT_GT(refused, 30u);
}

TEST(DumpJson, EscapesAreUpperCaseHexOnly) {
  EXPECT_EQ(UnescapeDumpText("a%20b%FF%25"), "a b\xFF%");
  EXPECT_EQ(UnescapeDumpText("%0f%4"), "%0f%4");
  EXPECT_EQ(UnescapeDumpText("%"), "%");
  EXPECT_EQ(UnescapeDumpText("%2541"), "%41");
}

TEST(DumpJson, WrongFormsNameEntryAndMember) {
  const std::map<std::string, std::string> wrong = {
      {"[]", "d: member \"\": expected an object"},
      {"{\"FSTree\": 5}", "d: FSTree: expected an object"},
      {"{\"FSTree\": {}}", "d: entry \"\": expected attr with an inode"},
      {"{\"FSTree\": {\"entries\": []}}", "d: entry \"\", entries: expected an object"},
      {"{\"FSTree\": {\"entries\": {\"a\": 1}}}", "d: member \"a\": expected an object"},
      {"{\"FSTree\": {\"attr\": {\"inode\": \"1\"}}}", "d: entry \"\", attr: member \"inode\": expected a number of 0 or more"},
      {"{\"FSTree\": {\"attr\": {\"inode\": 1, \"type\": \"dir\"}}}",
       "d: entry \"\", attr: member \"type\": expected one of regular, directory, symlink, fifo, blockdev, chardev, socket"},
      {"{\"Quotas\": {\"x\": {}}}", "d: Quotas: expected an id, found \"x\""},
      {"{\"Setting\": []}", "d: setting of 2 bytes: expected a JSON object"},
  };
  for (const auto& [text, message] : wrong) {
    const Result<JsonDump> dump = ReadDumpJson("d", text);
    ASSERT_FALSE(dump.ok()) << text;
    EXPECT_EQ(dump.error().message(), message) << text;
  }
}

TEST(DumpJson, AHundredThousandLevelsNeedNoRecursion) {
  constexpr int kLevels = 100'000;
  std::string text = "{\"Setting\": {}, \"FSTree\": {\"attr\": {\"inode\": 1, \"type\": \"directory\"}";
  for (int i = 2; i < kLevels; ++i) {
    text += ",\"entries\":{\"d\":{\"attr\":{\"inode\":" + std::to_string(i) + ",\"type\":\"directory\"}";
  }
  text += "}";
  for (int i = 2; i < kLevels; ++i) {
    text += "}}";
  }
  text += "}";
  const Result<JsonDump> dump = ReadDumpJson("d", text);
  ASSERT_TRUE(dump.ok()) << dump.error();
  EXPECT_EQ(dump->entry_count, kLevels - 2u);
}

TEST(DumpJson, ContradictionsInsideADumpAreProblems) {
  const std::string file = "{\"attr\": {\"inode\": 2, \"type\": \"regular\", \"mode\": 420, \"nlink\": 2, \"length\": ";
  const std::string dump = "{\"Setting\": {}, \"FSTree\": {\"attr\": {\"inode\": 1, \"type\": \"directory\"}, \"entries\": {\"a\": " +
                           file + "5}}, \"b\": " + file + "6}}}}}";
  EXPECT_THAT(ReadDumpJson("d", dump)->problems, testing::ElementsAre("inode 2 is described in two ways"));
}

}  // namespace
}  // namespace kvjury::juicefs
