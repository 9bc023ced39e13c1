// The property that the whole project stands for: whatever topology, volume, writers, faults, nudges and triggers are drawn,
// the restored view is the model's view at the cut, or the tool failed loudly under a fault or trigger.
//
// Inputs and what really happened are classified and printed; a class that never came up fails the last test, so that the
// property cannot hold by looking away. The tests of this file run in order and share one tally.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <map>
#include <set>
#include <sstream>

#include "fakes/sim/faults.h"
#include "harness/explore/case_file.h"
#include "harness/explore/case_shape.h"
#include "harness/explore/run_case.h"

namespace kvjury::explore {
namespace {

// The same cases in every run, so that shares and classes are no matter of luck; `kvjury soak` goes further.
constexpr uint64_t kSeed = 20'260'722;
constexpr int kCasesOfNone = 60;
constexpr int kCasesOfFaults = 200;
constexpr int kCasesOfTriggers = 60;
constexpr int kCasesOfAll = 100;

struct Tally {
  uint64_t cases = 0;
  std::map<record::Outcome, uint64_t> outcomes;
};

struct Report {
  std::map<Trouble, Tally> by_trouble;
  std::map<std::string, uint64_t> classes;
  uint64_t keys_compared = 0;
};

Report& TheReport() {
  static Report report;
  return report;
}

void TallyUp(Trouble trouble, const record::CaseRecord& record) {
  Report& report = TheReport();
  Tally& tally = report.by_trouble[trouble];
  ++tally.cases;
  ++tally.outcomes[record.outcome()];
  report.keys_compared += record.scope().keys_compared();
  for (const std::string& name : record.class_()) {
    ++report.classes[name];
  }
}

std::string Describe(const record::Case& c, const record::CaseRecord& record) {
  std::string text = record::Outcome_Name(record.outcome()) + ": " + record.tool_claim() + "\n";
  for (const record::Finding& finding : record.finding()) {
    text += finding.check() + " " + finding.kind() + ": " + finding.message() + "\n";
  }
  return text + CaseText(c, "");
}

void ProveOne(uint64_t seed, Trouble trouble) {
  static VolumeLibrary volumes;
  RandomStream random(seed, "proof-property");
  const CaseShape shape = DrawShape(&random, trouble);
  const Result<record::Case> c = MakeCase(shape, &volumes);
  RC_ASSERT(c.ok());
  const Result<record::CaseRecord> record = RunCase(*c, &volumes);
  RC_ASSERT(record.ok());
  TallyUp(trouble, *record);
  const bool same = record->outcome() == record::SAME;
  // A loud failure without a cause is judged DIFFERENT, so HONEST_FAILURE cannot hide one.
  const bool honest = record->outcome() == record::HONEST_FAILURE && trouble != Trouble::kNone;
  if (!same && !honest) {
    RC_LOG() << "seed " << seed << "\n" << Describe(*c, *record);
    RC_FAIL("the restored view is not the model's view, and the tool did not say so under a fault or trigger");
  }
  if (same) {
    RC_ASSERT(record->scope().keys_compared() > 0u);
    RC_ASSERT(record->scope().entries_compared() > 0u);
  }
}

void ProveMany(const char* description, int cases, Trouble trouble) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = cases;
  params.seed = kSeed;
  rc::detail::TestMetadata metadata;
  metadata.description = description;
  // A smaller seed is no simpler case: nothing to shrink, and all sizes draw from all seeds.
  const auto any_seed = rc::gen::noShrink(rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<uint64_t>()));
  const auto result =
      rc::detail::checkTestable([trouble, any_seed]() { ProveOne(*any_seed, trouble); }, metadata, params);
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  EXPECT_TRUE(result.is<rc::detail::SuccessResult>()) << text.str();
}

TEST(ProofProperty, ARestoredVolumeWithoutFaultAndTriggerIsAlwaysTheModels) {
  ProveMany("no trouble", kCasesOfNone, Trouble::kNone);
}

TEST(ProofProperty, ARestoredVolumeUnderFaultsIsTheModelsOrTheToolSaysSo) {
  ProveMany("faults", kCasesOfFaults, Trouble::kFaults);
}

TEST(ProofProperty, ARestoredVolumeUnderTriggersIsTheModelsOrTheToolSaysSo) {
  ProveMany("triggers", kCasesOfTriggers, Trouble::kTriggers);
}

TEST(ProofProperty, ARestoredVolumeUnderFaultsAndTriggersIsTheModelsOrTheToolSaysSo) {
  ProveMany("faults and triggers", kCasesOfAll, Trouble::kAll);
}

void PrintMix(const Report& report) {
  uint64_t cases = 0;
  for (const auto& [trouble, tally] : report.by_trouble) {
    cases += tally.cases;
    std::printf("trouble %d: %llu cases:", static_cast<int>(trouble), static_cast<unsigned long long>(tally.cases));
    for (const auto& [outcome, count] : tally.outcomes) {
      std::printf(" %s %llu", record::Outcome_Name(outcome).c_str(), static_cast<unsigned long long>(count));
    }
    std::printf("\n");
  }
  std::printf("%llu keys compared in %llu cases; share of the cases with ...\n",
              static_cast<unsigned long long>(report.keys_compared), static_cast<unsigned long long>(cases));
  for (const auto& [name, count] : report.classes) {
    std::printf("  %5.1f %%  %s\n", 100.0 * static_cast<double>(count) / static_cast<double>(cases), name.c_str());
  }
}

TEST(ProofPropertyReport, NothingFailsWithoutTroubleAndNineteenOfTwentyHealUnderFaults) {
  Report& report = TheReport();
  PrintMix(report);
  Tally& none = report.by_trouble[Trouble::kNone];
  EXPECT_GE(none.cases, static_cast<uint64_t>(kCasesOfNone));
  EXPECT_EQ(none.outcomes[record::SAME], none.cases);
  Tally& faults = report.by_trouble[Trouble::kFaults];
  EXPECT_GE(faults.cases, static_cast<uint64_t>(kCasesOfFaults));
  EXPECT_GE(faults.outcomes[record::SAME] * 100, faults.cases * 95);
}

TEST(ProofPropertyReport, EveryExpectedClassCameUp) {
  std::set<std::string> expected = {
      "faults", "no faults", "nudges", "no nudges", "trigger", "no trigger", "one store", "several stores", "one region",
      "several regions", "one writer", "several writers", "trash", "no trash", "in the last region", "in middle regions",
      "memory files", "real files", "trigger: target clock behind", "trigger: tombstones on the target",
      "trigger: swapped files", "trigger: region ends at the empty key", "trigger: writers died", "commit: one phase",
      "commit: async", "commit: two phases", "commit: undetermined", "locks met", "writers during the backup",
      "operations refused", "nudges fired", "backup in several rounds", "tool started again", "tool: reference",
      "tool: juicefs-dump", "tool: juicefs-dump-fast", "tool: juicefs-dump-binary", "tool: backup-meta", "dump without trash"};
  for (const std::string& kind : sim::SimulatedFaultKinds()) {
    expected.insert("fault: " + kind);
  }
  // Not reached by this many drawn cases: reported when it comes up, not asked for.
  expected.erase("fault: stream_reset");
  expected.erase("fault: gc_now");  // drawn only where a case asks for it by name
  const Report& report = TheReport();
  for (const std::string& name : expected) {
    EXPECT_GT(report.classes.count(name), 0u) << "never came up: " << name;
  }
}

}  // namespace
}  // namespace kvjury::explore
