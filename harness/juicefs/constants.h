// Numbers of the JuiceFS metadata format that every file of this folder shares.
//
// Source: JuiceFS 1.4 (KV engine). Lengths in bytes.
#pragma once

#include <cstdint>

#include "fakes/base/ids.h"

namespace kvjury::juicefs {

inline constexpr Inode kRootInode{1};
/// Root of the trash; its hour directories are this number + nextTrash.
inline constexpr Inode kTrashInode{0x7FFFFFFF10000000};
/// Inodes from here on never come from the counter nextInode.
inline constexpr uint64_t kSpecialInodeFirst = 0x7FFFFFFF00000000;

inline constexpr uint64_t kChunkBytes = uint64_t{64} << 20;
inline constexpr uint64_t kNameBytesMax = 255;
inline constexpr uint64_t kSymlinkBytesMax = 4096;
inline constexpr uint64_t kDirectoryBytes = 4096;

/// A client takes inode numbers and slice ids from the counters in batches of these sizes.
inline constexpr uint64_t kInodeBatch = 1024;
inline constexpr uint64_t kSliceBatch = 4096;

/// File types as dentries and attributes store them.
inline constexpr uint8_t kTypeFile = 1;
inline constexpr uint8_t kTypeDirectory = 2;
inline constexpr uint8_t kTypeSymlink = 3;
inline constexpr uint8_t kTypeFifo = 4;
inline constexpr uint8_t kTypeBlockDevice = 5;
inline constexpr uint8_t kTypeCharDevice = 6;
inline constexpr uint8_t kTypeSocket = 7;

/// Flags of an attribute.
inline constexpr uint8_t kFlagImmutable = 1;
inline constexpr uint8_t kFlagAppend = 2;
inline constexpr uint8_t kFlagSkipTrash = 32;

inline constexpr bool IsTrash(Inode inode) { return inode >= kTrashInode; }

/// Space that a length occupies in usage counters: 4096 for 0, else rounded up to a multiple of 4096.
inline constexpr uint64_t SpaceOf(uint64_t length) { return length == 0 ? 4096 : (length + 4095) / 4096 * 4096; }

}  // namespace kvjury::juicefs
