// Every pair of the recorded real volumes decodes and comes back byte for byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fakes/base/compress.h"
#include "harness/juicefs/kv_text.h"
#include "harness/juicefs/record.h"
#include "harness/juicefs/test_volumes.h"

namespace kvjury::juicefs {
namespace {

TEST(RealVolumes, EveryPairDecodesAndComesBackByteForByte) {
  const std::map<std::string, size_t> expected = {{"rich", 1260}, {"crashed", 1229}, {"busy", 12530}};
  std::set<KeyKind> kinds;
  for (const auto& [name, count] : expected) {
    size_t pairs = 0;
    for (const auto& [key, value] : RealVolume(name)) {
      const Result<Record> record = DecodeRecord(key, value);
      ASSERT_TRUE(record.ok()) << name << " " << record.error();
      const auto [key_again, value_again] = EncodeRecord(*record);
      ASSERT_EQ(ToHex(key_again), ToHex(key)) << name;
      ASSERT_EQ(ToHex(value_again), ToHex(value)) << name << " " << record->key;
      kinds.insert(record->key.kind);
      ++pairs;
    }
    EXPECT_EQ(pairs, count) << name;
  }
  EXPECT_GE(kinds.size(), 18u);
}

TEST(RealVolumes, SettingsAreWrittenAnewByteForByte) {
  for (const std::string& name : RealVolumeNames()) {
    const Bytes& text = RealVolume(name).at("setting");
    EXPECT_EQ(EncodeFormat(DecodeSetting(text)->format), text) << name;
  }
}

TEST(KvText, PlainGzipAndZstdReadTheSamePairs) {
  const KeyValues& pairs = RealVolume("rich");
  const std::string text = FormatKvText(pairs);
  size_t read = 0;
  for (const Bytes& file : {text, GzipCompress(text), ZstdCompress(text)}) {
    const Result<KeyValues> again = ParseKvText("file", file);
    ASSERT_TRUE(again.ok()) << again.error();
    EXPECT_TRUE(*again == pairs);
    ++read;
  }
  EXPECT_EQ(read, 3u);
  EXPECT_EQ(text, ReadVolumeText("rich", "kv.tsv.gz"));
}

TEST(KvText, AcceptsSpacesEmptyFieldsAndAMissingLastNewline) {
  const KeyValues pairs = ParseKvText("f", "61 62\n\t00\n63\t").value();
  EXPECT_EQ(pairs, (KeyValues{{"", Bytes(1, '\0')}, {"a", "b"}, {"c", ""}}));
}

TEST(KvText, ErrorsNameFileLineAndWhatWasExpected) {
  const std::map<std::string, std::string> wrong = {
      {"61\t62\n6162\n", "f.txt line 2: expected a hex key, a tab or space, and a hex value"},
      {"61\t62\n\n", "f.txt line 2: expected a hex key, a tab or space, and a hex value"},
      {"6g\t62", "f.txt line 1: expected a hex key: not a hex digit at offset 1"},
      {"61\t6", "f.txt line 1: expected a hex value after the key: odd number of hex digits (1)"},
      {"61\t62\r\n", "f.txt line 1: expected a hex value after the key: odd number of hex digits (3)"},
      {"61\t62\n61\t63\n", "f.txt line 2: expected every key once, found 61 again"},
  };
  for (const auto& [text, message] : wrong) {
    const Result<KeyValues> pairs = ParseKvText("f.txt", text);
    ASSERT_FALSE(pairs.ok()) << text;
    EXPECT_EQ(pairs.error().code(), StatusCode::kDataLoss);
    EXPECT_EQ(pairs.error().message(), message);
  }
  const Bytes zip = GzipCompress("61\t62\n");
  EXPECT_THAT(ParseKvText("f.gz", std::string_view(zip).substr(0, 12)).error().message(),
              testing::HasSubstr("f.gz: gzip stream is truncated"));
}

}  // namespace
}  // namespace kvjury::juicefs
