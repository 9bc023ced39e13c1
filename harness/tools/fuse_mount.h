// ServeMount: a volume's view as a read-only mount of this machine's kernel, through libfuse 3.
//
// The library is opened at run time, so that the program works without it; only its header is needed to build. The kernel checks access rights
// and keeps what it was told (a view never changes); every call that would write ends with EROFS. Inode numbers are the volume's.
// Not modelled: juicefs's own files, its cache times, mounts by more than one thread. Source: libfuse 3.14, fuse_lowlevel.h. One thread.
#pragma once

#include <functional>
#include <string>

#include "harness/juicefs/mounted_view.h"

namespace kvjury::tools {

struct FuseMountOptions {
  std::string folder;
  /// What `mount` and `df` show as the source.
  std::string source;
  /// Asked about ten times a second, and whenever a signal came; true ends the mount. May be empty.
  std::function<bool()> stopping;
  /// Called once, when programs may look into the folder. May be empty.
  std::function<void()> on_mounted;
  /// Told why a read ended with EIO. May be empty.
  std::function<void(const std::string& sentence)> on_failed_read;
};

/// Mounts and answers until somebody unmounts it or `stopping` says so; then nothing is mounted any more. Errors: kInvalidArgument (the folder does not
/// exist, is none, or is not empty), kEnvironment (no libfuse, no /dev/fuse, a mount that the kernel refuses).
Status ServeMount(juicefs::MountedView* view, const FuseMountOptions& options);

/// The first errors of ServeMount without mounting anything: those of the folder, and whether the library is there.
Status CheckMountable(const std::string& folder);

}  // namespace kvjury::tools
