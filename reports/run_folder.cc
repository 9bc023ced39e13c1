#include "reports/run_folder.h"

namespace kvjury::reports {

Result<std::string> RecordLine(const record::CaseRecord& record) { return JsonLine(record, "case " + record.name()); }

Result<RunFolder> RunFolder::Open(const std::string& path) {
  RETURN_IF_ERROR(PrepareFolder(path, {"verdict.json", "run.json", "junit.xml", "summary.md"}));
  ASSIGN_OR_RETURN(LinesFile lines, LinesFile::Open(path + "/run.jsonl"));
  return RunFolder(path, std::move(lines));
}

Status RunFolder::Append(const record::CaseRecord& record) {
  ASSIGN_OR_RETURN(std::string line, RecordLine(record));
  return lines_.Append(std::move(line));
}

Status RunFolder::Finish(const RunReport& report) {
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/summary.md", report.SummaryMarkdown()));
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/junit.xml", report.JunitXml()));
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/run.json", report.RunJson()));
  return WriteFileWhole(path_ + "/verdict.json", report.VerdictJson());
}

Result<RunLines> ParseRunLines(const std::string& file_name, std::string_view text) {
  return ParseRecordLines<record::CaseRecord>(file_name, text, "case record");
}

}  // namespace kvjury::reports
