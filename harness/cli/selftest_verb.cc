// kvjury selftest: is every planted bug convicted, and is the judge quiet on everything else?
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "harness/cli/case_session.h"
#include "harness/cli/verb.h"
#include "harness/cli/version.h"
#include "harness/explore/case_file.h"
#include "harness/explore/selftest.h"

namespace kvjury::cli {
namespace {

std::string JoinCommas(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) {
    joined += (joined.empty() ? "" : ",") + word;
  }
  return joined;
}

class SelftestVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("selftest", "Convicts every planted bug and counts false alarms");
    verb->add_option("--bug", bugs_, "Only these planted bugs");
    verb->add_option("--seed", options_.seed, "What is drawn comes from this number")->capture_default_str();
    verb->add_option("--cases", options_.cases_per_bug_max, "Cases drawn for a bug before the judge is called blind")
        ->capture_default_str();
    verb->add_option("--clean-cases", options_.clean_cases, "Clean and fault-only cases")->capture_default_str();
    verb->add_option("--out", out_, "Folder for convicting cases and alarms")->capture_default_str();
    verb->add_flag("--json", json_, "The score as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    Result<std::vector<sim::Bug>> bugs = ChosenBugs();
    if (!bugs.ok()) {
      return Fail(terminal, bugs.error());
    }
    Result<reports::RunFolder> folder = reports::RunFolder::Open(out_);
    if (!folder.ok()) {
      return Fail(terminal, folder.error());
    }
    *terminal->err << fmt::format("kvjury selftest: seed {}, results in {}\n", options_.seed, out_) << std::flush;
    const GracefulStop stop;
    options_.stop = [&stop]() { return stop.requested().has_value(); };
    Status ran = ConvictAll(*bugs, terminal);
    if (ran.ok()) {
      ran = RunCleanCases(terminal);
    }
    if (!ran.ok()) {
      return Fail(terminal, ran);
    }
    return stop.requested().value_or(Conclude(terminal));
  }

 private:
  Result<std::vector<sim::Bug>> ChosenBugs() const {
    std::vector<sim::Bug> chosen;
    for (const std::string& name : bugs_) {
      ASSIGN_OR_RETURN(sim::Bug bug, sim::FindBug(name));
      chosen.push_back(bug);
    }
    if (chosen.empty()) {
      for (const sim::BugInfo& info : sim::AllBugs()) {
        chosen.push_back(info.bug);
      }
    }
    return chosen;
  }

  Status ConvictAll(const std::vector<sim::Bug>& bugs, Terminal* terminal) {
    *terminal->err << fmt::format("{:<32} {:<10} {:<18} {:>6} {:>11} {:>7}  {}\n", "bug", "convicted", "by", "cases",
                                  "operations", "faults", "twin without it");
    for (sim::Bug bug : bugs) {
      const std::string name(sim::AllBugs()[static_cast<size_t>(bug)].name);
      Progress progress(terminal, name, options_.cases_per_bug_max);
      options_.progress = [&progress](const std::string&, uint64_t done, uint64_t) { progress.Update(done); };
      ASSIGN_OR_RETURN(explore::BugScore score, explore::Convict(bug, options_, &volumes_));
      *terminal->err << fmt::format("{:<32} {:<10} {:<18} {:>6} {:>11} {:>7}  {}\n", score.name, score.convicted ? "yes" : "NO",
                                    JoinCommas(score.checks), score.cases, score.operations, score.faults,
                                    !score.convicted ? "-" : score.twin_quiet ? "quiet" : "ALARM")
                     << std::flush;
      if (score.convicted) {
        RETURN_IF_ERROR(explore::WriteCaseFile(out_ + "/" + score.name + ".case", score.convicting_case,
                                               score.name + ": convicted by " + JoinCommas(score.checks)));
      }
      scores_.push_back(std::move(score));
    }
    return Status::Ok();
  }

  Status RunCleanCases(Terminal* terminal) {
    Progress progress(terminal, "clean cases", options_.clean_cases);
    options_.progress = [&progress](const std::string&, uint64_t done, uint64_t) { progress.Update(done); };
    ASSIGN_OR_RETURN(clean_, explore::RunClean(options_, 0, 1, &volumes_));
    for (const record::CaseRecord& alarm : clean_.alarm_records) {
      const std::string path = out_ + "/alarm-" + alarm.name() + ".case";
      RETURN_IF_ERROR(explore::WriteCaseFile(path, alarm.case_(), "A false alarm: no bug was planted."));
      *terminal->err << CaseWords(alarm) << "replay: kvjury replay " << path << "\n" << std::flush;
    }
    return Status::Ok();
  }

  ExitCode Conclude(Terminal* terminal) {
    uint64_t blind = 0;
    uint64_t loud_twins = 0;
    for (const explore::BugScore& score : scores_) {
      blind += score.convicted ? 0 : 1;
      loud_twins += score.convicted && !score.twin_quiet ? 1 : 0;
    }
    const uint64_t alarms = clean_.false_alarms + loud_twins;
    *terminal->err << fmt::format("{} of {} planted bugs convicted; {} false alarms over {} clean and fault-only cases and {} twins; "
                                  "{} same ({:.2f} %), {} honest failures, {} unproven, {} with known losses of a dump\n",
                                  scores_.size() - blind, scores_.size(), alarms, clean_.cases, scores_.size() - blind,
                                  clean_.same, clean_.cases == 0 ? 0.0 : 100.0 * static_cast<double>(clean_.same) /
                                                                             static_cast<double>(clean_.cases),
                                  clean_.honest_failures, clean_.unproven, clean_.known_losses);
    if (json_) {
      *terminal->out << ScoreJson(alarms).dump() << "\n";
    }
    *terminal->err << fmt::format("replay: kvjury selftest --seed {}\n", options_.seed) << std::flush;
    const Status flushed = FlushOut(terminal);
    if (!flushed.ok()) {
      return Fail(terminal, flushed);
    }
    if (blind > 0) {
      return ExitCode::kBlindJudge;
    }
    if (clean_.cases == 0 && options_.clean_cases > 0) {
      return ExitCode::kNothingChecked;
    }
    return alarms > 0 ? ExitCode::kDifferent : clean_.unproven > 0 ? ExitCode::kUnproven : ExitCode::kSame;
  }

  [[nodiscard]] nlohmann::ordered_json ScoreJson(uint64_t alarms) const {
    nlohmann::ordered_json json;
    json["schema"] = reports::kReportSchema;
    json["seed"] = std::to_string(options_.seed);
    json["bugs"] = nlohmann::ordered_json::array();
    for (const explore::BugScore& score : scores_) {
      json["bugs"].push_back({{"name", score.name},
                              {"convicted", score.convicted},
                              {"checks", score.checks},
                              {"cases", score.cases},
                              {"operations", score.operations},
                              {"faults", score.faults},
                              {"twin_quiet", score.twin_quiet}});
    }
    json["clean_cases"] = clean_.cases;
    json["same"] = clean_.same;
    json["honest_failures"] = clean_.honest_failures;
    json["unproven"] = clean_.unproven;
    json["known_losses"] = clean_.known_losses;
    json["false_alarms"] = alarms;
    return json;
  }

  explore::SelftestOptions options_;
  std::vector<std::string> bugs_;
  std::string out_ = "out/selftest";
  bool json_ = false;
  explore::VolumeLibrary volumes_{kSourceFolder};
  std::vector<explore::BugScore> scores_;
  explore::CleanScore clean_;
};

}  // namespace

std::unique_ptr<Verb> MakeSelftestVerb() { return std::make_unique<SelftestVerb>(); }

}  // namespace kvjury::cli
