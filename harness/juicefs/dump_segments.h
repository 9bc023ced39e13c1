// The kinds of segments of a binary dump, by their numbers in the file, and its marks. Source: JuiceFS 1.4, dump --binary.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvjury::juicefs {

enum class SegmentKind : uint32_t {
  kFormat = 1,
  kCounter,
  kNode,
  kEdge,
  kChunk,
  kSliceReferences,
  kSymlink,
  kSustained,
  kDeletedFile,
  kXattr,
  kAcl,
  kDirStat,
  kQuota,
  kParent,
  kChangelog,
};
inline constexpr size_t kSegmentKindCount = 15;

/// The name that the footer uses.
const char* SegmentKindName(SegmentKind kind);

inline constexpr uint32_t kBinaryDumpEndMark = 0x00747083;  // behind the last segment, and the footer's magic
inline constexpr uint32_t kBinaryDumpVersion = 1;
inline constexpr size_t kSegmentHeadBytes = 12;  // kind and length
inline constexpr size_t kFooterLengthBytes = 8;

}  // namespace kvjury::juicefs
