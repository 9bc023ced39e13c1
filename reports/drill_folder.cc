#include "reports/drill_folder.h"

#include "reports/drill_words.h"

namespace kvjury::reports {

Result<DrillFolder> DrillFolder::Open(const std::string& path) {
  RETURN_IF_ERROR(PrepareFolder(path, {"verdict.json", "report.html", "matrix.md", "junit.xml"}));
  ASSIGN_OR_RETURN(LinesFile lines, LinesFile::Open(path + "/drills.jsonl"));
  return DrillFolder(path, std::move(lines));
}

Status DrillFolder::Append(const record::DrillRecord& drill) {
  record::DrillRecord clean = drill;
  CleanTexts(&clean);
  ASSIGN_OR_RETURN(std::string line, JsonLine(clean, DrillName(clean)));
  return lines_.Append(std::move(line));
}

Status DrillFolder::Finish(const DrillReport& report) {
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/report.html", report.Html()));
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/matrix.md", report.MatrixMarkdown()));
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/junit.xml", report.JunitXml()));
  return WriteFileWhole(path_ + "/verdict.json", report.VerdictJson());
}

Result<DrillLines> ParseDrillLines(const std::string& file_name, std::string_view text) {
  return ParseRecordLines<record::DrillRecord>(file_name, text, "drill record");
}

}  // namespace kvjury::reports
