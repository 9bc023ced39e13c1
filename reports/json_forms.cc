// verdict.json and run.json. 64-bit quantities of the records are strings, counts of cases are numbers.
#include <nlohmann/json.hpp>

#include "reports/finding_forms.h"
#include "reports/run_report.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

using Json = nlohmann::ordered_json;

Json CasesJson(const Tally& tally) {
  return {{"same", tally.same},
          {"different", tally.different},
          {"honest_failure", tally.honest_failure},
          {"unproven", tally.unproven},
          {"error", tally.error}};
}

Json VerdictObject(const RunReport& report) {
  Json findings = Json::array();
  for (const record::CaseRecord& record : report.shown()) {
    for (const record::Finding& finding : record.finding()) {
      if (findings.size() < kFindingsShownMax) {
        findings.push_back(FindingJson(record.name(), finding));
      }
    }
  }
  return {{"schema", kReportSchema},
          {"verdict", report.verdict()},
          {"exit_code", static_cast<int>(report.exit_code())},
          {"cases", CasesJson(report.tally())},
          {"scope", NumbersJson(report.scope())},
          {"digest", report.digest()},
          {"seed", std::to_string(report.info().seed)},
          {"findings_total", std::to_string(report.findings_total())},
          {"findings", findings}};
}

Json ChecksJson(const RunReport& report) {
  Json out = Json::array();
  for (const auto& [code, total] : report.checks()) {
    out.push_back({{"check", code},
                   {"cases", total.cases},
                   {"counted", std::to_string(total.counted)},
                   {"unit", CleanUtf8(total.unit)},
                   {"findings", std::to_string(total.findings)},
                   {"unproven", total.unproven}});
  }
  return out;
}

Json ShownCasesJson(const RunReport& report) {
  Json out = Json::array();
  for (const record::CaseRecord& record : report.shown()) {
    Json reasons = Json::array();
    for (const std::string& reason : record.unproven()) {
      reasons.push_back(CleanUtf8(reason));
    }
    out.push_back({{"name", CleanUtf8(record.name())},
                   {"outcome", OutcomeName(record.outcome())},
                   {"false_success", record.false_success()},
                   {"tool_claim", CleanUtf8(record.tool_claim())},
                   {"cut_ts", std::to_string(record.cut_ts())},
                   {"digest", CleanUtf8(record.digest())},
                   {"findings", record.finding_size()},
                   {"unproven", reasons},
                   {"case_file", CleanUtf8(record.case_file())}});
  }
  return out;
}

}  // namespace

std::string RunReport::VerdictJson() const { return VerdictObject(*this).dump(2) + "\n"; }

std::string RunReport::RunJson() const {
  Json out = VerdictObject(*this);
  out["verb"] = info_.verb;
  out["version"] = info_.version;
  out["replay_command"] = CleanUtf8(info_.replay_command);
  out["false_success"] = tally_.false_success;
  out["checks"] = ChecksJson(*this);
  Json counts = NumbersJson(counts_);
  counts["faults_fired"] = Json::object();
  const std::map<std::string, uint64_t> faults(counts_.faults_fired().begin(), counts_.faults_fired().end());
  for (const auto& [kind, count] : faults) {
    counts["faults_fired"][kind] = std::to_string(count);
  }
  out["counts"] = counts;
  out["classes"] = Json::object();
  for (const auto& [name, count] : classes_) {
    out["classes"][CleanUtf8(name)] = count;
  }
  out["problems"] = Json::array();
  for (const Problem& problem : problems_) {
    out["problems"].push_back({{"exit_code", static_cast<int>(problem.code)}, {"sentence", CleanUtf8(problem.sentence)}});
  }
  out["cases_not_same"] = ShownCasesJson(*this);
  return out.dump(2) + "\n";
}

}  // namespace kvjury::reports
