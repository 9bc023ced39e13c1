// What a view shows, as the records that would show it.
#include "harness/juicefs/mounted_view.h"

namespace kvjury::juicefs {

namespace {

uint8_t TypeOf(uint32_t mode) {
  for (uint8_t type = kTypeFile; type <= kTypeSocket; ++type) {
    if ((mode & 0170000) == ModeTypeBits(type)) {
      return type;
    }
  }
  return 0;
}

void SplitTime(int64_t time_ns, int64_t* seconds, uint32_t* nanoseconds) {
  constexpr int64_t kSecond = 1'000'000'000;
  *seconds = time_ns / kSecond - (time_ns % kSecond < 0 ? 1 : 0);
  *nanoseconds = static_cast<uint32_t>(time_ns - *seconds * kSecond);
}

Attr AttrOf(const ViewEntry& entry, Inode parent) {
  Attr attr;
  attr.type = TypeOf(entry.mode);
  attr.mode = static_cast<uint16_t>(entry.mode & 07777);
  attr.uid = entry.uid;
  attr.gid = entry.gid;
  SplitTime(entry.atime_ns, &attr.atime_s, &attr.atime_ns);
  SplitTime(entry.mtime_ns, &attr.mtime_s, &attr.mtime_ns);
  SplitTime(entry.ctime_ns, &attr.ctime_s, &attr.ctime_ns);
  attr.nlink = entry.nlink;
  attr.length = entry.size;
  attr.rdev = static_cast<uint32_t>(entry.rdev);
  attr.parent = parent;
  return attr;
}

}  // namespace

VolumeImage ImageOfView(const View& view) {
  VolumeImage image;
  image.setting.emplace();
  int64_t used_bytes = 0;
  for (const auto& [path, entry] : view.entries) {
    // A walk may have begun at another directory: it is this view's root all the same.
    const Inode inode = path == "." ? kRootInode : entry.inode;
    Inode parent = kRootInode;
    if (path != ".") {
      const size_t slash = path.rfind('/');
      const auto directory = slash == Bytes::npos ? view.entries.end() : view.entries.find(path.substr(0, slash));
      parent = directory == view.entries.end() ? kRootInode : directory->second.inode;
      if (path != kTrashName) {
        image.dentries[parent][path.substr(slash == Bytes::npos ? 0 : slash + 1)] = {TypeOf(entry.mode), entry.inode};
      }
    }
    if (!image.inodes.emplace(inode, AttrOf(entry, parent)).second) {
      image.inodes[inode].parent = Inode();  // several links, as juicefs keeps them
      continue;
    }
    if (entry.target.has_value()) {
      image.symlinks[inode] = *entry.target;
    }
    if (!entry.xattrs.empty()) {
      image.xattrs[inode] = entry.xattrs;
    }
    if (path != "." && path != kTrashName) {
      used_bytes += static_cast<int64_t>(SpaceOf(TypeOf(entry.mode) == kTypeFile ? entry.size : 0));
      ++image.counters["totalInodes"];
    }
  }
  image.counters["usedSpace"] = used_bytes;
  return image;
}

}  // namespace kvjury::juicefs
