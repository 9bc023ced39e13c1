// WalkMount: what a mounted volume shows, read through the kernel as any program reads it.
//
// Every entry but juicefs's own files in the root (.accesslog, .config, .stats, .control); the trash, too, where the mount shows it.
// Extended attributes with POSIX ACLs among them, if it was mounted with --enable-xattr. On request the bytes of regular files, as
// SHA-256. Read-only: nothing is opened for writing, and times of access are not set where the mount lets that be asked for.
// Not here: statfs (a mount counts what it has not flushed), paths of more than 4,095 bytes (no program reaches them by name), hangs: a
// mount whose cluster is gone blocks its readers. Blocks. Source: facts of JuiceFS 1.4.2 through FUSE.
#pragma once

#include <functional>
#include <string>

#include "fakes/base/status.h"
#include "harness/juicefs/view.h"

namespace kvjury::tools {

struct WalkOptions {
  bool read_contents = false;
  /// Only of files below this folder of the mount ("a/b"); empty: of all.
  std::string contents_below;
  /// Larger files are not read: a hole of a terabyte is one, too.
  uint64_t content_bytes_max = uint64_t{1} << 30;
  /// Told the number of entries now and then. May be empty.
  std::function<void(uint64_t entries)> on_progress;
};

struct WalkedMount {
  juicefs::View view;
  /// What a reader should know before believing it.
  std::vector<std::string> warnings;
};

/// Errors: kNotFound (no such folder), kUndetermined (something changed while it was read), kEnvironment naming the path, kUnsupported (a path
/// that is too long).
Result<WalkedMount> WalkMount(const std::string& folder, const WalkOptions& options);

}  // namespace kvjury::tools
