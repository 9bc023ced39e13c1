// Cases whose tool is a model of `juicefs dump` and `load`, on whole clusters: quiet volumes come through in every form, writers tear a walk in
// some cases and nothing else ever, and what only a whole case can show of planted bugs. Hundreds of runs of the models alone, and each
// planted bug of theirs, are in harness/judge/rewrite_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/explore/case_file.h"
#include "harness/explore/case_shape.h"
#include "harness/explore/run_case.h"
#include "harness/explore/selftest.h"

namespace kvjury::explore {
namespace {

constexpr uint64_t kCases = 100;

VolumeLibrary& Volumes() {
  static VolumeLibrary volumes(KVJURY_SOURCE_DIR);
  return volumes;
}

record::CaseRecord RunShape(const CaseShape& shape) {
  const Result<record::Case> c = MakeCase(shape, &Volumes());
  CHECK(c.ok()) << c.status().ToString();
  const Result<record::CaseRecord> record = RunCase(*c, &Volumes());
  CHECK(record.ok()) << record.status().ToString();
  return *record;
}

std::string Words(const record::CaseRecord& record) {
  std::string words = record::Outcome_Name(record.outcome()) + ": " + record.tool_claim();
  for (const record::Finding& finding : record.finding()) {
    words += "\n" + finding.check() + " " + finding.kind() + ": " + finding.message();
  }
  for (const std::string& why : record.unproven()) {
    words += "\n" + why;
  }
  return words;
}

CaseShape Drawn(const std::string& model, uint64_t index) {
  RandomStream random = RandomStream(20'261'127, "dump-tools-" + model).Fork(std::to_string(index));
  CaseShape shape = DrawShape(&random, Trouble::kNone);
  shape.tool_model = model;
  shape.skip_trash = false;
  return shape;
}

class EachDump : public testing::TestWithParam<std::string> {};

TEST_P(EachDump, OfAQuietVolumeIsSame) {
  for (uint64_t index = 0; index < kCases; ++index) {
    CaseShape shape = Drawn(GetParam(), index);
    shape.writers = 1;
    shape.backup_after_permille = 1000;
    shape.skip_trash = index % 4 == 3;
    const record::CaseRecord record = RunShape(shape);
    ASSERT_EQ(record.outcome(), record::SAME) << index << ": " << Words(record);
    EXPECT_GT(record.scope().keys_compared(), 0u);
  }
}

TEST_P(EachDump, UnderWritesShowsOneMomentUnlessItWalks) {
  uint64_t torn = 0;
  for (uint64_t index = 0; index < kCases; ++index) {
    CaseShape shape = Drawn(GetParam(), index);
    shape.writers = 3;
    shape.operations_per_writer = 24;
    shape.think_us = 500;
    shape.backup_after_permille = 200;
    const record::CaseRecord record = RunShape(shape);
    for (const record::Finding& finding : record.finding()) {
      torn += finding.kind() == "torn-pair" ? 1 : 0;
    }
    if (GetParam() != "juicefs-dump") {
      ASSERT_EQ(record.outcome(), record::SAME) << index << ": " << Words(record);
    }
  }
  std::printf("%s: %d of %d cases under writes are torn with the pair named\n", GetParam().c_str(), static_cast<int>(torn), static_cast<int>(kCases));
  EXPECT_EQ(torn > 0, GetParam() == "juicefs-dump");
}

INSTANTIATE_TEST_SUITE_P(Models, EachDump, testing::Values("juicefs-dump", "juicefs-dump-fast", "juicefs-dump-binary", "backup-meta"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(DumpTools, BugsOfDumpsAreConvictedInDrawnCasesAndTheirTwinsAreQuiet) {
  SelftestOptions options;
  options.cases_per_bug_max = 5;
  const auto first = static_cast<size_t>(sim::Bug::kInodeCounterRewound);
  const auto last = static_cast<size_t>(sim::Bug::kTrashDangling);
  for (size_t bug = first; bug <= last; ++bug) {
    const Result<BugScore> score = Convict(static_cast<sim::Bug>(bug), options, &Volumes());
    ASSERT_TRUE(score.ok()) << score.status().ToString();
    EXPECT_TRUE(score->convicted) << score->name;
    EXPECT_TRUE(score->twin_quiet) << score->name;
  }
}

TEST(DumpTools, AWrongNameIsRefusedWithTheKnownOnes) {
  const Result<record::Case> c = ParseCase("tool { model: \"juicefs-dumb\" }", "x.case");
  EXPECT_THAT(c.status().message(), testing::HasSubstr("tool.model: \"juicefs-dumb\" is not known; known are: reference, juicefs-dump, juicefs-dump-fast, "
                                                       "juicefs-dump-binary, backup-meta"));
}

}  // namespace
}  // namespace kvjury::explore
