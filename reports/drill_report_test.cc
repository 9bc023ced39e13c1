#include "reports/drill_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "reports/drill_section.h"
#include "reports/drill_testing.h"
#include "reports/drill_words.h"
#include "reports/golden_testing.h"
#include "reports/html.h"
#include "reports/not_proved.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

DrillReport ReportOf(const std::vector<record::DrillRecord>& drills) {
  DrillReport report({"0.1.0", 18446744073709551615u, "kvjury drive --all --seed 7", "/tmp/out"});
  for (const record::DrillRecord& drill : drills) {
    report.Add(drill);
  }
  return report;
}

record::DrillRecord Outcome(record::DrillOutcome outcome) { return DrillWith(outcome, "br-txn", "", "because"); }

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

TEST(DrillReport, WritesItsFormsAsTheGoldenFilesShow) {
  const DrillReport report = ReportOf(ManyDrills());
  ExpectGolden("drill_report.html", report.Html());
  ExpectGolden("drill_verdict.json", report.VerdictJson());
  ExpectGolden("drill_junit.xml", report.JunitXml());
  ExpectGolden("drill_report_same.html", ReportOf({SameDrill("br-txn")}).Html());
  ExpectGolden("drill_report_hostile.html", ReportOf({HostileDrill(), HostileDrill()}).Html());
  ExpectGolden("drill_report_nothing.html", ReportOf({}).Html());
}

TEST(DrillReport, VerdictKeepsTheContractForScripts) {
  const auto json = nlohmann::json::parse(ReportOf(ManyDrills()).VerdictJson());
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("verdict"), "DIFFERENT");
  EXPECT_EQ(json.at("exit_code"), 1);
  EXPECT_EQ(json.at("cases"),
            (nlohmann::json{{"same", 5}, {"different", 5}, {"honest_failure", 1}, {"unproven", 1}, {"error", 0}}));
  EXPECT_EQ(json.at("false_success"), 1);
  EXPECT_EQ(json.at("hang"), 1);
  EXPECT_EQ(json.at("skipped"), 1);
  EXPECT_EQ(json.at("seed"), "18446744073709551615") << "64-bit numbers are strings";
  EXPECT_EQ(json.at("scope").at("keys_compared"), "17700");
  EXPECT_EQ(json.at("findings_total"), "5");
  EXPECT_EQ(json.at("matrix").at(2).at("outcome"), "false success");
  EXPECT_FALSE(json.at("matrix").at(0).contains("why"));
}

TEST(DrillReport, ExitCodesOfSetsOfDrills) {
  using record::DrillOutcome;
  const auto code = [](const std::vector<DrillOutcome>& outcomes) {
    std::vector<record::DrillRecord> drills;
    for (const DrillOutcome outcome : outcomes) {
      drills.push_back(Outcome(outcome));
    }
    EXPECT_EQ(ReportOf(drills).exit_code(), ExitCodeOfDrills(drills));
    return static_cast<int>(ExitCodeOfDrills(drills));
  };
  EXPECT_EQ(code({}), 4);
  EXPECT_EQ(code({record::DRILL_SAME}), 0);
  EXPECT_EQ(code({record::DRILL_DIFFERENT}), 1);
  EXPECT_EQ(code({record::DRILL_FALSE_SUCCESS}), 1);
  EXPECT_EQ(code({record::DRILL_HANG}), 1);
  EXPECT_EQ(code({record::DRILL_HONEST_FAILURE}), 3);
  EXPECT_EQ(code({record::DRILL_UNPROVEN}), 3);
  EXPECT_EQ(code({record::DRILL_NOTHING}), 4);
  EXPECT_EQ(code({record::DRILL_SKIPPED}), 4);
  EXPECT_EQ(code({record::DRILL_SKIPPED, record::DRILL_SKIPPED}), 4);
  EXPECT_EQ(code({record::DRILL_SAME, record::DRILL_SKIPPED}), 0);
  EXPECT_EQ(code({record::DRILL_SAME, record::DRILL_NOTHING}), 4);
  EXPECT_EQ(code({record::DRILL_UNPROVEN, record::DRILL_NOTHING, record::DRILL_SAME}), 3);
  EXPECT_EQ(code({record::DRILL_UNPROVEN, record::DRILL_HANG, record::DRILL_SAME}), 1);

  record::DrillRecord planted = Outcome(record::DRILL_DIFFERENT);
  planted.set_planted("it is torn");
  EXPECT_EQ(ExitCodeOfDrills({planted}), ExitCode::kDifferent) << "the volume is different, whoever expected it";
  planted.set_outcome(record::DRILL_SAME);
  EXPECT_EQ(ExitCodeOfDrills({planted}), ExitCode::kSame);

  DrillReport report = ReportOf({Outcome(record::DRILL_SAME)});
  report.AddProblem(ExitCode::kEnvironment, "no tool br was found");
  EXPECT_EQ(report.exit_code(), ExitCode::kEnvironment);
  EXPECT_THAT(report.Html(), HasSubstr("no tool br was found"));
  EXPECT_THAT(report.JunitXml(), HasSubstr("no tool br was found"));
}

TEST(DrillReport, TheVerdictIsOneSentence) {
  const auto sentence = [](const std::vector<record::DrillRecord>& drills) { return ReportOf(drills).Sentence(); };
  EXPECT_EQ(sentence({}), "Nothing was checked: no drill was carried out.");
  EXPECT_EQ(sentence({Outcome(record::DRILL_SKIPPED)}), "Nothing was checked. 1 drill was skipped.");
  EXPECT_EQ(sentence({Outcome(record::DRILL_SAME)}), "The restored volume is the volume that was backed up.");
  EXPECT_EQ(sentence({Outcome(record::DRILL_SAME), Outcome(record::DRILL_SAME), Outcome(record::DRILL_SKIPPED)}),
            "In all 2 drills the restored volume is the volume that was backed up. 1 drill was skipped.");
  EXPECT_EQ(sentence({Outcome(record::DRILL_FALSE_SUCCESS)}),
            "The tool said success, and the restored volume is not the volume that was backed up.");
  EXPECT_EQ(sentence({Outcome(record::DRILL_HONEST_FAILURE)}),
            "The tool failed and said so: there is no restored volume to trust.");
  EXPECT_EQ(sentence(ManyDrills()),
            "5 of 12 drills did not give back the volume that was backed up; in 1 the tool said success; in 1 the tool did "
            "not end; 3 are in planted rows, which are there for that.");
  for (const std::vector<record::DrillRecord>& drills :
       {std::vector<record::DrillRecord>{}, ManyDrills(), {SameDrill("a")}, {HostileDrill()}}) {
    EXPECT_THAT(ReportOf(drills).Html() + ReportOf(drills).MatrixMarkdown(), Not(HasSubstr("passed")));
  }
}

TEST(DrillReport, NothingThatARecordHoldsBecomesMarkup) {
  const std::string html = ReportOf({HostileDrill()}).Html();
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("\"javascript:")));
  EXPECT_EQ(html.find_first_of(std::string("\x1b\0\x7f", 3)), std::string::npos);
  EXPECT_THAT(html, Not(HasSubstr("\xe2\x80\xae"))) << "turns the direction of the line";
  EXPECT_THAT(html, HasSubstr("<span class=\"hid\">\\xff\\x0a\\xe2\\x80\\xae</span>gpj|`*\\x0a"))
      << "a byte differs from its spelling";
  EXPECT_EQ(CleanUtf8(html), html);
  EXPECT_THAT(ReportOf({HostileDrill()}).JunitXml(), Not(HasSubstr("<script")));
  const std::string markdown = ReportOf({HostileDrill()}).MatrixMarkdown();
  EXPECT_EQ(CountOf(markdown, "<script"), CountOf(markdown, "\\<script"));
}

TEST(DrillReport, ALimitIsCalledKeptOrExceededOnlyIfTheJudgeSaysSo) {
  record::DrillRecord drill = SameDrill("br-txn");
  const auto shown = [&drill](record::DrillRate::Judgement judgement) {
    drill.mutable_rate(0)->set_judgement(judgement);
    return ReportOf({drill}).Html();
  };
  EXPECT_THAT(shown(record::DrillRate::KEPT), HasSubstr("a second of each store: kept"));
  EXPECT_THAT(shown(record::DrillRate::EXCEEDED), HasSubstr("a second of each store: <b>exceeded</b>"));
  EXPECT_THAT(shown(record::DrillRate::NOT_JUDGED), HasSubstr("a second of each store: not judged"));
}

TEST(DrillReport, TenThousandFindingsAreCutWithTheirCount) {
  record::DrillRecord drill = FalseSuccessDrill();
  drill.clear_finding();
  for (int i = 0; i < 10'000; ++i) {
    record::Finding* finding = drill.add_finding();
    finding->set_check("TREE");
    finding->set_path("d" + std::to_string(i % 100) + "/" + std::to_string(i));
    finding->set_expected_present(true);
  }
  drill.mutable_finding(0)->set_path(std::string(4'000, '/') + std::string(20'000, 'x'));
  std::string deep;
  for (int i = 0; i < 5'000; ++i) {
    deep += "y/";
  }
  drill.mutable_finding(1)->set_path(deep);
  const std::string html = ReportOf({drill}).Html();
  EXPECT_LT(html.size(), 200'000u);
  EXPECT_EQ(CountOf(html, "<article class=\"finding\""), static_cast<size_t>(kFindingsInPageMax));
  EXPECT_THAT(html, HasSubstr("and 9,950 more differences in <code>drills.jsonl</code>"));
  EXPECT_THAT(html, HasSubstr("Differences <small>10,000</small>"));
  EXPECT_THAT(ReportOf({drill}).JunitXml(), HasSubstr("and 9900 more in drills.jsonl"));
  EXPECT_EQ(nlohmann::json::parse(ReportOf({drill}).VerdictJson()).at("findings_total"), "10000");
}

TEST(DrillReport, DigestDependsOnTheOrderOfTheDrills) {
  record::DrillRecord other = SameDrill("b");
  other.set_digest("0000000000000000");
  EXPECT_NE(ReportOf({SameDrill("a"), other}).digest(), ReportOf({other, SameDrill("a")}).digest());
}

TEST(DrillReport, CommandsCanBeCopied) {
  record::DrillRecord drill = SameDrill("br-txn");
  drill.set_folder("it's #1");
  const std::string html = DrillSection(drill, {1, "/tmp/out dir"});
  EXPECT_THAT(html, HasSubstr(EscapeXml("kvjury replay '/tmp/out dir/it'\\''s #1'")));
  EXPECT_THAT(html, HasSubstr(EscapeXml("'view:///tmp/out dir/it'\\''s %231/source-mount.jsonl.gz'")));
  EXPECT_THAT(html, HasSubstr(EscapeXml("'kv:///tmp/out dir/it'\\''s %231/target.kv.gz'")));
  EXPECT_THAT(html, HasSubstr("href=\"./it%27s%20%231/source.kv.gz\""));
}

TEST(Html, WordsForAShell) {
  EXPECT_EQ(ShellWord("a-b/c.d:e=f,1@2%"), "a-b/c.d:e=f,1@2%");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("a b$(c)'d\\"), "'a b$(c)'\\''d\\'");
  EXPECT_EQ(ShellWord("a\n'\xff\\"), "$'a\\x0a\\'\\xff\\\\'");
}

TEST(NotProved, FollowsFromTheRecord) {
  const std::vector<std::string> same = NotProved(SameDrill("br-txn"));
  EXPECT_THAT(
      same,
      Contains(
          "HIST: not proved that the cut holds everything that was acknowledged before it, and nothing that came after it: "
          "the check was not made."));
  EXPECT_THAT(same, Contains("No fault was injected."));
  EXPECT_THAT(same, Not(Contains(HasSubstr("DIFF"))));
  EXPECT_THAT(same, Not(Contains(HasSubstr("bytes"))));

  record::DrillRecord logical = SameDrill("juicefs-dump", "store-dies");
  logical.mutable_scope()->clear_keys_compared();
  logical.set_contents_compared(688);
  logical.set_operations_during_backup(0);
  logical.set_window_start_ts(470738691311108103);
  logical.set_window_end_ts(470738717525508103);
  logical.mutable_check(0)->set_counted(0);
  logical.mutable_check(1)->set_unproven("a lock was left.");
  logical.add_unproven("The bucket was not read.");
  const std::vector<std::string> open = NotProved(logical);
  EXPECT_EQ(open.front(), "The bucket was not read.");
  EXPECT_THAT(open, Contains("No keys were compared, only what a mount shows."));
  EXPECT_THAT(open, Contains("The bytes of 12 of 700 files were not compared."));
  EXPECT_THAT(open, Contains("Nobody wrote while the backup ran."));
  EXPECT_THAT(open, Contains(HasSubstr(
                        "DIFF: not proved that every key is the same, in both directions: the check had nothing to look at.")));
  EXPECT_THAT(open,
              Contains(HasSubstr("TREE: not proved that a mount shows the same entries, field by field: a lock was left.")));
  EXPECT_THAT(open, Contains(HasSubstr("some moment between 470738691311108103 (")));
  EXPECT_THAT(open, Not(Contains("No fault was injected.")));
}

}  // namespace
}  // namespace kvjury::reports
