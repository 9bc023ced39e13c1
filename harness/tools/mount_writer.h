// MountWriter: changes a mounted folder as a program of a user would, until it is told to stop.
//
// Creates, overwrites, appends, truncates, renames (also onto what is there, and between folders that several writers share), links,
// symbolic links, modes, times, extended attributes, removals of files and folders. What is done is drawn from the seed and the writer's
// number; how far it comes depends on the mount. A refusal that comes of another writer's work (no such file, exists, not empty) is
// counted and no failure. Blocks.
// Not here: locks, special files, files kept open over the end.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "fakes/base/status.h"

namespace kvjury::tools {

/// Where all writers work, below the mounted folder.
inline constexpr char kWritersFolder[] = "drill";

struct MountWriting {
  std::string folder;
  uint64_t seed = 1;
  uint32_t writer = 1;
  /// Written after each operation: how many were done, as eight bytes in the order of this machine. Empty: not told.
  std::string count_file;
  /// 0: no end.
  uint64_t operations_max = 0;
  /// Asked before each operation.
  std::function<bool()> stop;
};

struct MountWritten {
  uint64_t operations = 0;
  uint64_t refused = 0;
};

/// Errors: kEnvironment for what no other writer explains (an input or output error), naming operation and path.
Result<MountWritten> WriteToMount(const MountWriting& writing);

/// What a writer has said so far in its count file; 0 if nothing.
uint64_t OperationsDone(const std::string& count_file);

}  // namespace kvjury::tools
