#include "harness/juicefs/dump_segments.h"

#include <array>

#include "fakes/base/check.h"

namespace kvjury::juicefs {

const char* SegmentKindName(SegmentKind kind) {
  static constexpr std::array kNames = {"format",    "counter", "node",  "edge", "chunk", "sliceRef", "symlink",  "sustained",
                                        "delFile",   "xattr",   "acl",   "stat", "quota", "parent",   "changeLog"};
  static_assert(kNames.size() == kSegmentKindCount);
  const auto number = static_cast<size_t>(kind);
  CHECK(number >= 1 && number <= kNames.size()) << number;
  return kNames[number - 1];
}

}  // namespace kvjury::juicefs
