// The file that a verb was asked to write: compressed as its name says, whole or as it was before, also when a signal comes.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "fakes/base/byte_stream.h"
#include "harness/cli/signals.h"
#include "reports/whole_file.h"

namespace kvjury::cli {

class OutputFile : public ByteSink {
 public:
  /// Errors: kEnvironment naming the file.
  static Result<std::unique_ptr<OutputFile>> Open(const std::string& path);

  /// Errors: kEnvironment; kCancelled after a signal.
  Status Write(std::string_view bytes) override;
  Status Finish() override;

  /// The exit code to end with, if a signal has come since it was opened.
  [[nodiscard]] std::optional<reports::ExitCode> signal() const { return stop_.requested(); }

 private:
  OutputFile(const std::string& path, reports::WholeFile file);

  std::string path_;
  reports::WholeFile file_;
  std::unique_ptr<ByteSink> compressor_;
  GracefulStop stop_;
};

}  // namespace kvjury::cli
