#include "reports/run_report.h"

#include "reports/finding_forms.h"

namespace kvjury::reports {

std::string OutcomeName(record::Outcome outcome) {
  return outcome == record::OUTCOME_NOTHING ? "NOTHING" : record::Outcome_Name(outcome);
}

std::string LostAtName(record::LostAt lost_at) {
  switch (lost_at) {
    case record::LOST_AT_SOURCE:
      return "source";
    case record::LOST_AT_FILES:
      return "files";
    case record::LOST_AT_IMPORT:
      return "import";
    case record::LOST_AT_TARGET:
      return "target";
    default:
      return "unknown";
  }
}

void RunReport::Add(const record::CaseRecord& record) {
  switch (record.outcome()) {
    case record::SAME:
      ++tally_.same;
      break;
    case record::DIFFERENT:
      ++tally_.different;
      break;
    case record::UNPROVEN:
      ++tally_.unproven;
      break;
    case record::HONEST_FAILURE:
      ++tally_.honest_failure;
      break;
    default:
      ++tally_.error;
  }
  tally_.false_success += record.false_success() ? 1 : 0;
  digest_.Add(record.digest());
  findings_total_ += static_cast<uint64_t>(record.finding_size());
  AddNumbers(record.scope(), &scope_);
  AddNumbers(record.counts(), &counts_);
  for (const auto& [kind, count] : record.counts().faults_fired()) {
    (*counts_.mutable_faults_fired())[kind] += count;
  }
  for (const record::CheckResult& check : record.check()) {
    CheckTotal& total = checks_[check.check()];
    total.unit = check.unit();
    ++total.cases;
    total.counted += check.counted();
    total.findings += check.findings();
    total.unproven += check.unproven().empty() ? 0 : 1;
  }
  for (const std::string& name : record.class_()) {
    ++classes_[name];
  }
  case_lines_.push_back({record.name(), record.outcome()});
  if (record.outcome() != record::SAME && shown_.size() < kCasesShownMax) {
    shown_.push_back(record);
  }
}

void RunReport::AddProblem(ExitCode code, std::string sentence) {
  problems_.push_back({MoreImportant(code, code), std::move(sentence)});
}

ExitCode RunReport::exit_code() const {
  ExitCode code = ExitCode::kSame;
  const auto take = [&](bool applies, ExitCode other) { code = applies ? MoreImportant(code, other) : code; };
  take(tally_.different > 0, ExitCode::kDifferent);
  take(tally_.unproven > 0, ExitCode::kUnproven);
  take(tally_.honest_failure > 0 && info_.honest_failure_is_unproven, ExitCode::kUnproven);
  take(tally_.error > 0 || tally_.cases() == 0, ExitCode::kNothingChecked);
  for (const Problem& problem : problems_) {
    take(true, problem.code);
  }
  return code;
}

std::string RunReport::verdict() const {
  if (tally_.different > 0) {
    return "DIFFERENT";
  }
  if (tally_.unproven > 0 || (tally_.honest_failure > 0 && info_.honest_failure_is_unproven)) {
    return "UNPROVEN";
  }
  if (tally_.same > 0) {
    return tally_.error == 0 ? "SAME" : "UNPROVEN";
  }
  return tally_.honest_failure > 0 ? "HONEST_FAILURE" : "NOTHING";
}

}  // namespace kvjury::reports
