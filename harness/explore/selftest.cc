#include "harness/explore/selftest.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "harness/explore/case_shape.h"
#include "harness/explore/run_case.h"

namespace kvjury::explore {

namespace {

constexpr char kFormLoss[] = "form-loss";

std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> parts;
  std::istringstream in{std::string(text)};
  for (std::string part; std::getline(in, part, ',');) {
    parts.push_back(part);
  }
  return parts;
}

// The checks of the catalogue that have a finding in the record, known losses aside.
std::vector<std::string> NamedFindings(const sim::BugInfo& info, const record::CaseRecord& record) {
  std::set<std::string> found;
  for (const record::Finding& finding : record.finding()) {
    if (finding.kind() != kFormLoss) {
      found.insert(finding.check());
    }
  }
  std::vector<std::string> named;
  for (const std::string& check : SplitCommas(info.checks)) {
    if (found.count(check) > 0) {
      named.push_back(check);
    }
  }
  return named;
}

bool Quiet(const record::CaseRecord& record) {
  return record.outcome() == record::SAME || record.outcome() == record::HONEST_FAILURE || OnlyKnownLosses(record);
}

uint64_t CountOperations(const record::Case& c) {
  uint64_t count = 0;
  for (const record::Writer& writer : c.writers()) {
    count += static_cast<uint64_t>(writer.op_size());
  }
  return count;
}

bool Stopped(const SelftestOptions& options) { return options.stop && options.stop(); }

void Report(const SelftestOptions& options, const std::string& what, uint64_t done, uint64_t total) {
  if (options.progress) {
    options.progress(what, done, total);
  }
}

Result<record::Case> DrawBuggyCase(const sim::BugInfo& info, uint64_t seed, uint64_t index, VolumeLibrary* volumes) {
  RandomStream random = RandomStream(seed, info.name).Fork(std::to_string(index));
  CaseShape shape = DrawShape(&random, Trouble::kNone);
  AimAt(info.bug, &random, &shape);
  ASSIGN_OR_RETURN(record::Case c, MakeCase(shape, volumes));
  c.set_name(std::string(info.name) + "-" + std::to_string(index));
  c.add_bug(std::string(info.name));
  return c;
}

}  // namespace

bool OnlyKnownLosses(const record::CaseRecord& record) {
  return record.finding_size() > 0 && std::all_of(record.finding().begin(), record.finding().end(),
                                                  [](const record::Finding& finding) { return finding.kind() == kFormLoss; });
}

Result<BugScore> Convict(sim::Bug bug, const SelftestOptions& options, VolumeLibrary* volumes) {
  const sim::BugInfo& info = sim::AllBugs()[static_cast<size_t>(bug)];
  BugScore score;
  score.name = std::string(info.name);
  for (uint64_t index = 0; index < options.cases_per_bug_max && !Stopped(options); ++index) {
    ASSIGN_OR_RETURN(record::Case c, DrawBuggyCase(info, options.seed, index, volumes));
    ASSIGN_OR_RETURN(record::CaseRecord record, RunCase(c, volumes));
    ++score.cases;
    Report(options, score.name, score.cases, options.cases_per_bug_max);
    // Only a tool that said success can be convicted by the guard it lacks; a loud failure hides nothing.
    if (record.outcome() != record::DIFFERENT) {
      continue;
    }
    score.checks = NamedFindings(info, record);
    if (score.checks.empty()) {
      continue;
    }
    score.convicted = true;
    score.operations = CountOperations(c);
    for (const auto& [kind, count] : record.counts().faults_fired()) {
      score.faults += count;
    }
    score.convicting_case = record.case_();
    c.clear_bug();
    ASSIGN_OR_RETURN(record::CaseRecord twin, RunCase(c, volumes));
    score.twin_quiet = Quiet(twin);
    break;
  }
  return score;
}

Result<CleanScore> RunClean(const SelftestOptions& options, uint64_t first, uint64_t step, VolumeLibrary* volumes) {
  static const std::vector<Trouble> kRota = {Trouble::kNone, Trouble::kFaults, Trouble::kTriggers, Trouble::kAll};
  CleanScore score;
  for (uint64_t index = first; index < options.clean_cases && !Stopped(options); index += step) {
    RandomStream random = RandomStream(options.seed, "clean").Fork(std::to_string(index));
    const CaseShape shape = DrawShape(&random, kRota[index % kRota.size()]);
    ASSIGN_OR_RETURN(record::Case c, MakeCase(shape, volumes));
    c.set_name("clean-" + std::to_string(index));
    ASSIGN_OR_RETURN(record::CaseRecord record, RunCase(c, volumes));
    ++score.cases;
    switch (record.outcome()) {
      case record::SAME:
        ++score.same;
        break;
      case record::HONEST_FAILURE:
        ++score.honest_failures;
        break;
      case record::UNPROVEN:
        ++score.unproven;
        break;
      default:
        if (OnlyKnownLosses(record)) {
          ++score.known_losses;
          break;
        }
        ++score.false_alarms;
        score.alarm_records.push_back(std::move(record));
        break;
    }
    Report(options, "clean cases", score.cases, options.clean_cases / step);
  }
  return score;
}

}  // namespace kvjury::explore
