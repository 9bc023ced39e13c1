#include "reports/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace kvjury::reports {

Status CannotWrite(const std::string& path, int error) {
  return Status::Environment("cannot write " + path + ": " + std::generic_category().message(error));
}

Status WriteAll(int descriptor, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return CannotWrite(path, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return Status::Ok();
}

Result<WholeFile> WholeFile::Open(const std::string& path) {
  WholeFile file(path, -1);
  const int descriptor = open(file.PartName().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return CannotWrite(path, errno);
  }
  file.descriptor_ = descriptor;
  return file;
}

WholeFile::WholeFile(WholeFile&& other) noexcept : path_(std::move(other.path_)), descriptor_(other.descriptor_) { other.descriptor_ = -1; }

WholeFile::~WholeFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
    unlink(PartName().c_str());
  }
}

Status WholeFile::Write(std::string_view bytes) { return WriteAll(descriptor_, path_, bytes); }

Status WholeFile::Finish() {
  if (fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) {
    return CannotWrite(path_, errno);
  }
  const int descriptor = descriptor_;
  descriptor_ = -1;
  const int error = close(descriptor) != 0 || std::rename(PartName().c_str(), path_.c_str()) != 0 ? errno : 0;
  if (error != 0) {
    unlink(PartName().c_str());
    return CannotWrite(path_, error);
  }
  return Status::Ok();
}

}  // namespace kvjury::reports
