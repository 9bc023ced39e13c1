// The four forms of one report against golden files.
#include "reports/run_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "reports/golden_testing.h"

namespace kvjury::reports {
namespace {

record::CaseRecord SameCase(const std::string& name) {
  record::CaseRecord record;
  record.set_schema(1);
  record.set_name(name);
  record.set_outcome(record::SAME);
  record.set_digest("00000000000000aa");
  record::CheckResult* diff = record.add_check();
  diff->set_check("DIFF");
  diff->set_counted(1200);
  diff->set_unit("keys");
  record.mutable_scope()->set_keys_compared(1200);
  record.mutable_counts()->set_operations(300);
  (*record.mutable_counts()->mutable_faults_fired())["split_region"] = 4;
  record.add_class_("with-split");
  return record;
}

record::CaseRecord DifferentCase() {
  record::CaseRecord record = SameCase("rich <&> \"second\"");
  record.set_outcome(record::DIFFERENT);
  record.set_false_success(true);
  record.set_case_file("out/failure-1.case");
  record.set_cut_ts(461168601842738790);
  record.mutable_check(0)->set_findings(1);
  record::Finding* finding = record.add_finding();
  finding->set_check("DIFF");
  finding->set_kind("missing-key");
  finding->set_message("the key is visible at the cut and not on the target");
  finding->set_path("in/b\xff|.bin");
  finding->set_inode(18446744073709551615u);
  finding->set_key(std::string("A\x00\x01", 3));
  finding->set_key_text("D(1,\"b\")");
  finding->set_expected_present(true);
  finding->set_expected_ts(461168601842738789);
  finding->set_lost_at(record::LOST_AT_IMPORT);
  finding->set_written_by("w1/op6");
  return record;
}

RunReport Report() {
  RunReport report({"run", "0.1.0", 18446744073709551615u, "kvjury replay out/failure-1.case"});
  report.Add(SameCase("rich"));
  report.Add(DifferentCase());
  record::CaseRecord unproven = SameCase("locked");
  unproven.set_outcome(record::UNPROVEN);
  unproven.add_unproven("a lock at /in was left");
  report.Add(unproven);
  record::CaseRecord honest = SameCase("loud");
  honest.set_outcome(record::HONEST_FAILURE);
  honest.set_tool_claim("store 2 did not answer");
  report.Add(honest);
  report.AddProblem(ExitCode::kStale, "label w9/op1/commit#1 never came up");
  return report;
}

TEST(RunReport, WritesTheFourFormsAsTheGoldenFilesShow) {
  const RunReport report = Report();
  ExpectGolden("verdict.json", report.VerdictJson());
  ExpectGolden("run.json", report.RunJson());
  ExpectGolden("junit.xml", report.JunitXml());
  ExpectGolden("summary.md", report.SummaryMarkdown());
}

TEST(RunReport, VerdictKeepsTheContractForScripts) {
  const auto json = nlohmann::json::parse(Report().VerdictJson());
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("verdict"), "DIFFERENT");
  EXPECT_EQ(json.at("exit_code"), 1);
  EXPECT_EQ(json.at("cases"), (nlohmann::json{
      {"same", 1}, {"different", 1}, {"honest_failure", 1}, {"unproven", 1}, {"error", 0}}));
  EXPECT_EQ(json.at("scope").at("keys_compared"), "4800");
  EXPECT_EQ(json.at("seed"), "18446744073709551615") << "64-bit numbers are strings";
  EXPECT_EQ(json.at("findings").at(0).at("inode"), "18446744073709551615");
  EXPECT_EQ(json.at("findings").at(0).at("expected"), "") << "present and empty";
  EXPECT_FALSE(json.at("findings").at(0).contains("actual")) << "absent";
}

TEST(RunReport, NothingCheckedIsNeverSame) {
  const RunReport empty({"run", "0.1.0"});
  EXPECT_EQ(empty.verdict(), "NOTHING");
  EXPECT_EQ(empty.exit_code(), ExitCode::kNothingChecked);

  RunReport mixed({"run", "0.1.0"});
  mixed.Add(SameCase("a"));
  EXPECT_EQ(mixed.exit_code(), ExitCode::kSame);
  record::CaseRecord nothing = SameCase("b");
  nothing.set_outcome(record::OUTCOME_NOTHING);
  mixed.Add(nothing);
  EXPECT_EQ(mixed.verdict(), "UNPROVEN");
  EXPECT_EQ(mixed.exit_code(), ExitCode::kNothingChecked);
}

TEST(RunReport, HonestFailuresAreHandledInSimulatedRunsAndOpenWithRealTools) {
  record::CaseRecord honest = SameCase("loud");
  honest.set_outcome(record::HONEST_FAILURE);
  RunReport simulated({"run", "0.1.0"});
  simulated.Add(honest);
  EXPECT_EQ(simulated.exit_code(), ExitCode::kSame);
  EXPECT_EQ(simulated.verdict(), "HONEST_FAILURE");

  RunInfo info{"drive", "0.1.0"};
  info.honest_failure_is_unproven = true;
  RunReport driven(info);
  driven.Add(honest);
  EXPECT_EQ(driven.exit_code(), ExitCode::kUnproven);
  EXPECT_EQ(driven.verdict(), "UNPROVEN");
}

TEST(RunReport, DigestDependsOnTheOrderOfTheCases) {
  record::CaseRecord a = SameCase("a");
  record::CaseRecord b = SameCase("b");
  b.set_digest("00000000000000bb");
  RunReport forwards({"run", "0.1.0"});
  forwards.Add(a);
  forwards.Add(b);
  RunReport backwards({"run", "0.1.0"});
  backwards.Add(b);
  backwards.Add(a);
  RunReport again({"soak", "0.2.0"});
  again.Add(a);
  again.Add(b);
  EXPECT_NE(forwards.digest(), backwards.digest());
  EXPECT_EQ(forwards.digest(), again.digest());
}

TEST(RunReport, StaysBoundedWhenEveryCaseFails) {
  RunReport report({"soak", "0.1.0"});
  const size_t cases = kCasesShownMax + 5;
  for (size_t i = 0; i < cases; ++i) {
    report.Add(DifferentCase());
  }
  EXPECT_EQ(report.shown().size(), kCasesShownMax);
  const auto json = nlohmann::json::parse(report.RunJson());
  EXPECT_EQ(json.at("findings").size(), kFindingsShownMax);
  EXPECT_EQ(json.at("findings_total"), std::to_string(cases));
  EXPECT_EQ(json.at("cases").at("different"), cases);
}

}  // namespace
}  // namespace kvjury::reports
