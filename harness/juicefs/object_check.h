// Blocks of a volume against the objects of its bucket: what `juicefs fsck` counts and prints, computed from records and a listing.
//
// By fsck's rules (JuiceFS 1.4): every record of every chunk with a slice, as often as it stands there, and with a trash every delayed
// slice, needs an object for each of its blocks, found by its name alone; chunks of files that wait for deletion are skipped.
// Beyond fsck, apart from its numbers: objects of a wrong size (where they are stored as they are), of no slice (what `gc` calls leaked),
// and of slices that nextChunk has not given out yet: the next writers will overwrite them, and caches will serve them.
// Not here: contents, and HEAD requests for what a listing does not hold. Source: JuiceFS 1.4, fsck and gc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

struct LostBlock {
  Inode inode;       // the root for delayed slices, as fsck has it
  std::string path;  // "inode:7" where the volume shows none
  std::string object;
  uint64_t bytes = 0;
};

struct ObjectCheck {
  // fsck: "Found N blocks (M bytes)".
  uint64_t blocks_found = 0;
  uint64_t block_bytes_found = 0;
  // fsck: "Used by N slices (M bytes)".
  uint64_t slices_used = 0;
  uint64_t slice_bytes_used = 0;
  uint64_t blocks_checked = 0;
  /// Files that wait for deletion, and their slices, which are skipped.
  uint64_t files_skipped = 0;
  uint64_t slices_skipped = 0;
  /// fsck: "N objects are lost (M bytes), F broken files". In the order of inodes; a block that two records need stands there twice.
  std::vector<LostBlock> lost;
  uint64_t bytes_lost = 0;
  uint64_t broken_files = 0;

  struct WrongSize {
    std::string object;
    uint64_t expected_bytes = 0;
    uint64_t bytes = 0;
  };
  std::vector<WrongSize> wrong_sizes;
  std::vector<std::string> leaked;
  std::vector<std::string> future;
};

/// The names of the volume's objects begin so in its bucket: "NAME/chunks/". The image must have a setting.
std::string BlockPrefix(const VolumeImage& image);

/// `objects` are the bucket's below BlockPrefix, their names without it, with their sizes. The image must have a setting.
ObjectCheck CheckObjects(const VolumeImage& image, const std::map<std::string, uint64_t>& objects);

}  // namespace kvjury::juicefs
