// PosixLocks: BSD locks of files and POSIX locks of ranges, of owners in sessions.
//
// Nothing waits here: what cannot be had at once is EAGAIN (a blocking request that a mount would keep waiting is one, too). Which bytes are
// locked is POSIX; in how many pieces an owner's range is shown is JuiceFS: two neighbours of one kind become one when a lock is set, a third one
// stays. Source: flock(2), fcntl(2), mounts of JuiceFS 1.4.2. Determinism: pure.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "harness/judge/posix_result.h"

namespace kvjury::judge {

struct LockOwner {
  uint32_t session = 0;
  uint64_t owner = 0;
  friend auto operator<=>(const LockOwner&, const LockOwner&) = default;
};

class PosixLocks {
 public:
  /// kind: 0 shared, 1 exclusive, 2 unlock. Errors: EAGAIN, EINVAL.
  int Flock(uint64_t node, LockOwner owner, uint32_t kind);
  /// Bytes from `start` to `end`, both included. kind: 0 read, 1 write, 2 unlock. Errors: EAGAIN, EINVAL.
  int SetLock(uint64_t node, LockOwner owner, uint32_t kind, uint64_t start, uint64_t end);
  /// The first lock of another owner that is in the way.
  [[nodiscard]] PosixLock GetLock(uint64_t node, LockOwner owner, uint32_t kind, uint64_t start, uint64_t end) const;
  /// All locks of a session are gone.
  void Drop(uint32_t session);

 private:
  struct Range {
    uint64_t end = 0;
    uint32_t kind = 0;
  };
  using Ranges = std::map<uint64_t, Range>;  // by start
  std::map<uint64_t, std::map<LockOwner, uint32_t>> flocks_;
  std::map<uint64_t, std::map<LockOwner, Ranges>> ranges_;
};

}  // namespace kvjury::judge
