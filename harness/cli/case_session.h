// CaseSession: what run, replay and soak share: a folder of results that grows case by case, a report, and the words for
// people on the way.
//
// The seed and the folder are said first, the command that repeats the (first failing) case last. A share of the cases is
// run twice and compared: another digest is "not the same run". Every case that is not SAME is written as a case file with
// nothing left to draw, before its record is.
#pragma once

#include <optional>
#include <string>

#include "harness/cli/progress.h"
#include "harness/cli/signals.h"
#include "harness/cli/verb.h"
#include "harness/explore/volume_library.h"
#include "proto/kvjury/case.pb.h"
#include "reports/run_folder.h"
#include "reports/run_report.h"

namespace kvjury::cli {

struct SessionOptions {
  std::string verb;
  std::string out = "out";
  uint64_t seed = 1;
  bool json = false;
  /// Of a million cases this many are run a second time.
  uint64_t repeat_ppm = 50'000;
  std::string replay_command;
};

class CaseSession {
 public:
  /// Opens the folder and says where it is. Errors: kEnvironment.
  static Result<std::unique_ptr<CaseSession>> Open(SessionOptions options, Terminal* terminal);

  /// Runs, judges and records one case. Its backup's files are kept in the folder `keep_backup_in` unless that is empty.
  /// Errors: kInvalidArgument, kNotFound, kDataLoss, kUnsupported, kEnvironment.
  Result<record::CaseRecord> Run(const record::Case& c, const std::string& keep_backup_in = "");

  /// Says what was found in the first case that failed, when `record` is that case's; nothing of the others.
  void SayFirstFailure(const record::CaseRecord& record);

  /// Takes over the records of finished cases from a folder of a child process. Errors: kEnvironment, kDataLoss.
  Status Adopt(const std::string& folder);

  /// An expectation that did not hold, or a case that could not be run.
  void AddProblem(ExitCode code, std::string sentence) { report_.AddProblem(code, std::move(sentence)); }

  /// Writes the reports, says the verdict with its counts and the replay command, and returns the exit code.
  ExitCode Finish();

  [[nodiscard]] explore::VolumeLibrary* volumes() { return &volumes_; }
  [[nodiscard]] const reports::RunReport& report() const { return report_; }
  [[nodiscard]] const std::string& out() const { return options_.out; }

 private:
  CaseSession(SessionOptions options, Terminal* terminal, reports::RunFolder folder);
  Status KeepCase(record::CaseRecord* record);
  void RepeatSome(const record::Case& c, const record::CaseRecord& record);
  void SayVerdict();

  SessionOptions options_;
  Terminal* terminal_;
  reports::RunFolder folder_;
  reports::RunReport report_;
  explore::VolumeLibrary volumes_;
  std::optional<record::CaseRecord> first_failure_;
  uint64_t repeated_ = 0;
};

/// Several lines for people about one judged case: verdict, counts, findings.
std::string CaseWords(const record::CaseRecord& record);

}  // namespace kvjury::cli
