// A file that is written in pieces and is whole under its name, or not there.
#pragma once

#include <string>

#include "fakes/base/byte_stream.h"

namespace kvjury::reports {

/// Writes PATH.part; Finish flushes it to the disk and renames it to PATH. Without Finish, PATH stays as it was and nothing else is left.
/// Errors of all: kEnvironment naming the file and the cause.
class WholeFile : public ByteSink {
 public:
  static Result<WholeFile> Open(const std::string& path);

  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile() override;

  Status Write(std::string_view bytes) override;
  Status Finish() override;

 private:
  WholeFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  [[nodiscard]] std::string PartName() const { return path_ + ".part"; }

  std::string path_;
  int descriptor_ = -1;  // negative: finished, or moved from
};

/// kEnvironment: `path` cannot be written, for the reason of an errno.
Status CannotWrite(const std::string& path, int error);
/// All of the bytes to an open descriptor, whose file is called `path` in an error.
Status WriteAll(int descriptor, const std::string& path, std::string_view bytes);

}  // namespace kvjury::reports
