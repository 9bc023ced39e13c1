// Comparison of two views, field by field and in both directions, with counts.
//
// Zero compared entries is never "same": callers look at entries_compared. What is left out is said by the options.
#pragma once

#include <string>
#include <vector>

#include "harness/juicefs/view.h"

namespace kvjury::juicefs {

struct ViewDiffOptions {
  /// The root of the trash is made up by each mount, with the time of the mount.
  bool compare_trash_root_times = false;
  /// Of regular files: the digest of their pieces, or the SHA-256 of their bytes, each where both sides have it.
  bool compare_content = true;
  /// Usage counters are flushed late and may be lost for ever in a crash. Compared when both views have statfs.
  bool compare_statfs = true;
  /// Of access, modification and change.
  bool compare_times = true;
};

struct ViewDifference {
  Bytes path;
  Inode inode;  // of the left entry where there is one, else of the right
  /// "entry" when one side lacks it; else the name of the field in the JSON line; "xattrs.NAME"; "statfs.FIELD".
  std::string field;
  std::string left;   // "absent" where there is none
  std::string right;  // likewise

  /// `a/b: mode: 0o100644 against 0o100600`.
  [[nodiscard]] std::string ToString() const;
};

struct ViewDiff {
  std::vector<ViewDifference> differences;  // in path order
  uint64_t entries_compared = 0;            // paths of both views together
  uint64_t entries_only_left = 0;
  uint64_t entries_only_right = 0;
  uint64_t fields_compared = 0;
  uint64_t files_compared = 0;     // regular files on both sides
  uint64_t contents_compared = 0;  // of these: those whose contents both sides tell alike

  [[nodiscard]] bool same() const { return differences.empty() && entries_compared > 0; }
};

ViewDiff DiffViews(const View& left, const View& right, const ViewDiffOptions& options = {});

}  // namespace kvjury::juicefs
