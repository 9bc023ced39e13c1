// Test support: the recorded real volumes under scenarios/volumes.
#pragma once

#include <string>
#include <vector>

#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

inline const std::vector<std::string>& RealVolumeNames() {
  static const std::vector<std::string> names = {"rich", "crashed", "busy"};
  return names;
}

/// Content of a file below scenarios/volumes; a missing file is a CHECK failure.
Bytes ReadVolumeFile(const std::string& volume, const std::string& file);

/// The same, decompressed.
Bytes ReadVolumeText(const std::string& volume, const std::string& file);

/// Every pair of a recorded volume, read once.
const KeyValues& RealVolume(const std::string& volume);

/// Bytes of hex digits with spaces between them.
Bytes Hex(const std::string& spaced_hex);

}  // namespace kvjury::juicefs
