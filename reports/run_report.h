// RunReport: what all finished cases of a run say together, and the files made from it.
//
// Made from case records alone, so that a report can be made again from run.jsonl without the harness. Only counts are
// kept of cases that were the same; of all others the record, up to bounds that the report states.
// Not here: judging (harness/judge), folders and files (run_folder.h). Determinism: a function of the records and RunInfo.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fakes/base/digest.h"
#include "proto/kvjury/verdict.pb.h"
#include "reports/exit_code.h"

namespace kvjury::reports {

inline constexpr int kReportSchema = 1;
/// Findings that verdict.json and run.json hold; run.jsonl holds all.
inline constexpr size_t kFindingsShownMax = 100;
/// Cases other than SAME whose records are kept for the report; run.jsonl holds all.
inline constexpr size_t kCasesShownMax = 1000;

struct RunInfo {
  std::string verb;     // "run", "soak", "replay" ...
  std::string version;  // of the program
  uint64_t seed = 0;
  /// The command that repeats the run.
  std::string replay_command;
  /// In `run` and `soak` an honest failure counts as handled; with a real tool it leaves the question open (exit code 3).
  bool honest_failure_is_unproven = false;
};

struct Tally {
  uint64_t same = 0;
  uint64_t different = 0;
  uint64_t honest_failure = 0;
  uint64_t unproven = 0;
  /// Cases that checked nothing, or could not be run at all.
  uint64_t error = 0;
  uint64_t false_success = 0;

  [[nodiscard]] uint64_t cases() const { return same + different + honest_failure + unproven + error; }
};

/// All checks of one code over all cases.
struct CheckTotal {
  std::string unit;
  uint64_t cases = 0;
  uint64_t counted = 0;
  uint64_t findings = 0;
  uint64_t unproven = 0;
};

class RunReport {
 public:
  explicit RunReport(RunInfo info) : info_(std::move(info)) {}

  /// Adds one finished case; its position is part of the run's digest.
  void Add(const record::CaseRecord& record);

  /// A case or step that could not be carried out, or an expectation that did not hold, in one sentence.
  void AddProblem(ExitCode code, std::string sentence);

  [[nodiscard]] const RunInfo& info() const { return info_; }
  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] ExitCode exit_code() const;
  /// SAME, DIFFERENT or UNPROVEN (also when some cases checked nothing); HONEST_FAILURE when nothing else came out; NOTHING
  /// when nothing was checked.
  [[nodiscard]] std::string verdict() const;
  /// Over all cases' digests in their order, 16 hex digits.
  [[nodiscard]] std::string digest() const { return digest_.ToString(); }
  [[nodiscard]] uint64_t findings_total() const { return findings_total_; }

  /// The contract for scripts: schema, verdict, exit_code, cases, scope, digest, seed, findings.
  [[nodiscard]] std::string VerdictJson() const;
  /// The same and: checks, counts, classes, problems and the cases that were not SAME.
  [[nodiscard]] std::string RunJson() const;
  [[nodiscard]] std::string JunitXml() const;
  [[nodiscard]] std::string SummaryMarkdown() const;

  // What the forms above are made from.
  struct CaseLine {
    std::string name;
    record::Outcome outcome = record::OUTCOME_NOTHING;
  };
  struct Problem {
    ExitCode code = ExitCode::kEnvironment;
    std::string sentence;
  };
  [[nodiscard]] const std::vector<CaseLine>& case_lines() const { return case_lines_; }
  [[nodiscard]] const std::vector<record::CaseRecord>& shown() const { return shown_; }
  [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }
  [[nodiscard]] const std::map<std::string, CheckTotal>& checks() const { return checks_; }
  [[nodiscard]] const std::map<std::string, uint64_t>& classes() const { return classes_; }
  [[nodiscard]] const record::Scope& scope() const { return scope_; }
  [[nodiscard]] const record::Counts& counts() const { return counts_; }

 private:
  RunInfo info_;
  Tally tally_;
  RollingDigest digest_;
  record::Scope scope_;
  record::Counts counts_;
  uint64_t findings_total_ = 0;
  std::map<std::string, CheckTotal> checks_;
  std::map<std::string, uint64_t> classes_;
  std::vector<CaseLine> case_lines_;
  std::vector<record::CaseRecord> shown_;
  std::vector<Problem> problems_;
};

/// SAME, DIFFERENT, UNPROVEN, HONEST_FAILURE or NOTHING.
std::string OutcomeName(record::Outcome outcome);

/// "source", "files", "import", "target" or "unknown".
std::string LostAtName(record::LostAt lost_at);

}  // namespace kvjury::reports
