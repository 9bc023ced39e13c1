// PosixResult: what one operation on a mounted volume answered, in the words of POSIX.
//
// Three witnesses give it: the model (posix_model.h), system calls on a mounted folder (harness/tools/mount_operations.h), and a session of
// ours (posix_writer.h). Ignorant of keys, inode numbers and slices. A witness leaves out what it cannot know, and what is left out is not
// compared. Times are spans: a model says between which moments a time lies, a mount says one moment. Units: nanoseconds since the epoch.
// Not here: st_blocks, the order of readdir.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::judge {

/// From `low_ns` to `high_ns`, both included.
struct TimeSpan {
  int64_t low_ns = 0;
  int64_t high_ns = 0;
};

struct PosixAttr {
  uint32_t mode = 0;  // st_mode: type and permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint64_t size = 0;
  uint64_t rdev = 0;  // of device files
  TimeSpan atime, mtime, ctime;
};

/// What is in the way of a lock that was asked about. kind: 0 read, 1 write, 2: nothing is.
struct PosixLock {
  uint32_t kind = 2;
  uint64_t start = 0;
  uint64_t end = 0;
  friend bool operator==(const PosixLock&, const PosixLock&) = default;
};

/// As statfs(2) has it, in blocks of 4096 bytes.
struct PosixStatFs {
  uint64_t blocks = 0;
  uint64_t blocks_available = 0;
  uint64_t files = 0;       // that there are
  uint64_t files_free = 0;  // that there may yet be
  friend bool operator==(const PosixStatFs&, const PosixStatFs&) = default;
};
inline constexpr uint64_t kStatFsBlockBytes = 4096;

struct PosixResult {
  int error = 0;                            // an errno of Linux
  std::optional<PosixAttr> attr;            // lookup
  std::optional<std::vector<Bytes>> names;  // readdir without . and .. and juicefs's own files, listxattr; sorted
  std::optional<Bytes> bytes;               // read; readlink; getxattr; an ACL as system.posix_acl_* has it
  std::optional<uint64_t> count;            // copy_file_range
  std::optional<PosixLock> lock;
  std::optional<PosixStatFs> statfs;
};

/// "ENOENT"; "0" for none; a number for one that no witness gives.
std::string ErrnoName(int error);
/// The errno of such a name; -1 for an unknown one.
int ErrnoOf(const std::string& name);

/// One line for people: "ENOENT" or "0 mode 100644 nlink 1 size 5".
std::string DescribeResult(const PosixResult& result);

/// What both know and do not agree on, one line each; empty: the same. With `times`: also those, which agree when they overlap.
std::vector<std::string> ResultDifferences(const PosixResult& left, const PosixResult& right, bool times);

}  // namespace kvjury::judge
