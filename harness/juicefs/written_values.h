// What writers put into records: names of the trash, times.
#pragma once

#include <cstdint>

#include "fakes/base/bytes.h"
#include "harness/juicefs/attr.h"

namespace kvjury::juicefs {

/// UTC: "2026-11-22-15", as hour directories of the trash are named.
Bytes TrashHourName(int64_t wall_ns);
/// Name of an entry in an hour directory: "parent-inode-name", cut to 255 bytes.
Bytes TrashEntryName(Inode parent, Inode inode, const Bytes& name);
/// Sets ctime; SetModified also mtime.
void SetChanged(Attr* attr, int64_t wall_ns);
void SetModified(Attr* attr, int64_t wall_ns);

}  // namespace kvjury::juicefs
