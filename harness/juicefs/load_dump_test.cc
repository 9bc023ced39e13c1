// What our loads make of dumps against what the real program put into a store, key by key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fakes/base/compress_stream.h"
#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/kv_text.h"
#include "harness/juicefs/load_json.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/write_dump.h"

namespace kvjury::juicefs {
namespace {

/// Gives a few bytes at a time.
class SlowSource : public ByteSource {
 public:
  explicit SlowSource(std::string_view bytes) : source_(bytes) {}
  Result<size_t> Read(char* out, size_t capacity) override { return source_.Read(out, std::min<size_t>(capacity, 7)); }

 private:
  MemorySource source_;
};

Result<KeyValues> LoadJson(std::string_view text) {
  KeyValues pairs;
  KeyValuesTarget target(&pairs);
  SlowSource source(text);
  const Result<LoadReport> report = LoadDumpJson("d.json", &source, &target);
  return report.ok() ? Result<KeyValues>(std::move(pairs)) : report.error();
}

KeyValues LoadBinary(std::string_view bytes) {
  KeyValues pairs;
  KeyValuesTarget target(&pairs);
  SlowSource source(bytes);
  CHECK(LoadDumpBinary("d.bin", &source, &target).ok());
  return pairs;
}

Bytes JsonDumpOf(const KeyValues& records) {
  Bytes out;
  MemorySink sink(&out);
  CHECK(WriteDumpJson(records, {}, &sink).ok());
  return out;
}

void ExpectSamePairs(const KeyValues& ours, const KeyValues& real) {
  for (const auto& [key, value] : real) {
    const auto found = ours.find(key);
    EXPECT_TRUE(found != ours.end() && found->second == value)
        << DescribeKey(key) << " real " << ToHex(value) << " ours " << (found == ours.end() ? "none" : ToHex(found->second));
  }
  for (const auto& [key, value] : ours) {
    EXPECT_TRUE(real.count(key) != 0) << "only ours: " << DescribeKey(key) << " " << ToHex(value);
  }
}

TEST(LoadOfTheOddVolume, EqualsWhatTheRealProgramPut) {
  const KeyValues json = ParseKvText("loaded", ReadVolumeFile("odd", "loaded-json.tsv.gz")).value();
  EXPECT_EQ(json.size(), 151u);
  ExpectSamePairs(LoadJson(ReadVolumeText("odd", "dump.json.gz")).value(), json);
  const KeyValues binary = ParseKvText("loaded", ReadVolumeFile("odd", "loaded-bin.tsv.gz")).value();
  EXPECT_EQ(binary.size(), 157u);
  ExpectSamePairs(LoadBinary(ReadVolumeText("odd", "dump.bin.gz")), binary);
}

class LoadOfARealVolume : public testing::TestWithParam<std::string> {};

TEST_P(LoadOfARealVolume, ShowsTheVolumeThatWasDumpedFromBothForms) {
  const View source = BuildView(BuildImage(RealVolume(GetParam()))).value();
  for (const KeyValues& loaded : {LoadJson(ReadVolumeText(GetParam(), "dump.json.gz")).value(), LoadBinary(ReadVolumeText(GetParam(), "dump.bin.gz"))}) {
    const View view = BuildView(BuildImage(loaded)).value();
    EXPECT_THAT(view.problems, testing::IsEmpty());
    const ViewDiff diff = DiffViews(view, source);
    EXPECT_GT(diff.entries_compared, 300u);
    for (const ViewDifference& difference : diff.differences) {
      // Files that were deleted while open are given up by the JSON form.
      EXPECT_TRUE(GetParam() == "crashed" && difference.field.rfind("statfs.", 0) == 0) << difference.ToString();
    }
  }
}

TEST_P(LoadOfARealVolume, OfItsOwnDumpIsItself) {
  const KeyValues once = LoadJson(ReadVolumeText(GetParam(), "dump.json.gz")).value();
  ExpectSamePairs(LoadJson(JsonDumpOf(once)).value(), once);
}

INSTANTIATE_TEST_SUITE_P(Volumes, LoadOfARealVolume, testing::ValuesIn(RealVolumeNames()), [](const auto& volume) { return volume.param; });

constexpr char kFront[] = R"({"Setting": {"Name": "v"}, "Counters": {}, "FSTree": {"attr": {"inode": 1, "type": "directory"}, "entries": {)";

std::string File(int inode, int length) {
  return R"({"attr": {"inode": )" + std::to_string(inode) + R"(, "type": "regular", "nlink": 9, "length": )" + std::to_string(length) + "}}";
}

TEST(LoadOfATornDump, AnInodeInTwoPlacesIsTheFirstOfThemWithTwoLinks) {
  const std::string directory = R"({"attr": {"inode": 5, "type": "directory"}, "entries": {"f": )" + File(6, 10) + "}}";
  const std::string moved = R"({"attr": {"inode": 5, "type": "directory"}, "entries": {"f": )" + File(6, 10) + R"(, "late": )" + File(7, 5000) + "}}";
  const KeyValues pairs = LoadJson(kFront + (R"("a": )" + directory) + R"(, "b": )" + moved + "}}}").value();
  const VolumeImage image = BuildImage(pairs);
  EXPECT_TRUE(image.problems.empty());
  EXPECT_EQ(image.dentries.at(kRootInode).size(), 2u);
  EXPECT_EQ(image.dentries.at(Inode(5)).size(), 1u) << "names of the second place are not loaded";
  EXPECT_NE(image.FindAttr(Inode(7)), nullptr) << "its new inodes are, and nobody names them";
  EXPECT_EQ(image.FindAttr(Inode(5))->nlink, 2u);
  EXPECT_EQ(image.FindAttr(Inode(5))->parent, Inode());
  EXPECT_EQ(image.link_counts.at(Inode(5)), (std::map<Inode, int64_t>{{kRootInode, 2}}));
  EXPECT_EQ(image.link_counts.at(Inode(6)), (std::map<Inode, int64_t>{{Inode(5), 2}}));
  EXPECT_EQ(image.Counter("totalInodes"), 3);
  EXPECT_EQ(image.Counter("usedSpace"), 4096 + 4096 + 8192);
  EXPECT_EQ(image.FindAttr(kRootInode)->nlink, 4u);
}

TEST(LoadOfATornDump, TwoNamesThatEscapeAlikeAreOneAndCountOnce) {
  const KeyValues pairs = LoadJson(kFront + (R"("%EF": )" + File(6, 10)) + R"(, "m": )" + File(7, 1) + R"(, "%EF": )" + File(8, 5000) + "}}}").value();
  EXPECT_EQ(pairs.at(EncodeKey(DentryKey(kRootInode, "\xEF"))), EncodeDentry({kTypeFile, Inode(8)})) << "the last one";
  EXPECT_EQ(pairs.at(EncodeKey(DirStatKey(kRootInode))), EncodeDirStat({5001, 8192 + 4096, 2}));
}

TEST(LoadDumpJson, WrongFormsAreNamed) {
  const std::map<std::string, std::string> wrong = {
      {R"({"Setting": {}, "FSTree": {"attr": {"inode": 1, "type": "directory"}}})", "d.json: expected the member Counters"},
      {R"({"Counters": {}})", "d.json: expected the member Setting"},
      {R"({"FSTree": {"entries": {"a": {}}}})", "d.json: entry \"\": expected attr before entries"},
      {R"({"FSTree": {"attr": {"inode": 1, "type": "unknown"}}})",
       "d.json: entry \"\", attr: member \"type\": expected one of regular, directory, symlink, fifo, blockdev, chardev, socket"},
  };
  for (const auto& [text, message] : wrong) {
    const Result<KeyValues> loaded = LoadJson(text);
    ASSERT_FALSE(loaded.ok()) << text;
    EXPECT_EQ(loaded.error().message(), message);
    EXPECT_EQ(loaded.error().code(), StatusCode::kDataLoss);
  }
  const Bytes whole = ReadVolumeText("odd", "dump.json.gz");
  for (size_t size = 0; size + 2 < whole.size(); size += 997) {
    EXPECT_EQ(LoadJson(std::string_view(whole).substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
}

/// A store that breaks.
class BrokenTarget : public LoadTarget {
 public:
  explicit BrokenTarget(uint64_t puts) : left_(puts) {}
  Status Put(const Bytes&, const Bytes&) override { return left_-- == 0 ? Status::Unavailable("gone") : Status::Ok(); }
  Result<std::optional<Bytes>> Get(const Bytes&) override { return Status::Unavailable("gone"); }

 private:
  uint64_t left_;
};

TEST(LoadDump, AnErrorOfTheTargetEndsIt) {
  for (const uint64_t puts : {0, 1, 60, 140}) {
    BrokenTarget json(puts);
    const Bytes text = ReadVolumeText("odd", "dump.json.gz");
    MemorySource json_source(text);
    EXPECT_EQ(LoadDumpJson("d", &json_source, &json).status().code(), StatusCode::kUnavailable);
    BrokenTarget binary(puts);
    const Bytes bytes = ReadVolumeText("odd", "dump.bin.gz");
    MemorySource binary_source(bytes);
    EXPECT_EQ(LoadDumpBinary("d", &binary_source, &binary).status().code(), StatusCode::kUnavailable);
  }
}

}  // namespace
}  // namespace kvjury::juicefs
