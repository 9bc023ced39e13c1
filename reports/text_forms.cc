// junit.xml for continuous integration and summary.md for people.
#include <fmt/format.h>

#include "reports/finding_forms.h"
#include "reports/junit.h"
#include "reports/run_report.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

constexpr size_t kSummaryFindingsMax = 20;

std::string CaseText(const record::CaseRecord& record) {
  std::string text;
  if (record.outcome() == record::HONEST_FAILURE) {
    text += "the tool failed loudly: " + record.tool_claim() + "\n";
  }
  for (const record::Finding& finding : record.finding()) {
    text += FindingLine(finding) + "\n";
  }
  for (const std::string& reason : record.unproven()) {
    text += "unproven: " + reason + "\n";
  }
  for (const record::CheckResult& check : record.check()) {
    if (!check.unproven().empty()) {
      text += "unproven: " + check.check() + ": " + check.unproven() + "\n";
    }
  }
  if (!record.case_file().empty()) {
    text += "case file: " + record.case_file() + "\n";
  }
  return text;
}

/// DIFFERENT is a failure; UNPROVEN and NOTHING are errors: nobody learned that the view is wrong, nor that it is right.
JunitCase JunitOf(const RunReport& report, const RunReport::CaseLine& line, const record::CaseRecord* record) {
  using Kind = JunitCase::Kind;
  if (line.outcome == record::SAME) {
    return {line.name};
  }
  const bool handled = line.outcome == record::HONEST_FAILURE && !report.info().honest_failure_is_unproven;
  const std::string text = record == nullptr ? "see run.jsonl\n" : CaseText(*record);
  const Kind kind = line.outcome == record::DIFFERENT ? Kind::kFailure : handled ? Kind::kNote : Kind::kError;
  return {line.name, kind, OutcomeName(line.outcome), text.substr(0, text.find('\n')), text};
}

std::string Row(std::string_view name, uint64_t value) { return fmt::format("| {} | {} |\n", name, value); }

std::string ScopeTable(const RunReport& report) {
  const record::Scope& scope = report.scope();
  const record::Counts& counts = report.counts();
  std::string out = "| what | count |\n| --- | ---: |\n";
  out += Row("keys compared", scope.keys_compared());
  out += Row("entries compared", scope.entries_compared());
  out += Row("fields compared", scope.fields_compared());
  out += Row("files checked", scope.files_checked());
  out += Row("ranges checked", scope.ranges_checked());
  out += Row("transactions checked", scope.transactions_checked());
  out += Row("invariants checked", scope.invariants_checked());
  out += Row("clients", counts.writers());
  out += Row("operations", counts.operations());
  out += Row("operations during the backup", counts.operations_during_backup());
  out += Row("transactions committed", counts.transactions_committed());
  out += Row("RPCs", counts.rpcs());
  out += Row("delays fired", counts.nudges_fired());
  const std::map<std::string, uint64_t> faults(counts.faults_fired().begin(), counts.faults_fired().end());
  for (const auto& [kind, count] : faults) {
    out += Row("fault " + EscapeMarkdown(kind), count);
  }
  return out;
}

std::string ChecksTable(const RunReport& report) {
  std::string out = "| check | cases | counted | findings | unproven |\n| --- | ---: | ---: | ---: | ---: |\n";
  for (const auto& [code, total] : report.checks()) {
    out += fmt::format("| {} | {} | {} {} | {} | {} |\n", EscapeMarkdown(code), total.cases, total.counted,
                       EscapeMarkdown(total.unit), total.findings, total.unproven);
  }
  return out;
}

std::string FindingsList(const RunReport& report) {
  std::string out;
  size_t shown = 0;
  for (const record::CaseRecord& record : report.shown()) {
    for (const record::Finding& finding : record.finding()) {
      if (shown < kSummaryFindingsMax) {
        out += fmt::format("- {}: {}\n", EscapeMarkdown(record.name()), EscapeMarkdown(FindingLine(finding)));
        ++shown;
      }
    }
  }
  if (report.findings_total() > shown) {
    out += fmt::format("- and {} more in run.jsonl\n", report.findings_total() - shown);
  }
  return out;
}

}  // namespace

std::string RunReport::JunitXml() const {
  std::vector<JunitCase> cases;
  size_t next = 0;
  for (const CaseLine& line : case_lines_) {
    const bool kept = line.outcome != record::SAME && next < shown_.size();
    cases.push_back(JunitOf(*this, line, kept ? &shown_[next++] : nullptr));
  }
  for (const Problem& problem : problems_) {
    const std::string meaning(ExitCodeMeaning(problem.code));
    cases.push_back({meaning, JunitCase::Kind::kError, meaning, problem.sentence});
  }
  return reports::JunitXml(info_.verb, cases);
}

std::string RunReport::SummaryMarkdown() const {
  std::string out = fmt::format("# {}\n\n", EscapeMarkdown(verdict()));
  out += fmt::format("{} cases: {} same, {} different, {} honest failures, {} unproven, {} errors. Exit code {} ({}).\n",
                     tally_.cases(), tally_.same, tally_.different, tally_.honest_failure, tally_.unproven, tally_.error,
                     static_cast<int>(exit_code()), ExitCodeMeaning(exit_code()));
  if (tally_.false_success > 0) {
    out += fmt::format("\n**False successes: {}** (the tool said success over a different view).\n", tally_.false_success);
  }
  for (const Problem& problem : problems_) {
    out += fmt::format("\n{}: {}\n", ExitCodeMeaning(problem.code), EscapeMarkdown(problem.sentence));
  }
  out += "\n## What was looked at\n\n" + ScopeTable(*this);
  out += "\n## Checks\n\n" + ChecksTable(*this);
  if (findings_total_ > 0) {
    out += "\n## Findings\n\n" + FindingsList(*this);
  }
  if (!classes_.empty()) {
    out += "\n## Kinds of cases\n\n| class | cases |\n| --- | ---: |\n";
    for (const auto& [name, count] : classes_) {
      out += Row(EscapeMarkdown(name), count);
    }
  }
  out += fmt::format("\n## To repeat\n\nSeed {}, digest {}, kvjury {}.\n", info_.seed, digest(), EscapeMarkdown(info_.version));
  if (!info_.replay_command.empty()) {
    out += "\n    " + CleanUtf8(info_.replay_command) + "\n";
  }
  return out;
}

}  // namespace kvjury::reports
