#include "reports/drill_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fakes/base/digest.h"
#include "reports/drill_words.h"
#include "reports/finding_forms.h"
#include "reports/junit.h"
#include "reports/run_report.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

using Json = nlohmann::ordered_json;

Json MatrixJson(const DrillMatrix& matrix) {
  Json out = Json::array();
  for (size_t row = 0; row < matrix.rows().size(); ++row) {
    for (size_t fault = 0; fault < matrix.faults().size(); ++fault) {
      const DrillCell* cell = matrix.Find(row, fault);
      if (cell == nullptr) {
        continue;
      }
      Json counts = Json::object();
      for (const auto& [outcome, count] : cell->counts) {
        counts[std::string(DrillWord(outcome))] = count;
      }
      Json one = {{"recipe", CleanUtf8(matrix.rows()[row].recipe)},
                  {"fault", CleanUtf8(matrix.faults()[fault])},
                  {"outcome", DrillWord(cell->worst)},
                  {"drills", cell->drills.size()},
                  {"counts", counts},
                  {"planted", !matrix.rows()[row].planted.empty()}};
      if (cell->NeedsWhy()) {
        one["why"] = CleanUtf8(cell->why);
      }
      out.push_back(one);
    }
  }
  return out;
}

std::string DrillText(const record::DrillRecord& drill) {
  std::string text = WhyOf(drill) + "\n";
  text += drill.planted().empty() ? "" : "planted: " + drill.planted() + "\n";
  for (int i = 0; i < drill.finding_size() && i < static_cast<int>(kFindingsShownMax); ++i) {
    text += FindingLine(drill.finding(i)) + "\n";
  }
  if (drill.finding_size() > static_cast<int>(kFindingsShownMax)) {
    text += fmt::format("and {} more in drills.jsonl\n", drill.finding_size() - static_cast<int>(kFindingsShownMax));
  }
  for (const std::string& reason : drill.unproven()) {
    text += "unproven: " + reason + "\n";
  }
  text += drill.folder().empty() ? "" : "folder: " + drill.folder() + "\n";
  return text + (drill.repeat_command().empty() ? "" : "repeat: " + drill.repeat_command() + "\n");
}

/// A conviction is a failure; what stays open is an error: nobody learned that the view is wrong, nor that it is right.
JunitCase JunitOf(const record::DrillRecord& drill) {
  using Kind = JunitCase::Kind;
  const std::string type(DrillWord(drill.outcome()));
  JunitCase out{DrillName(drill), Kind::kError, type, type + ": " + WhyOf(drill), DrillText(drill), drill.took_ms()};
  if (drill.outcome() == record::DRILL_SAME) {
    out.kind = Kind::kNothing;
  } else if (drill.outcome() == record::DRILL_SKIPPED) {
    out = {out.name, Kind::kSkipped, "", WhyOf(drill)};
  } else if (Convicted(drill.outcome())) {
    out.kind = Kind::kFailure;
  }
  return out;
}

std::string Drills(uint64_t count) { return fmt::format("{} {}", count, count == 1 ? "drill" : "drills"); }

std::string DifferentSentence(const DrillTally& tally) {
  if (tally.carried_out() == 1) {
    return tally.hang == 1            ? "The tool did not end, so there is no restored volume to trust."
           : tally.false_success == 1 ? "The tool said success, and the restored volume is not the volume that was backed up."
                                      : "The restored volume is not the volume that was backed up.";
  }
  std::string out =
      fmt::format("{} of {} did not give back the volume that was backed up", tally.different, Drills(tally.carried_out()));
  out += tally.false_success > 0 ? fmt::format("; in {} the tool said success", tally.false_success) : "";
  out += tally.hang > 0 ? fmt::format("; in {} the tool did not end", tally.hang) : "";
  if (tally.planted_different > 0) {
    out += tally.planted_different == tally.different
               ? "; all of them are planted rows, which are there for that"
               : fmt::format("; {} are in planted rows, which are there for that", tally.planted_different);
  }
  return out + ".";
}

}  // namespace

ExitCode ExitCodeOfDrills(const std::vector<record::DrillRecord>& drills) {
  const bool any =
      std::any_of(drills.begin(), drills.end(), [](const auto& drill) { return drill.outcome() != record::DRILL_SKIPPED; });
  ExitCode code = any ? ExitCode::kSame : ExitCode::kNothingChecked;
  for (const record::DrillRecord& drill : drills) {
    code = MoreImportant(code, DrillExitCode(drill.outcome()));
  }
  return code;
}

void DrillReport::AddProblem(ExitCode code, std::string sentence) {
  problems_.push_back({MoreImportant(code, code), std::move(sentence)});
}

DrillTally DrillReport::tally() const {
  DrillTally tally;
  for (const record::DrillRecord& drill : drills_) {
    const record::DrillOutcome outcome = drill.outcome();
    if (Convicted(outcome)) {
      ++tally.different;
      tally.planted_different += drill.planted().empty() ? 0 : 1;
    }
    tally.false_success += outcome == record::DRILL_FALSE_SUCCESS ? 1 : 0;
    tally.hang += outcome == record::DRILL_HANG ? 1 : 0;
    tally.same += outcome == record::DRILL_SAME ? 1 : 0;
    tally.honest_failure += outcome == record::DRILL_HONEST_FAILURE ? 1 : 0;
    tally.unproven += outcome == record::DRILL_UNPROVEN ? 1 : 0;
    tally.skipped += outcome == record::DRILL_SKIPPED ? 1 : 0;
  }
  tally.error = drills_.size() - tally.skipped - tally.different - tally.same - tally.honest_failure - tally.unproven;
  return tally;
}

ExitCode DrillReport::exit_code() const {
  ExitCode code = ExitCodeOfDrills(drills_);
  for (const Problem& problem : problems_) {
    code = MoreImportant(code, problem.code);
  }
  return code;
}

std::string DrillReport::verdict() const {
  const DrillTally all = tally();
  if (all.different > 0) {
    return "DIFFERENT";
  }
  if (all.unproven > 0 || all.honest_failure > 0 || (all.same > 0 && all.error > 0)) {
    return "UNPROVEN";
  }
  return all.same > 0 ? "SAME" : "NOTHING";
}

std::string DrillReport::Sentence() const {
  const DrillTally all = tally();
  const std::string verdict_word = verdict();
  std::string out;
  if (verdict_word == "DIFFERENT") {
    return DifferentSentence(all);
  }
  if (verdict_word == "SAME") {
    out = all.carried_out() == 1
              ? "The restored volume is the volume that was backed up."
              : fmt::format("In all {} the restored volume is the volume that was backed up.", Drills(all.carried_out()));
  } else if (verdict_word == "UNPROVEN" && all.carried_out() == 1) {
    out = all.honest_failure == 1 ? "The tool failed and said so: there is no restored volume to trust."
                                  : "Whether the restored volume is the volume that was backed up is not proved.";
  } else if (verdict_word == "UNPROVEN") {
    out = fmt::format(
        "No difference was found, and {} of {} are not proved: {} unproven, {} honest failures, {} that checked nothing.",
        all.carried_out() - all.same, Drills(all.carried_out()), all.unproven, all.honest_failure, all.error);
  } else {
    out = drills_.empty() ? "Nothing was checked: no drill was carried out." : "Nothing was checked.";
  }
  return all.skipped == 0 ? out : fmt::format("{} {} {} skipped.", out, Drills(all.skipped), all.skipped == 1 ? "was" : "were");
}

std::string DrillReport::digest() const {
  RollingDigest digest;
  for (const record::DrillRecord& drill : drills_) {
    digest.Add(drill.digest());
  }
  return digest.ToString();
}

record::Scope DrillReport::scope() const {
  record::Scope scope;
  for (const record::DrillRecord& drill : drills_) {
    AddNumbers(drill.scope(), &scope);
  }
  return scope;
}

std::string DrillReport::VerdictJson() const {
  const DrillTally all = tally();
  uint64_t total = 0;
  Json findings = Json::array();
  for (const record::DrillRecord& drill : drills_) {
    total += static_cast<uint64_t>(drill.finding_size());
    for (int i = 0; i < drill.finding_size() && findings.size() < kFindingsShownMax; ++i) {
      findings.push_back(FindingJson(DrillName(drill), drill.finding(i)));
    }
  }
  Json problems = Json::array();
  for (const Problem& problem : problems_) {
    problems.push_back({{"exit_code", static_cast<int>(problem.code)}, {"sentence", CleanUtf8(problem.sentence)}});
  }
  const Json out = {{"schema", kReportSchema},
                    {"verdict", verdict()},
                    {"exit_code", static_cast<int>(exit_code())},
                    {"cases",
                     {{"same", all.same},
                      {"different", all.different},
                      {"honest_failure", all.honest_failure},
                      {"unproven", all.unproven},
                      {"error", all.error}}},
                    {"false_success", all.false_success},
                    {"hang", all.hang},
                    {"skipped", all.skipped},
                    {"scope", NumbersJson(scope())},
                    {"digest", digest()},
                    {"seed", std::to_string(info_.seed)},
                    {"matrix", MatrixJson(matrix())},
                    {"problems", problems},
                    {"findings_total", std::to_string(total)},
                    {"findings", findings}};
  return out.dump(2) + "\n";
}

std::string DrillReport::JunitXml() const {
  std::vector<JunitCase> cases;
  for (const record::DrillRecord& drill : drills_) {
    cases.push_back(JunitOf(drill));
  }
  for (const Problem& problem : problems_) {
    const std::string meaning(ExitCodeMeaning(problem.code));
    cases.push_back({meaning, JunitCase::Kind::kError, meaning, problem.sentence});
  }
  return reports::JunitXml("drive", cases);
}

std::string DrillReport::MatrixMarkdown() const {
  std::string out = fmt::format("# {}\n\n{}\n\n", verdict(), EscapeMarkdown(Sentence()));
  for (const Problem& problem : problems_) {
    out += fmt::format("{}: {}\n\n", ExitCodeMeaning(problem.code), EscapeMarkdown(problem.sentence));
  }
  out += matrix().Markdown();
  out += fmt::format("\nSeed {}, digest {}, kvjury {}.\n", info_.seed, digest(), EscapeMarkdown(info_.version));
  return out + (info_.repeat_command.empty() ? "" : "\n    " + OneLine(info_.repeat_command) + "\n");
}

}  // namespace kvjury::reports
