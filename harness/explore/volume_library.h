// VolumeLibrary: volumes that cases start from, read or generated once and shared by all cases of a process.
//
// Addresses are opened read-only; a relative path that does not exist in the working directory is looked for in a second
// folder, so that a case that names a bundled volume runs from anywhere. A generated volume is a pure function of its description.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "fakes/base/status.h"
#include "harness/juicefs/image.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/volumes.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::explore {

struct LoadedVolume {
  std::string name;
  /// Keys without the volume's prefix.
  juicefs::KeyValues pairs;
  juicefs::VolumeImage image;
  juicefs::View view;
  uint32_t trash_days = 0;
  /// The newest time stored anywhere in the volume, milliseconds since the epoch.
  int64_t newest_ms = 0;
  /// When a case on it begins unless it says so itself.
  [[nodiscard]] int64_t clock_start_ms() const { return newest_ms + 3'600'000; }
};

/// Volumes kept for further cases of a process.
inline constexpr size_t kVolumesKeptMax = 16;

/// The address to open: `text`, or the same below `second_folder` when only that exists. Errors: those of ParseAddress.
Result<std::string> FindBundled(const std::string& text, const std::string& second_folder);

class VolumeLibrary {
 public:
  /// `second_folder`: where relative addresses are looked for next; empty: only in the working directory.
  explicit VolumeLibrary(std::string second_folder = "") : second_folder_(std::move(second_folder)) {}

  /// Errors: those of opening an address; kInvalidArgument for a source that holds no volume or several without a name.
  Result<std::shared_ptr<const LoadedVolume>> Load(const record::Volume& volume);

 private:
  std::string second_folder_;
  std::map<std::string, std::shared_ptr<const LoadedVolume>> by_description_;
};

}  // namespace kvjury::explore
