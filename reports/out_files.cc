#include "reports/out_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "reports/whole_file.h"

namespace kvjury::reports {

Status WriteFileWhole(const std::string& path, std::string_view bytes) {
  ASSIGN_OR_RETURN(WholeFile file, WholeFile::Open(path));
  RETURN_IF_ERROR(file.Write(bytes));
  return file.Finish();
}

Status PrepareFolder(const std::string& path, const std::vector<std::string>& names_to_remove) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return Status::Environment("cannot create the folder " + path + ": " + error.message());
  }
  for (const std::string& name : names_to_remove) {
    const std::string file = path + "/" + name;
    if (unlink(file.c_str()) != 0 && errno != ENOENT) {
      return CannotWrite(file, errno);
    }
  }
  return Status::Ok();
}

Result<LinesFile> LinesFile::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return CannotWrite(path, errno);
  }
  return LinesFile(path, descriptor);
}

LinesFile::LinesFile(LinesFile&& other) noexcept : path_(std::move(other.path_)), descriptor_(other.descriptor_) {
  other.descriptor_ = -1;
}

LinesFile::~LinesFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

Status LinesFile::Append(std::string line) {
  line += '\n';
  return WriteAll(descriptor_, path_, line);
}

}  // namespace kvjury::reports
