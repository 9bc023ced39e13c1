// Our dumps against those that the real program made of the same records, byte for byte.
#include "harness/juicefs/write_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/write_dump_binary.h"
#include "proto/juicefs/dump.pb.h"

namespace kvjury::juicefs {
namespace {

using testing::HasSubstr;

/// Fails with the first line that differs.
void ExpectSameBytes(const Bytes& ours, const Bytes& real) {
  EXPECT_EQ(ours.size(), real.size());
  const auto length = static_cast<std::ptrdiff_t>(std::min(ours.size(), real.size()));
  const auto at = static_cast<size_t>(std::mismatch(ours.begin(), ours.begin() + length, real.begin()).first - ours.begin());
  if (at < std::max(ours.size(), real.size())) {
    const size_t line = at == 0 ? 0 : ours.rfind('\n', at - 1) + 1;
    ADD_FAILURE() << "differs at byte " << at << "\nours: " << Printable(ours.substr(line, 300)) << "\nreal: " << Printable(real.substr(line, 300));
  }
}

Bytes JsonDumpOf(const KeyValues& records, const DumpOptions& options, DumpReport* report) {
  Bytes out;
  MemorySink sink(&out);
  *report = WriteDumpJson(records, options, &sink).value();
  EXPECT_TRUE(sink.Finish().ok());
  return out;
}

Bytes JsonDumpOf(const KeyValues& records, const DumpOptions& options = {}) {
  DumpReport report;
  return JsonDumpOf(records, options, &report);
}

Bytes BinaryDumpOf(const KeyValues& records, const DumpOptions& options = {}, const BinaryDumpOrder& order = {}) {
  Bytes out;
  MemorySink sink(&out);
  CHECK(WriteDumpBinary(records, options, &sink, order).ok());
  return out;
}

const KeyValues& Odd() { return RealVolume("odd"); }

class RecordedDump : public testing::TestWithParam<std::string> {};

TEST_P(RecordedDump, InJsonIsMadeAgainByteForByteWalkingAndFast) {
  for (const DumpForm form : {DumpForm::kWalk, DumpForm::kFast}) {
    DumpOptions options;
    options.form = form;
    DumpReport report;
    ExpectSameBytes(JsonDumpOf(RealVolume(GetParam()), options, &report), ReadVolumeText(GetParam(), "dump.json.gz"));
    EXPECT_GT(report.entry_count, 300u);
    EXPECT_THAT(report.problems, testing::IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(Volumes, RecordedDump, testing::ValuesIn(RealVolumeNames()), [](const auto& volume) { return volume.param; });

TEST(OddVolume, EveryFormInJsonIsTheRealOne) {
  DumpReport report;
  ExpectSameBytes(JsonDumpOf(Odd(), {}, &report), ReadVolumeText("odd", "dump.json.gz"));
  EXPECT_EQ(report.entry_count, 44u);
  EXPECT_THAT(report.problems, testing::ElementsAre("I(330) is not there"));
  DumpOptions fast;
  fast.form = DumpForm::kFast;
  ExpectSameBytes(JsonDumpOf(Odd(), fast), ReadVolumeText("odd", "dump-fast.json.gz"));
  DumpOptions without_trash;
  without_trash.skip_trash = true;
  without_trash.keep_secrets = true;
  ExpectSameBytes(JsonDumpOf(Odd(), without_trash), ReadVolumeText("odd", "dump-skip-trash.json.gz"));
  DumpOptions subdirectory = fast;
  subdirectory.root = FindDirectory(Odd(), "/data/").value();
  ExpectSameBytes(JsonDumpOf(Odd(), subdirectory), ReadVolumeText("odd", "dump-subdir.json.gz"));
  EXPECT_EQ(FindDirectory(Odd(), "data/many").error().message(), "no directory \"many\" in the directory 4");
}

/// What chance decided in a recorded binary dump.
struct Recorded {
  BinaryDumpOrder order;
  std::vector<std::pair<Bytes, Bytes>> tree;  // in the order in which its kinds hold them
};

Recorded OrderOf(const Bytes& dump) {
  Recorded recorded;
  recorded.order.last_batches.clear();
  size_t at = 0;
  ByteReader reader(dump);
  for (uint32_t kind = reader.Be32(); kind != kBinaryDumpEndMark; kind = reader.Be32()) {
    const std::string_view body = reader.Take(reader.Be64());
    const auto named = static_cast<SegmentKind>(kind);
    const std::vector<SegmentKind>& tree_kinds = BinaryDumpOrder().last_batches;
    if (std::find(tree_kinds.begin(), tree_kinds.end(), named) != tree_kinds.end()) {
      recorded.order.last_batches.push_back(named);
    }
    ::juicefs::Batch batch;
    CHECK(kind == 1 || batch.ParseFromArray(body.data(), static_cast<int>(body.size())));
    for (const auto& node : batch.node()) {
      recorded.tree.emplace_back(EncodeKey(AttrKey(Inode(node.inode()))), "");
    }
    for (const auto& edge : batch.edge()) {
      recorded.tree.emplace_back(EncodeKey(DentryKey(Inode(edge.parent()), edge.name())), "");
    }
    for (const auto& chunk : batch.chunk()) {
      recorded.tree.emplace_back(EncodeKey(ChunkKey(Inode(chunk.inode()), chunk.index())), "");
    }
    for (const auto& symlink : batch.symlink()) {
      recorded.tree.emplace_back(EncodeKey(SymlinkKey(Inode(symlink.inode()))), "");
    }
    for (const auto& xattr : batch.xattr()) {
      recorded.tree.emplace_back(EncodeKey(XattrKey(Inode(xattr.inode()), xattr.name())), "");
    }
    for (const auto& parent : batch.parent()) {
      recorded.tree.emplace_back(EncodeKey(LinkCountKey(Inode(parent.inode()), Inode(parent.parent()))), "");
    }
    ++at;
  }
  CHECK_GT(at, 10u);
  // Magic and version take seven bytes; then an entry of the map follows the other, its name first.
  std::string_view footer = reader.rest();
  footer.remove_suffix(kFooterLengthBytes);
  while (!footer.empty()) {
    ByteReader field(footer);
    const uint64_t tag = field.Varint();
    if (tag != (3u << 3 | 2u)) {
      static_cast<void>(field.Varint());
      footer = field.rest();
      continue;
    }
    ByteReader entry(field.Take(field.Varint()));
    CHECK_EQ(entry.Varint(), 1u << 3 | 2u);
    const std::string_view name = entry.Take(entry.Varint());
    for (uint32_t kind = 1; kind <= kSegmentKindCount; ++kind) {
      if (name == SegmentKindName(static_cast<SegmentKind>(kind))) {
        recorded.order.footer.push_back(static_cast<SegmentKind>(kind));
      }
    }
    footer = field.rest();
  }
  return recorded;
}

class RecordedBinaryDump : public testing::TestWithParam<std::string> {};

TEST_P(RecordedBinaryDump, IsMadeAgainByteForByteOnceTheOrderOfItsThreadsIsKnown) {
  const KeyValues& records = RealVolume(GetParam());
  const Bytes real = ReadVolumeText(GetParam(), "dump.bin.gz");
  const Recorded recorded = OrderOf(real);
  EXPECT_GT(recorded.tree.size(), 100u);
  Bytes ours;
  MemorySink sink(&ours);
  BinaryDumpSegments segments(&sink, recorded.order);
  const DumpHead head = DumpHeadOf(records, {}).value();
  ASSERT_TRUE(segments.Head(head, false).ok());
  for (const auto& [key, unused] : recorded.tree) {
    ASSERT_TRUE(segments.TreeRecord(key, records.at(key)).ok()) << DescribeKey(key);
  }
  ASSERT_TRUE(segments.EndTree().ok());
  ASSERT_TRUE(segments.Rest(head, records).ok());
  ExpectSameBytes(ours, real);
}

TEST_P(RecordedBinaryDump, InKeyOrderHoldsTheSameRecords) {
  const Bytes ours = BinaryDumpOf(RealVolume(GetParam()));
  EXPECT_EQ(ReadDumpBinary("ours", ours).value(), ReadDumpBinary("real", ReadVolumeFile(GetParam(), "dump.bin.gz")).value());
}

INSTANTIATE_TEST_SUITE_P(Volumes, RecordedBinaryDump, testing::Values("rich", "crashed", "busy", "odd"), [](const auto& volume) { return volume.param; });

TEST(WriteDumpBinary, KeepsSecretsOnlyWhenAsked) {
  const KeyValues without = ReadDumpBinary("d", BinaryDumpOf(Odd())).value();
  EXPECT_THAT(without.at("setting"), HasSubstr("\"EncryptKey\": \"removed\""));
  DumpOptions keep;
  keep.keep_secrets = true;
  EXPECT_THAT(ReadDumpBinary("d", BinaryDumpOf(Odd(), keep)).value().at("setting"), HasSubstr("\"EncryptKey\": \"encrypt\""));
}

TEST(WriteDumpBinary, WritesABatchWhenItIsFull) {
  KeyValues records = RealVolume("crashed");
  for (uint64_t i = 0; i < 20'001; ++i) {
    records[EncodeKey(AttrKey(Inode(1'000'000 + i)))] = records.at(EncodeKey(AttrKey(kRootInode)));
  }
  const Bytes dump = BinaryDumpOf(records);
  std::vector<size_t> nodes;
  ByteReader reader(dump);
  for (uint32_t kind = reader.Be32(); kind != kBinaryDumpEndMark; kind = reader.Be32()) {
    const std::string_view body = reader.Take(reader.Be64());
    ::juicefs::Batch batch;
    if (kind == static_cast<uint32_t>(SegmentKind::kNode) && batch.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      nodes.push_back(static_cast<size_t>(batch.node_size()));
    }
  }
  EXPECT_THAT(nodes, testing::ElementsAre(10'000, 10'000, 384));
  EXPECT_EQ(ReadDumpBinary("d", dump)->size(), ReadDumpBinary("d", BinaryDumpOf(RealVolume("crashed")))->size() + 20'001);
}

Status WhyNotJson(const KeyValues& records) {
  Bytes out;
  MemorySink sink(&out);
  return WriteDumpJson(records, {}, &sink).status();
}

TEST(WriteDump, WhatTheRealProgramCannotDumpIsAnError) {
  KeyValues loop = Odd();
  loop[EncodeKey(DentryKey(Inode(320), "again"))] = EncodeDentry({kTypeDirectory, Inode(4)});
  EXPECT_EQ(WhyNotJson(loop).ToString(), Status::DataLoss("the directory 4 is inside itself").ToString());
  KeyValues no_rule = Odd();
  no_rule.erase(EncodeKey(AclRuleKey(4)));
  EXPECT_EQ(WhyNotJson(no_rule).message(), "ACL rule 4 is used and not there");
  KeyValues short_inode = Odd();
  short_inode[EncodeKey(AttrKey(Inode(301)))].resize(40);
  EXPECT_EQ(WhyNotJson(short_inode).code(), StatusCode::kDataLoss);
  KeyValues no_setting = Odd();
  no_setting.erase("setting");
  EXPECT_EQ(WhyNotJson(no_setting).code(), StatusCode::kNotFound);
  KeyValues odd_name = Odd();
  odd_name[EncodeKey(XattrKey(Inode(310), "user.\xff\xc3\xa9"))] = "v";
  EXPECT_THAT(JsonDumpOf(odd_name), HasSubstr("{\"name\":\"user.\\ufffd\xc3\xa9\",\"value\":\"v\"}"));
  Bytes out;
  MemorySink sink(&out);
  EXPECT_EQ(WriteDumpBinary(odd_name, {}, &sink).status().code(), StatusCode::kUnsupported);
}

/// A disk that is full after some bytes.
class FullSink : public ByteSink {
 public:
  explicit FullSink(size_t bytes_max) : left_(bytes_max) {}
  Status Write(std::string_view bytes) override {
    if (bytes.size() > left_) {
      return Status::Environment("full");
    }
    left_ -= bytes.size();
    return Status::Ok();
  }
  Status Finish() override { return Status::Ok(); }

 private:
  size_t left_;
};

TEST(WriteDump, AnErrorOfTheSinkEndsItWhereverItComes) {
  const size_t json_bytes = JsonDumpOf(Odd()).size();
  const size_t binary_bytes = BinaryDumpOf(Odd()).size();
  size_t refused = 0;
  for (size_t eighth = 0; eighth < 8; ++eighth) {
    FullSink json(json_bytes * eighth / 8);
    FullSink binary(binary_bytes * eighth / 8);
    refused += WriteDumpJson(Odd(), {}, &json).status().code() == StatusCode::kEnvironment ? 1 : 0;
    refused += WriteDumpBinary(Odd(), {}, &binary).status().code() == StatusCode::kEnvironment ? 1 : 0;
  }
  EXPECT_EQ(refused, 16u);
}

RC_GTEST_PROP(EscapeDumpText, IsPlainTextAndComesBackButForARealReplacementCharacter, (const std::string& bytes)) {
  const std::string escaped = EscapeDumpText(bytes);
  RC_ASSERT(escaped.find_first_of(" \"\\\n\t") == std::string::npos);
  if (bytes.find("\xEF\xBF\xBD") == std::string::npos) {
    RC_ASSERT(UnescapeDumpText(escaped) == bytes);
  }
}

TEST(EscapeDumpText, ARealReplacementCharacterLosesTwoBytes) {
  EXPECT_EQ(EscapeDumpText("a\xEF\xBF\xBD" "b"), "a%EFb");
  EXPECT_EQ(EscapeDumpText("\xE6\x97\xA5 \x7F%\xC0\xAF"), "\xE6\x97\xA5%20\x7F%25%C0%AF");
}

}  // namespace
}  // namespace kvjury::juicefs
