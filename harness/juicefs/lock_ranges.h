// Byte ranges of POSIX locks: what one owner holds, ordered and without overlap.
//
// Source: JuiceFS 1.4, updateLocks: two neighbours of one kind and process become one range (of three, the third stays); unlocking splits.
// Not modelled: ends of 2^64-1, which wrap around in the real client; the kernel sends none above 2^63-1.
#pragma once

#include <vector>

#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

/// Kinds of a range, as fcntl has them on Linux.
inline constexpr uint32_t kLockRead = 0;
inline constexpr uint32_t kLockWrite = 1;
inline constexpr uint32_t kLockNone = 2;

/// `held` after `added` was set over it; `added` of kind kLockNone takes away. `added.start` must not lie behind `added.end`.
std::vector<PlockRange> SetLockRange(const std::vector<PlockRange>& held, const PlockRange& added);

/// True if the two cannot be held by different owners.
bool LocksConflict(const PlockRange& a, const PlockRange& b);

}  // namespace kvjury::juicefs
