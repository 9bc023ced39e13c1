#include "reports/run_folder.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "reports/text.h"

namespace kvjury::reports {
namespace {

constexpr std::array kReportNames = {"verdict.json", "run.json", "junit.xml", "summary.md"};

std::string Cause(int error) { return std::generic_category().message(error); }

Status CannotWrite(const std::string& path, int error) {
  return Status::Environment("cannot write " + path + ": " + Cause(error));
}

/// Everything or an error number; 0 is success.
int WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno;
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

}  // namespace

Status WriteFileWhole(const std::string& path, std::string_view bytes) {
  const std::string part = path + ".part";
  const int descriptor = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return CannotWrite(path, errno);
  }
  int error = WriteAll(descriptor, bytes);
  if (error == 0 && fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS) {
    error = errno;
  }
  if (close(descriptor) != 0 && error == 0) {
    error = errno;
  }
  if (error == 0 && std::rename(part.c_str(), path.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) {
    unlink(part.c_str());
    return CannotWrite(path, error);
  }
  return Status::Ok();
}

Result<std::string> RecordLine(const record::CaseRecord& record) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(record, &line, options);
  if (!status.ok()) {
    return Status::InvalidArgument("case " + CleanUtf8(record.name()) + " has no JSON form: " + status.ToString());
  }
  return line;
}

Result<RunFolder> RunFolder::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return Status::Environment("cannot create the folder " + path + ": " + error.message());
  }
  for (const char* name : kReportNames) {
    const std::string file = path + "/" + name;
    if (unlink(file.c_str()) != 0 && errno != ENOENT) {
      return CannotWrite(file, errno);
    }
  }
  const std::string lines = path + "/run.jsonl";
  const int descriptor = open(lines.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return CannotWrite(lines, errno);
  }
  return RunFolder(path, descriptor);
}

RunFolder::RunFolder(RunFolder&& other) noexcept : path_(std::move(other.path_)), lines_(other.lines_) {
  other.lines_ = -1;
}

RunFolder::~RunFolder() {
  if (lines_ >= 0) {
    close(lines_);
  }
}

Status RunFolder::Append(const record::CaseRecord& record) {
  ASSIGN_OR_RETURN(std::string line, RecordLine(record));
  line += '\n';
  const int error = WriteAll(lines_, line);
  return error == 0 ? Status::Ok() : CannotWrite(path_ + "/run.jsonl", error);
}

Status RunFolder::Finish(const RunReport& report) {
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/summary.md", report.SummaryMarkdown()));
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/junit.xml", report.JunitXml()));
  RETURN_IF_ERROR(WriteFileWhole(path_ + "/run.json", report.RunJson()));
  return WriteFileWhole(path_ + "/verdict.json", report.VerdictJson());
}

Result<RunLines> ParseRunLines(const std::string& file_name, std::string_view text) {
  RunLines out;
  uint64_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      out.last_line_cut = true;
      break;
    }
    record::CaseRecord record;
    const std::string line(text.substr(0, end));
    const auto status = google::protobuf::util::JsonStringToMessage(line, &record);
    if (!status.ok()) {
      return Status::DataLoss(file_name + " line " + std::to_string(number) + ": expected a case record: " +
                              CleanUtf8(status.ToString()));
    }
    out.records.push_back(std::move(record));
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace kvjury::reports
