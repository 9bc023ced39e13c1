#include "fakes/base/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "fakes/base/descriptor.h"

namespace kvjury {

namespace {

Status SystemError(const char* what, const std::string& path, int error) {
  return Status::Environment(std::string(what) + " \"" + path + "\": " + std::strerror(error));
}

class FileSource : public ByteSource {
 public:
  FileSource(std::string path, int descriptor) : path_(std::move(path)), file_(descriptor) {}

  Result<size_t> Read(char* out, size_t capacity) override {
    while (true) {
      const ssize_t count = ::read(file_.get(), out, capacity);
      if (count >= 0) {
        return static_cast<size_t>(count);
      }
      if (errno != EINTR) {
        return SystemError("cannot read", path_, errno);
      }
    }
  }

 private:
  std::string path_;
  Descriptor file_;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return errno == ENOENT ? Status::NotFound("no file \"" + path + "\"") : SystemError("cannot open", path, errno);
  }
  auto source = std::make_unique<FileSource>(path, descriptor);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || S_ISDIR(status.st_mode)) {
    return SystemError("cannot read", path, EISDIR);
  }
  return std::unique_ptr<ByteSource>(std::move(source));
}

}  // namespace kvjury
