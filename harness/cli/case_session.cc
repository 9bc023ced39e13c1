#include "harness/cli/case_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "fakes/base/digest.h"
#include "harness/cli/version.h"
#include "harness/explore/case_file.h"
#include "harness/explore/run_case.h"

namespace kvjury::cli {

namespace {

constexpr int kFindingsSaidMax = 5;

std::string SafeFileName(std::string name) {
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    c = plain ? c : '-';
  }
  return name.empty() ? "case" : name;
}

std::string FaultWords(const record::Counts& counts) {
  // A protobuf map has no order of its own.
  std::map<std::string, uint64_t> sorted(counts.faults_fired().begin(), counts.faults_fired().end());
  std::string words;
  for (const auto& [kind, count] : sorted) {
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", count, kind);
  }
  return words.empty() ? "none" : words;
}

std::string FindingWords(const record::Finding& finding) {
  std::string words = fmt::format("  {} {}: {}\n", finding.check(), finding.kind(), finding.message());
  if (!finding.path().empty()) {
    words += fmt::format("    path {}", Printable(finding.path()));
    words += finding.field().empty() ? "\n" : fmt::format(", field {}\n", finding.field());
  }
  if (!finding.key().empty()) {
    words += fmt::format("    key {} ({})\n", ToHex(finding.key()), finding.key_text());
  }
  if (finding.expected_ts() != 0 || finding.actual_ts() != 0) {
    words += fmt::format("    expected version {}, found version {}\n", finding.expected_ts(), finding.actual_ts());
  }
  if (!finding.written_by().empty()) {
    words += fmt::format("    written by {}\n", finding.written_by());
  }
  words += fmt::format("    lost at: {}\n", reports::LostAtName(finding.lost_at()));
  return words;
}

}  // namespace

std::string CaseWords(const record::CaseRecord& record) {
  const record::Counts& counts = record.counts();
  const record::Scope& scope = record.scope();
  std::string words = fmt::format("{}: {}{}\n", record.name(), reports::OutcomeName(record.outcome()),
                                  record.false_success() ? " (false success: the tool said all was well)" : "");
  words += fmt::format("  tool: {}\n", record.tool_claim());
  words += fmt::format("  {} clients, {} operations ({} refused, {} while the backup ran), {} transactions ({} one-phase, {} "
                       "async, {} two-phase, {} undetermined)\n",
                       counts.writers(), counts.operations(), counts.operations_failed(), counts.operations_during_backup(),
                       counts.transactions_committed(), counts.commits_one_phase(), counts.commits_async(),
                       counts.commits_two_phase(), counts.transactions_undetermined());
  words += fmt::format("  {} regions, {} messages, {} nudges; faults: {}\n", counts.regions_at_end(), counts.rpcs(),
                       counts.nudges_fired(), FaultWords(counts));
  words += fmt::format("  compared: {} keys, {} entries; checked: {} files, {} ranges, {} transactions, {} subjects of "
                       "invariants\n",
                       scope.keys_compared(), scope.entries_compared(), scope.files_checked(), scope.ranges_checked(),
                       scope.transactions_checked(), scope.invariants_checked());
  const int said = std::min(record.finding_size(), kFindingsSaidMax);
  for (int i = 0; i < said; ++i) {
    words += FindingWords(record.finding(i));
  }
  if (record.finding_size() > said) {
    words += fmt::format("  and {} more findings in the record\n", record.finding_size() - said);
  }
  for (const std::string& why : record.unproven()) {
    words += "  unproven: " + why + "\n";
  }
  return words;
}

CaseSession::CaseSession(SessionOptions options, Terminal* terminal, reports::RunFolder folder)
    : options_(std::move(options)),
      terminal_(terminal),
      folder_(std::move(folder)),
      report_(reports::RunInfo{options_.verb, kVersion, options_.seed, options_.replay_command, false}),
      volumes_(kSourceFolder) {}

Result<std::unique_ptr<CaseSession>> CaseSession::Open(SessionOptions options, Terminal* terminal) {
  ASSIGN_OR_RETURN(reports::RunFolder folder, reports::RunFolder::Open(options.out));
  *terminal->err << fmt::format("kvjury {}: seed {}, results in {}\n", options.verb, options.seed, options.out) << std::flush;
  return std::unique_ptr<CaseSession>(new CaseSession(std::move(options), terminal, std::move(folder)));
}

Result<record::CaseRecord> CaseSession::Run(const record::Case& c, const std::string& keep_backup_in) {
  explore::RunCaseOptions run_options;
  run_options.keep_backup_in = keep_backup_in;
  ASSIGN_OR_RETURN(record::CaseRecord record, explore::RunCase(c, &volumes_, run_options));
  RepeatSome(c, record);
  if (record.outcome() != record::SAME && record.outcome() != record::HONEST_FAILURE) {
    RETURN_IF_ERROR(KeepCase(&record));
    if (!first_failure_.has_value()) {
      first_failure_ = record;
    }
  }
  RETURN_IF_ERROR(folder_.Append(record));
  report_.Add(record);
  return record;
}

void CaseSession::SayFirstFailure(const record::CaseRecord& record) {
  if (first_failure_.has_value() && first_failure_->name() == record.name()) {
    *terminal_->err << CaseWords(record) << std::flush;
  }
}

Status CaseSession::KeepCase(record::CaseRecord* record) {
  const std::string path = options_.out + "/" + SafeFileName(record->name()) + ".case";
  const std::string comment = record->name() + ": " + reports::OutcomeName(record->outcome()) +
                              "\nEverything that fired is written out; repeat it with: kvjury replay " + path;
  RETURN_IF_ERROR(explore::WriteCaseFile(path, record->case_(), comment));
  record->set_case_file(path);
  return Status::Ok();
}

void CaseSession::RepeatSome(const record::Case& c, const record::CaseRecord& record) {
  if (Hash64(record.digest()) % 1'000'000 >= options_.repeat_ppm) {
    return;
  }
  ++repeated_;
  const Result<record::CaseRecord> again = explore::RunCase(c, &volumes_);
  if (!again.ok() || again->digest() == record.digest()) {
    return;
  }
  std::string component = "the order of events";
  for (int i = 0; i < record.component_size() && i < again->component_size(); ++i) {
    if (record.component(i).digest() != again->component(i).digest()) {
      component = record.component(i).component();
      break;
    }
  }
  AddProblem(ExitCode::kNotSameRun, record.name() + ": run twice, and " + component + " took another way (digest " +
                                        record.digest() + " and " + again->digest() + ")");
}

Status CaseSession::Adopt(const std::string& folder) {
  const std::string path = folder + "/run.jsonl";
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Status::Environment("cannot read " + path);
  }
  std::ostringstream text;
  text << in.rdbuf();
  ASSIGN_OR_RETURN(reports::RunLines lines, reports::ParseRunLines(path, text.str()));
  for (const record::CaseRecord& record : lines.records) {
    const bool handled = record.outcome() == record::SAME || record.outcome() == record::HONEST_FAILURE;
    if (!handled && !first_failure_.has_value()) {
      first_failure_ = record;
    }
    RETURN_IF_ERROR(folder_.Append(record));
    report_.Add(record);
  }
  return Status::Ok();
}

void CaseSession::SayVerdict() {
  const reports::Tally& tally = report_.tally();
  std::ostream& err = *terminal_->err;
  err << fmt::format("verdict: {} ({} cases: {} same, {} honest failures, {} different, {} unproven, {} without result; {} run "
                     "twice)\n",
                     report_.verdict(), tally.cases(), tally.same, tally.honest_failure, tally.different, tally.unproven,
                     tally.error, repeated_);
  err << fmt::format("compared in all: {} keys, {} entries; digest {}\n", report_.scope().keys_compared(),
                     report_.scope().entries_compared(), report_.digest());
  for (const reports::RunReport::Problem& problem : report_.problems()) {
    err << "kvjury: " << problem.sentence << "\n";
  }
  if (options_.json) {
    *terminal_->out << report_.VerdictJson();
  }
  err << fmt::format("results: {0}/summary.md, {0}/verdict.json, {0}/run.json, {0}/junit.xml, {0}/run.jsonl\n", options_.out);
  const std::string replay = first_failure_.has_value() && !first_failure_->case_file().empty()
                                 ? "kvjury replay " + first_failure_->case_file()
                                 : options_.replay_command;
  err << "replay: " << replay << "\n" << std::flush;
}

ExitCode CaseSession::Finish() {
  const Status finished = folder_.Finish(report_);
  if (!finished.ok()) {
    return Fail(terminal_, finished);
  }
  SayVerdict();
  const Status flushed = FlushOut(terminal_);
  return flushed.ok() ? report_.exit_code() : Fail(terminal_, flushed);
}

}  // namespace kvjury::cli
