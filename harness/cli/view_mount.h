// What `kvjury view --mount` does with an opened address: its one volume as a read-only mount, until somebody ends it.
#pragma once

#include <string>

#include "harness/backup/address.h"
#include "harness/cli/verb.h"

namespace kvjury::cli {

struct ViewMountOptions {
  std::string folder;
  /// Where the contents of files are: a folder, or s3://BUCKET/PREFIX?endpoint=URL... Empty: nowhere.
  std::string bucket;
};

/// Mounts, says so in a line on the terminal's out, and answers until the mount is ended: by somebody who unmounts it (then 0) or by a signal (its exit
/// code). Errors are told on the terminal.
ExitCode MountSource(backup::OpenedSource source, const ViewMountOptions& options, Terminal* terminal);

}  // namespace kvjury::cli
