// A view in numbers: what it holds, for somebody who asks how much there is.
#pragma once

#include <cstdint>

#include "fakes/base/status.h"
#include "harness/juicefs/view.h"

namespace kvjury::juicefs {

struct ViewSummary {
  uint64_t directories = 0;  // the root counts, the trash's root does not
  uint64_t files = 0;        // regular files by inode: several links are one
  uint64_t symlinks = 0;
  uint64_t others = 0;       // pipes, sockets, devices
  uint64_t in_trash = 0;     // entries below .trash, counted nowhere else
  /// Of the regular files outside the trash, each inode once: st_size, so holes count.
  uint64_t bytes = 0;
  uint64_t bytes_in_trash = 0;
  uint64_t damaged = 0;  // the view's problems
  /// The latest change of any entry outside the trash's root, 0 without entries.
  int64_t latest_ctime_ns = 0;
};

ViewSummary Summarize(const View& view);

/// What `juicefs info -r --strict` and `juicefs summary --strict` print of a directory or file: every entry at and below it counts, several
/// links several times.
struct TreeSummary {
  uint64_t directories = 0;
  uint64_t files = 0;   // whatever is no directory
  uint64_t length = 0;  // of regular files: st_size
  uint64_t size = 0;    // each length rounded up to 4096, of what has none 4096
};

/// `path` as in the view: "." is the root, whose trash does not count. Errors: kNotFound.
Result<TreeSummary> SummarizeTree(const View& view, const Bytes& path);

}  // namespace kvjury::juicefs
