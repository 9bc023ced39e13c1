// The files that a run leaves: whole under their final names, or absent; and lines that grow by one finished record at a time.
//
// Shared by the folders of runs (run_folder.h) and of drills (drill_folder.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/status.h"

namespace kvjury::reports {

/// Writes the file whole or not at all: a new file beside it, flushed, then renamed.
/// Errors: kEnvironment naming the file and the cause.
Status WriteFileWhole(const std::string& path, std::string_view bytes);

/// Creates the folder with its parents if it does not exist and removes the named files of an earlier run.
/// Errors: kEnvironment naming the folder or file and the cause.
Status PrepareFolder(const std::string& path, const std::vector<std::string>& names_to_remove);

/// A file that starts empty and grows by whole lines, each written in one piece: who is killed leaves all lines before.
class LinesFile {
 public:
  /// Errors: kEnvironment naming the file and the cause.
  static Result<LinesFile> Open(const std::string& path);

  LinesFile(LinesFile&& other) noexcept;
  LinesFile& operator=(LinesFile&&) = delete;
  ~LinesFile();

  /// `line` without its newline. Errors: kEnvironment.
  Status Append(std::string line);

 private:
  LinesFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_ = -1;
};

}  // namespace kvjury::reports
