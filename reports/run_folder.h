// RunFolder: where the results of a run stand. A run that is killed leaves the records of all finished cases; a file that
// stands under its final name is whole.
//
// run.jsonl grows by one line a finished case, written in one piece. verdict.json, run.json, junit.xml and summary.md are
// written beside their place and renamed at the end; those of an earlier run are removed when the folder is opened.
#pragma once

#include <string>
#include <string_view>

#include "reports/json_lines.h"
#include "reports/out_files.h"
#include "reports/run_report.h"

namespace kvjury::reports {

/// One line without its newline. Errors: kInvalidArgument if a text field is not UTF-8.
Result<std::string> RecordLine(const record::CaseRecord& record);

class RunFolder {
 public:
  /// Creates the folder with its parents if it does not exist, removes the reports of an earlier run and starts an empty
  /// run.jsonl. Errors: kEnvironment naming the folder and the cause.
  static Result<RunFolder> Open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }

  /// Appends one finished case. After an error the folder must not be finished. Errors: kEnvironment.
  Status Append(const record::CaseRecord& record);

  /// Writes the reports, verdict.json last: when it is there, everything is. Errors: kEnvironment.
  Status Finish(const RunReport& report);

 private:
  RunFolder(std::string path, LinesFile lines) : path_(std::move(path)), lines_(std::move(lines)) {}

  std::string path_;
  LinesFile lines_;  // run.jsonl
};

using RunLines = RecordLines<record::CaseRecord>;

/// Reads the text of a run.jsonl. Errors: kDataLoss naming file and line for a whole line that is no record.
Result<RunLines> ParseRunLines(const std::string& file_name, std::string_view text);

}  // namespace kvjury::reports
