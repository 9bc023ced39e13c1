// DrillFolder: where the results of drills stand. A run that is killed leaves the records of all finished drills; a file that
// stands under its final name is whole.
//
// drills.jsonl grows by one line a finished drill. report.html, matrix.md, junit.xml and verdict.json are written beside their
// place and renamed at the end, verdict.json last; those of an earlier run are removed when the folder is opened.
#pragma once

#include <string>
#include <string_view>

#include "reports/drill_report.h"
#include "reports/json_lines.h"
#include "reports/out_files.h"

namespace kvjury::reports {

class DrillFolder {
 public:
  /// Creates the folder with its parents if it does not exist, removes the reports of an earlier run and starts an empty
  /// drills.jsonl. Errors: kEnvironment naming the folder and the cause.
  static Result<DrillFolder> Open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }

  /// Appends one finished drill; bytes of foreign programs that are no UTF-8 become \xNN. Errors: kEnvironment.
  Status Append(const record::DrillRecord& drill);

  /// Writes the reports, verdict.json last: when it is there, everything is. Errors: kEnvironment.
  Status Finish(const DrillReport& report);

 private:
  DrillFolder(std::string path, LinesFile lines) : path_(std::move(path)), lines_(std::move(lines)) {}

  std::string path_;
  LinesFile lines_;  // drills.jsonl
};

using DrillLines = RecordLines<record::DrillRecord>;

/// Reads the text of a drills.jsonl. Errors: kDataLoss naming file and line for a whole line that is no record.
Result<DrillLines> ParseDrillLines(const std::string& file_name, std::string_view text);

}  // namespace kvjury::reports
