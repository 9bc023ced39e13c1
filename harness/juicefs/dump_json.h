// Reader of `juicefs dump` in JSON (plain, gzip or zstd) into an image, from which BuildView computes the view.
//
// What JSON carries: setting, counters of usage and ids, sustained and deleted files, quota limits, the tree with
// attributes, xattrs, ACLs, link targets and chunks. What it cannot carry is listed by JsonDumpLosses. The image is made
// for views: attr.parent is the first directory of an inode, P records are absent, ACL rules are numbered in order of
// appearance, lengths of directories (4096) and link targets are put in as the clients have them.
// Names, targets and xattr values: %XX (two upper-case hex digits) is one byte, every other % stands for itself.
// Source: JuiceFS 1.4, dump.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

/// Something of a volume that a JSON dump does not hold.
struct JsonDumpLoss {
  std::string name;
  std::string sentence;
  bool in_view = false;  // a mount of the loaded volume may show it
};

/// The full list, the same for every dump.
const std::vector<JsonDumpLoss>& JsonDumpLosses();

struct JsonDump {
  VolumeImage image;
  uint64_t entry_count = 0;  // names in both trees, without the two roots
  /// Contradictions inside the dump: a slow dump reads every inode at another time.
  std::vector<std::string> problems;
};

/// Errors: kDataLoss with the file and what was expected; kInvalidArgument when larger than `text_bytes_max`.
Result<JsonDump> ReadDumpJson(const std::string& file_name, std::string_view file_bytes,
                              size_t text_bytes_max = size_t{16} << 30);

/// The bytes that an escaped name, target or xattr value stands for.
Bytes UnescapeDumpText(std::string_view text);

}  // namespace kvjury::juicefs
