#include "harness/explore/case_file.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "harness/explore/case_shape.h"
#include "harness/juicefs/invariants.h"

namespace kvjury::explore {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kSmallCase[] = R"(
name: "small"
volume { generate { directories: 2 files: 3 seed: 1 } }
writers {
  id: 1
  op { id: 1 mkdir { path: "/a" mode: 493 } }
  op { id: 2 create { path: "/a/f" mode: 420 } }
}
backup { after: "w1/op1" }
fault { at: "w1/op2/commit#1" lose_reply {} }
nudge { at: "backup/timestamp#1" delay_us: 50 }
)";

record::Case SmallCase() {
  const Result<record::Case> parsed = ParseCase(kSmallCase, "small.case");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *parsed;
}

// The refusal of a case that was changed by `spoil`; empty if it was taken.
template <typename Spoil>
std::string RefusalOf(Spoil spoil) {
  record::Case c = SmallCase();
  spoil(&c);
  const Status refused = CheckCase(c);
  if (refused.ok()) {
    return "";
  }
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  return refused.message();
}

std::string MessageOf(const std::string& text) {
  const Result<record::Case> parsed = ParseCase(text, "x.case");
  if (parsed.ok()) {
    return "";
  }
  EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
  return parsed.status().message();
}

TEST(CaseFile, TextOfACaseReadsBackAsTheSameCase) {
  const record::Case c = SmallCase();
  ASSERT_EQ(c.writers_size(), 1);
  ASSERT_EQ(c.writers(0).op_size(), 2);
  const std::string text = CaseText(c, "first line\nsecond line");
  EXPECT_THAT(text, StartsWith("# first line\n# second line\nname: \"small\""));
  const Result<record::Case> again = ParseCase(text, "again.case");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*again, c));
}

TEST(CaseFile, DrawnCasesOfEveryKindOfTroubleReadBackAsTheSame) {
  VolumeLibrary volumes;
  uint64_t operations = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    RandomStream random(seed, "case-file-test");
    const Result<record::Case> c = MakeCase(DrawShape(&random, static_cast<Trouble>(seed % 4)), &volumes);
    ASSERT_TRUE(c.ok()) << c.status();
    const Result<record::Case> again = ParseCase(CaseText(*c, ""), "drawn.case");
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_TRUE(MessageDifferencer::Equals(*again, *c)) << "seed " << seed;
    for (const record::Writer& writer : again->writers()) {
      operations += static_cast<uint64_t>(writer.op_size());
    }
  }
  EXPECT_GT(operations, 400u);
}

TEST(CaseFile, TheSettingOfAVolumeFromAnAddressIsItsOwn) {
  const std::vector<std::function<void(record::Volume*)>> members = {
      [](record::Volume* volume) { volume->set_enable_acl(true); },          [](record::Volume* volume) { volume->set_user_group_quota(true); },
      [](record::Volume* volume) { volume->set_change_log(true); },          [](record::Volume* volume) { volume->set_hash_prefix(true); },
      [](record::Volume* volume) { volume->set_capacity_bytes(1U << 30); }, [](record::Volume* volume) { volume->set_inodes_max(100); }};
  for (const auto& set : members) {
    EXPECT_EQ(RefusalOf([&set](record::Case* c) { set(c->mutable_volume()); }), "");
    EXPECT_THAT(RefusalOf([&set](record::Case* c) {
                  c->mutable_volume()->set_address("kv://x");
                  set(c->mutable_volume());
                }),
                HasSubstr("has a setting of its own"));
  }
}

TEST(CaseFile, AGeneratedVolumeHasTheSettingThatItsCaseAsksFor) {
  VolumeLibrary volumes;
  record::Volume volume;
  volume.mutable_generate()->set_files(20);
  volume.set_trash_days(1);
  volume.set_enable_acl(true);
  volume.set_user_group_quota(true);
  volume.set_change_log(true);
  volume.set_hash_prefix(true);
  volume.set_capacity_bytes(1U << 30);
  volume.set_inodes_max(100);
  const Result<std::shared_ptr<const LoadedVolume>> loaded = volumes.Load(volume);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const juicefs::Format& format = (*loaded)->image.setting->format;
  EXPECT_TRUE(format.enable_acl && format.user_group_quota && format.change_log && format.hash_prefix);
  EXPECT_EQ(format.min_client_version, "1.2.0-A");
  EXPECT_EQ(format.change_log_age_s_max, 7200);
  EXPECT_EQ(format.capacity_bytes, 1U << 30);
  EXPECT_EQ(format.inodes, 100U);
  juicefs::InvariantOptions options;
  options.at_rest = true;
  for (const juicefs::InvariantResult& result : CheckInvariants((*loaded)->image, options)) {
    EXPECT_TRUE(result.issues.empty()) << result.name << ": " << result.issues.front().ToString();
  }
}

TEST(CaseFile, DrawnVolumesHaveEverySettingInSomeCases) {
  std::map<std::string, uint32_t> with;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    RandomStream random(seed, "volume-settings-test");
    const CaseShape shape = DrawShape(&random, Trouble::kNone);
    std::vector<const google::protobuf::FieldDescriptor*> set;
    shape.settings.GetReflection()->ListFields(shape.settings, &set);
    for (const auto* field : set) {
      with[field->name()] += 1;
    }
  }
  EXPECT_EQ(with.size(), 6U);
  for (const auto& [name, count] : with) {
    EXPECT_GT(count, 10U) << name;
    EXPECT_LT(count, 150U) << name;
  }
}

TEST(CaseFile, AWrittenFileReadsBackAndLeavesNoTemporaryBehind) {
  const std::string path = testing::TempDir() + "/kvjury-case-file-test.case";
  const record::Case c = SmallCase();
  ASSERT_TRUE(WriteCaseFile(path, c, "kept").ok());
  const Result<record::Case> read = ReadCaseFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*read, c));
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  std::filesystem::remove(path);
}

TEST(CaseFile, AFileThatCannotBeReadOrWrittenIsNamed) {
  const Result<record::Case> missing = ReadCaseFile("/nowhere/x.case");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("/nowhere/x.case"));
  const Status unwritable = WriteCaseFile("/nowhere/x.case", SmallCase(), "");
  EXPECT_EQ(unwritable.code(), StatusCode::kEnvironment);
  EXPECT_THAT(unwritable.message(), HasSubstr("/nowhere/x.case.tmp"));
  const Result<record::Case> folder = ReadCaseFile(testing::TempDir());
  ASSERT_FALSE(folder.ok()) << "a folder is no empty case";
  EXPECT_THAT(folder.status().message(), HasSubstr("folder"));
}

TEST(CaseFile, AMistakeInTheTextIsNamedByLineAndColumn) {
  EXPECT_THAT(MessageOf("name: \"a\"\nclutser { stores: 3 }\n"), StartsWith("x.case:2:"));
  EXPECT_THAT(MessageOf("name: \"a\"\nclutser { stores: 3 }\n"), HasSubstr("clutser"));
  EXPECT_THAT(MessageOf("cluster { stores: many }"), StartsWith("x.case:1:19: "));
  EXPECT_THAT(MessageOf("name: \"never closed\n"), StartsWith("x.case:1:"));
  EXPECT_THAT(MessageOf("writers { id: 1"), StartsWith("x.case:1:"));
  EXPECT_THAT(MessageOf(std::string("\0\xff\x01", 3)), StartsWith("x.case:1:1: "));
}

TEST(CaseFile, AWrongCaseIsRefusedWithTheNameOfTheFile) {
  EXPECT_THAT(MessageOf("bug: \"no-such-bug\""), StartsWith("x.case"));
}

TEST(CaseFile, AnUnknownBugIsRefusedWithTheKnownOnes) {
  const std::string refusal = RefusalOf([](record::Case* c) { c->add_bug("no-such-bug"); });
  EXPECT_THAT(refusal, HasSubstr("no-such-bug"));
  EXPECT_THAT(refusal, HasSubstr("max-ts-not-pushed"));
  EXPECT_THAT(refusal, HasSubstr("split-keys-unencoded"));
}

TEST(CaseFile, IdsAreUsedOnceAndAreNeverZero) {
  EXPECT_THAT(RefusalOf([](record::Case* c) { *c->add_writers() = c->writers(0); }), HasSubstr("id 1"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_writers(0)->set_id(0); }), HasSubstr("id 0"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_writers(0)->mutable_op(1)->set_id(1); }),
              HasSubstr("writer 1, op 1"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_writers(0)->mutable_op(0)->set_id(0); }),
              HasSubstr("writer 1, op 0"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_writers(0)->mutable_op(1)->clear_kind(); }),
              HasSubstr("writer 1, op 2"));
}

TEST(CaseFile, ABackupWaitsForAnOperationThatExists) {
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_backup()->set_after("w2/op1"); }), HasSubstr("\"w2/op1\""));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_backup()->set_after("w1/op3"); }), HasSubstr("\"w1/op3\""));
  EXPECT_EQ(RefusalOf([](record::Case* c) { c->mutable_backup()->set_after("w1/op2"); }), "");
  EXPECT_EQ(RefusalOf([](record::Case* c) { c->mutable_backup()->set_at_us(5); }), "");
}

TEST(CaseFile, ValuesOutsideTheKnownOnesAreRefusedWithWhatWasExpected) {
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_tool()->set_compression("gzip"); }), HasSubstr("zstd, lz4"));
  for (const char* known : {"zstd", "lz4", "snappy"}) {
    EXPECT_EQ(RefusalOf([known](record::Case* c) { c->mutable_tool()->set_compression(known); }), "");
  }
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_tool()->set_model("br"); }), HasSubstr("known are: reference, juicefs-dump"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_expect()->set_verdict("same"); }), HasSubstr("SAME"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_fault(0)->clear_kind(); }), HasSubstr("fault"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_fault(0)->clear_at(); }), HasSubstr("fault"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_nudge(0)->set_delay_us(0); }), HasSubstr("delay_us"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_nudge(0)->clear_at(); }), HasSubstr("nudge"));
}

TEST(CaseFile, AWrongMountOptionIsRefusedWithItsPlace) {
  EXPECT_EQ(RefusalOf([](record::Case* c) { c->mutable_writers(0)->mutable_mount()->set_atime("strictatime"); }), "");
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_writers(0)->mutable_mount()->set_atime("sometimes"); }),
              AllOf(HasSubstr("writer 1"), HasSubstr("mount.atime"), HasSubstr("sometimes"), HasSubstr("relatime")));
}

TEST(CaseFile, SizesBeyondTheBoundsAreRefused) {
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_cluster()->set_stores(16); }), HasSubstr("cluster.stores"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_cluster()->set_target_stores(16); }), HasSubstr("cluster.stores"));
  EXPECT_THAT(RefusalOf([](record::Case* c) { c->mutable_cluster()->set_regions(4097); }), HasSubstr("cluster.regions"));
  EXPECT_THAT(RefusalOf([](record::Case* c) {
                for (uint32_t id = 2; id <= 257; ++id) {
                  c->add_writers()->set_id(id);
                }
              }),
              HasSubstr("at most 256"));
}

}  // namespace
}  // namespace kvjury::explore
