// VolumeWriter: our own JuiceFS sessions at work on a volume of a running cluster, through its sockets.
//
// What the simulation's writers do to a simulated cluster they do here to a real or served one: the same transactions, ids, retries and
// blocks, several sessions at once in one thread. First a tree of files is made if one is asked for, then operations are drawn from the
// seed until there are enough or the caller says stop. A refusal by errno is counted and no failure. The volume must be formatted.
// Not here: a mount (mount_writer.h), open handles over the end. Blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "harness/backup/address.h"

namespace kvjury::tools {

struct VolumeWriting {
  /// Of the scheme tikv://, naming a volume.
  backup::Address address;
  /// Folder of the volume's bucket (file storage); empty: no block is written.
  std::string bucket;
  uint64_t seed = 1;
  uint32_t sessions = 1;
  /// Made first, evenly in folders below "made".
  uint64_t files = 0;
  /// Drawn by each session after that; 0: no end.
  uint64_t operations_max = 0;
  /// Asked before each operation.
  std::function<bool()> stop;
  /// Told after each operation, from the writing thread: how many are done by all.
  std::function<void(uint64_t operations)> progress;
};

struct VolumeWritten {
  uint64_t operations = 0;
  uint64_t refused = 0;
  std::map<int, uint64_t> by_errno;
  uint64_t transactions = 0;
  uint64_t conflicts = 0;
  uint64_t undetermined = 0;
};

/// Errors: kInvalidArgument for an address or setting that cannot be written to, kNotFound for a volume that is not formatted, kUnavailable
/// and kUndetermined for a cluster that does not answer, kEnvironment for the bucket.
Result<VolumeWritten> WriteToVolume(const VolumeWriting& writing);

}  // namespace kvjury::tools
