#include "harness/juicefs/written_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "fakes/base/civil_time.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/view.h"

namespace kvjury::juicefs {

Bytes TrashHourName(int64_t wall_ns) {
  const CivilTime t = ToCivilTime(wall_ns / 1'000'000'000);
  return fmt::format("{:04}-{:02}-{:02}-{:02}", t.year, t.month, t.day, t.hour);
}

Bytes TrashEntryName(Inode parent, Inode inode, const Bytes& name) {
  Bytes entry = fmt::format("{}-{}-", parent.value(), inode.value()) + name;
  entry.resize(std::min<size_t>(entry.size(), kNameBytesMax));
  return entry;
}

void SetChanged(Attr* attr, int64_t wall_ns) {
  attr->ctime_s = wall_ns / 1'000'000'000;
  attr->ctime_ns = static_cast<uint32_t>(wall_ns % 1'000'000'000);
}

void SetModified(Attr* attr, int64_t wall_ns) {
  attr->mtime_s = wall_ns / 1'000'000'000;
  attr->mtime_ns = static_cast<uint32_t>(wall_ns % 1'000'000'000);
  SetChanged(attr, wall_ns);
}

}  // namespace kvjury::juicefs
