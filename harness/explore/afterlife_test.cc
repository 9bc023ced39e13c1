// The afterlife of drawn cases: with every guard in place it ends SAME and has compared something; each planted bug of it is convicted by a
// check that the catalogue names, and its twin is quiet.
#include "harness/explore/afterlife.h"

#include <gtest/gtest.h>

#include "harness/explore/case_file.h"
#include "harness/explore/case_shape.h"
#include "harness/explore/run_case.h"
#include "harness/explore/selftest.h"

namespace kvjury::explore {
namespace {

VolumeLibrary& Volumes() {
  static VolumeLibrary volumes;
  return volumes;
}

std::string Describe(const record::CaseRecord& record) {
  std::string text = record::Outcome_Name(record.outcome()) + ": " + record.tool_claim() + "\n";
  for (const record::Finding& finding : record.finding()) {
    text += finding.check() + " " + finding.kind() + ": " + finding.message() + "\n";
  }
  for (const std::string& why : record.unproven()) {
    text += "unproven: " + why + "\n";
  }
  return text;
}

uint64_t CountedBy(const record::CaseRecord& record, const std::string& check) {
  for (const record::CheckResult& result : record.check()) {
    if (result.check() == check) {
      return result.counted();
    }
  }
  return 0;
}

CaseShape ShapeOf(uint64_t seed) {
  RandomStream random(seed, "afterlife-test");
  CaseShape shape = DrawShape(&random, Trouble::kNone);
  shape.files = std::max(shape.files, 10u);
  shape.trash_days = static_cast<uint32_t>(seed % 2);
  shape.think_us = 3'000;
  shape.backup_after_permille = 0;
  shape.afterlife.emplace();
  shape.afterlife->set_seed(seed);
  shape.afterlife->set_writers(2);
  shape.afterlife->set_operations(25);
  return shape;
}

enum class Kind { kNew, kOldToo, kShared };

void ExpectSame(Kind kind) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CaseShape shape = ShapeOf(seed);
    shape.afterlife->set_old_clients(kind == Kind::kOldToo);
    shape.afterlife->set_shared_bucket(kind == Kind::kShared);
    const Result<record::Case> c = MakeCase(shape, &Volumes());
    ASSERT_TRUE(c.ok()) << c.status();
    const Result<record::CaseRecord> record = RunCase(*c, &Volumes());
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_EQ(record->outcome(), record::SAME) << "seed " << seed << "\n" << Describe(*record);
    for (const char* check : {"OBJ", "WRITE", "GC"}) {
      EXPECT_GT(CountedBy(*record, check), 1u) << check;
    }
    if (shape.tool_model == "reference") {
      EXPECT_GT(CountedBy(*record, "TSO"), 1u);
    }
  }
}

TEST(Afterlife, NewSessionsAndCleanersLeaveTheRestoredVolumeWhole) { ExpectSame(Kind::kNew); }

TEST(Afterlife, SessionsThatLivedThroughTheRestoreGoOnWithTheirIds) { ExpectSame(Kind::kOldToo); }

TEST(Afterlife, ALookAtAVolumeThatSharesItsBucketHarmsNeither) { ExpectSame(Kind::kShared); }

TEST(Afterlife, TheSameCaseEndsWithTheSameDigest) {
  CaseShape shape = ShapeOf(5);
  shape.afterlife->set_old_clients(true);
  const Result<record::Case> c = MakeCase(shape, &Volumes());
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(RunCase(*c, &Volumes())->digest(), RunCase(*c, &Volumes())->digest());
}

TEST(Afterlife, EveryPlantedBugOfItIsConvictedAndItsTwinIsQuiet) {
  for (auto bug = static_cast<size_t>(sim::Bug::kSliceIdsReissued); bug <= static_cast<size_t>(sim::Bug::kConsumersSeeTimeGoBack); ++bug) {
    SelftestOptions options;
    options.cases_per_bug_max = 40;
    const Result<BugScore> score = Convict(static_cast<sim::Bug>(bug), options, &Volumes());
    ASSERT_TRUE(score.ok()) << score.status();
    EXPECT_TRUE(score->convicted) << score->name << " after " << score->cases << " cases";
    EXPECT_TRUE(score->twin_quiet) << score->name;
    std::string checks;
    for (const std::string& check : score->checks) {
      checks += " " + check;
    }
    std::printf("%s: case %llu,%s\n", score->name.c_str(), static_cast<unsigned long long>(score->cases), checks.c_str());
  }
}

}  // namespace
}  // namespace kvjury::explore
