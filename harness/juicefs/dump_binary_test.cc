// The records of a binary dump against those of the volume that it was made from.
#include "harness/juicefs/dump_binary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fakes/base/compress.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/values.h"
#include "harness/juicefs/view_diff.h"

namespace kvjury::juicefs {
namespace {

using testing::HasSubstr;

class RealBinaryDump : public testing::TestWithParam<std::string> {
 protected:
  static KeyValues Dump() { return ReadDumpBinary("dump.bin.gz", ReadVolumeFile(GetParam(), "dump.bin.gz")).value(); }
};

TEST_P(RealBinaryDump, HoldsEveryRecordByteForByteButThoseThatItSaysItLoses) {
  const std::set<KeyKind> lost = {KeyKind::kSessionExpiry, KeyKind::kSessionInfo, KeyKind::kSessionHeartbeat, KeyKind::kFlocks,
                                  KeyKind::kPlocks,        KeyKind::kDelayedSlices, KeyKind::kDetached,        KeyKind::kCounter};
  const KeyValues dump = Dump();
  KeyValues records = RealVolume(GetParam());
  for (const auto& [key, value] : dump) {
    const auto record = records.find(key);
    if (record == records.end() && key == EncodeKey(CounterKey("nextTrash"))) {
      EXPECT_EQ(value, EncodeInt64Le(0)) << "one that is absent is dumped as 0";
      continue;
    }
    ASSERT_NE(record, records.end()) << DescribeKey(key);
    EXPECT_EQ(ToHex(record->second), ToHex(value)) << DescribeKey(key);
    records.erase(record);
  }
  EXPECT_GT(dump.size(), 1'000U);
  for (const auto& [key, value] : records) {
    EXPECT_TRUE(lost.contains(ParseKey(key)->kind)) << DescribeKey(key);
  }
}

TEST_P(RealBinaryDump, ShowsTheSameVolume) {
  const ViewDiff diff = DiffViews(BuildView(BuildImage(Dump())).value(), BuildView(BuildImage(RealVolume(GetParam()))).value());
  EXPECT_TRUE(diff.differences.empty()) << diff.differences.front().ToString();
  EXPECT_GT(diff.entries_compared, 300U);
}

INSTANTIATE_TEST_SUITE_P(Volumes, RealBinaryDump, testing::ValuesIn(RealVolumeNames()), [](const auto& volume) { return volume.param; });

std::string WhyNot(std::string_view bytes) {
  const Result<KeyValues> read = ReadDumpBinary("d.bin", bytes);
  CHECK(!read.ok());
  return read.status().message();
}

TEST(DumpBinary, DamageIsToldWithItsPlace) {
  const Bytes whole = ReadVolumeText("rich", "dump.bin.gz");
  ASSERT_TRUE(ReadDumpBinary("d.bin", whole).ok());
  EXPECT_THAT(WhyNot(""), HasSubstr("d.bin, offset 0: expected a segment or the end mark"));
  EXPECT_THAT(WhyNot(whole.substr(0, 40)), HasSubstr("so many are not there"));
  EXPECT_THAT(WhyNot(whole.substr(0, whole.size() - 1)), HasSubstr("expected a footer"));
  EXPECT_THAT(WhyNot(Bytes("\0\0\0\x63", 4) + whole), HasSubstr("offset 0: expected a segment of a type up to 15, got 99"));
  Bytes other_node = whole;
  other_node[600] = static_cast<char>(other_node[600] ^ 0x7f);
  EXPECT_FALSE(ReadDumpBinary("d.bin", other_node).ok() && ReadDumpBinary("d.bin", other_node).value() == ReadDumpBinary("d.bin", whole).value());
  // A segment that is left out parses, and is missed.
  const size_t first = 12 + 384;
  const size_t second = 12 + 102;
  EXPECT_THAT(WhyNot(whole.substr(0, first) + whole.substr(first + second)), HasSubstr("the footer tells of 6 records of the kind counter, there are 0"));
}

}  // namespace
}  // namespace kvjury::juicefs
