// View: what a mount of a volume shows, computed from its records alone.
//
// Tree and names from D, stat from I, content from C (as pieces of slices: no object is read), link targets from S, xattrs
// from X, ACLs from R as system.posix_acl_* xattrs, statfs from counters and setting. The root is ".", ".trash" is always
// there and its root is made up as the mount does it: mode 0555, 2 links, size 0, times of the mount (zero here).
// Not modelled: the other virtual files (.accesslog, .config, .stats, .control), mounts of a subdirectory. mounted_view.h answers
// as a mount does, call by call.
// Damage (a missing inode, a directory reached twice, a cycle) is a problem in the view and never an endless walk.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/juicefs/image.h"
#include "harness/juicefs/statfs.h"

namespace kvjury::juicefs {

struct ViewEntry {
  Inode inode;
  uint32_t mode = 0;  // st_mode: type and permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t rdev = 0;  // st_rdev
  uint64_t size = 0;
  uint32_t nlink = 0;
  int64_t atime_ns = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  std::optional<Bytes> target;  // symbolic links only
  std::map<Bytes, Bytes> xattrs;
  std::string content;  // regular files: ContentDigest of the effective pieces; empty where the source has no pieces (a mount)
  std::string sha256;   // regular files whose bytes were read through a mount: hex; else empty

  friend bool operator==(const ViewEntry&, const ViewEntry&) = default;
};

struct ViewProblem {
  Bytes path;
  Inode inode;
  std::string text;
};

struct View {
  std::map<Bytes, ViewEntry> entries;
  std::optional<StatFs> statfs;  // absent where the source has none (a recorded walk)
  std::vector<ViewProblem> problems;
  std::map<Inode, Bytes> path_of_inode;  // of several links the first in byte order

  /// Fills path_of_inode from the entries. BuildView and the readers have done it.
  void IndexInodes();
  /// The first path of an inode, if the view shows it.
  [[nodiscard]] std::optional<Bytes> PathOfInode(Inode inode) const;
};

/// A path longer than this is a problem and not descended: every real one is far shorter.
inline constexpr size_t kPathBytesMax = 16 * 1024;
inline constexpr char kTrashName[] = ".trash";

/// Errors: kNotFound when the volume has no setting (a mount would say that the database is not formatted).
Result<View> BuildView(const VolumeImage& image);

/// The st_mode type bits of a stored type; 0 for an unknown one.
uint32_t ModeTypeBits(uint8_t type);

}  // namespace kvjury::juicefs
