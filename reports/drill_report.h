// DrillReport: what all drills of one `kvjury drive` say together, and the files made from it.
//
// Made from drill records alone, so that a report can be made again from drills.jsonl. Judging is not done here. Determinism: a
// function of the records and DriveInfo.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/kvjury/drill.pb.h"
#include "reports/drill_matrix.h"
#include "reports/exit_code.h"

namespace kvjury::reports {

struct DriveInfo {
  std::string version;  // of the program
  uint64_t seed = 0;
  /// The command that repeats all drills.
  std::string repeat_command;
  /// Where the run's files stand, as commands to copy name it.
  std::string folder;
};

/// Every drill is in one of the first five or skipped; false successes and hangs are also among the different.
struct DrillTally {
  uint64_t same = 0;
  uint64_t different = 0;
  uint64_t honest_failure = 0;
  uint64_t unproven = 0;
  /// Drills that checked nothing.
  uint64_t error = 0;
  uint64_t skipped = 0;
  uint64_t false_success = 0;
  uint64_t hang = 0;
  /// Of the different: those in planted rows.
  uint64_t planted_different = 0;

  /// Drills that were carried out.
  [[nodiscard]] uint64_t carried_out() const { return same + different + honest_failure + unproven + error; }
};

/// 1 for a false success, a difference or a hang, in planted rows too (the volume is different); 3 for what is unproven and for
/// an honest failure; 4 when nothing was checked, or all were skipped; else 0. Skipped drills change nothing.
ExitCode ExitCodeOfDrills(const std::vector<record::DrillRecord>& drills);

class DrillReport {
 public:
  explicit DrillReport(DriveInfo info) : info_(std::move(info)) {}

  /// Adds one finished drill; its position is part of the digest.
  void Add(record::DrillRecord drill) { drills_.push_back(std::move(drill)); }

  /// A step that could not be carried out, in one sentence.
  void AddProblem(ExitCode code, std::string sentence);

  [[nodiscard]] const DriveInfo& info() const { return info_; }
  [[nodiscard]] const std::vector<record::DrillRecord>& drills() const { return drills_; }
  [[nodiscard]] DrillTally tally() const;
  [[nodiscard]] ExitCode exit_code() const;
  /// DIFFERENT, UNPROVEN (honest failures too), SAME or NOTHING, as of a run.
  [[nodiscard]] std::string verdict() const;
  /// The verdict in one sentence that an operator understands.
  [[nodiscard]] std::string Sentence() const;
  /// Over all drills' digests in their order, 16 hex digits.
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] record::Scope scope() const;
  [[nodiscard]] DrillMatrix matrix() const { return DrillMatrix(drills_); }

  /// The contract for scripts: what verdict.json of a run holds, counts of false successes, hangs and skipped drills, and the
  /// matrix.
  [[nodiscard]] std::string VerdictJson() const;
  [[nodiscard]] std::string JunitXml() const;
  /// The matrix under the verdict.
  [[nodiscard]] std::string MatrixMarkdown() const;
  /// report.html: one file that needs nothing else.
  [[nodiscard]] std::string Html() const;

 private:
  struct Problem {
    ExitCode code = ExitCode::kEnvironment;
    std::string sentence;
  };

  DriveInfo info_;
  std::vector<record::DrillRecord> drills_;
  std::vector<Problem> problems_;
};

}  // namespace kvjury::reports
