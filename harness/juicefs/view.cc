#include "harness/juicefs/view.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "harness/juicefs/pieces.h"

namespace kvjury::juicefs {

namespace {

int64_t Nanoseconds(int64_t seconds, uint32_t nanoseconds) {
  // Unsigned, because a damaged record may hold any seconds.
  return static_cast<int64_t>(static_cast<uint64_t>(seconds) * 1'000'000'000 + nanoseconds);
}

/// Walks the directories with a work list; every directory is listed once.
class ViewBuilder {
 public:
  explicit ViewBuilder(const VolumeImage& image) : image_(image) {}

  View Build() {
    AddRoot();
    AddTrashRoot();
    while (!pending_.empty()) {
      const Directory directory = std::move(pending_.back());
      pending_.pop_back();
      List(directory);
    }
    view_.statfs = StatVolume(image_);
    view_.IndexInodes();
    return std::move(view_);
  }

 private:
  struct Directory {
    Inode inode;
    Bytes path;  // "." for the root
  };

  void Problem(const Bytes& path, Inode inode, std::string text) {
    view_.problems.push_back({path, inode, std::move(text)});
  }

  void AddRoot() {
    Descend({kRootInode, "."});
    if (image_.FindAttr(kRootInode) != nullptr) {
      view_.entries["."] = EntryOf(kRootInode, kTypeDirectory, ".");
      return;
    }
    Problem(".", kRootInode, "the root has no inode record; a mount makes one up");
    ViewEntry entry;
    entry.inode = kRootInode;
    entry.mode = ModeTypeBits(kTypeDirectory) | 0777;
    entry.nlink = 2;
    entry.size = kDirectoryBytes;
    view_.entries["."] = entry;
  }

  void AddTrashRoot() {
    ViewEntry entry;
    entry.inode = kTrashInode;
    entry.mode = ModeTypeBits(kTypeDirectory) | 0555;
    entry.nlink = 2;
    view_.entries[kTrashName] = entry;
    Descend({kTrashInode, kTrashName});
  }

  void Descend(Directory directory) {
    if (directory.path.size() > kPathBytesMax) {
      Problem(directory.path, directory.inode, fmt::format("path longer than {} bytes is not listed", kPathBytesMax));
    } else if (!listed_.insert(directory.inode).second) {
      Problem(directory.path, directory.inode,
              fmt::format("directory {} is reached a second time (a cycle or two entries)", InodeText(directory.inode)));
    } else {
      pending_.push_back(std::move(directory));
    }
  }

  void List(const Directory& directory) {
    const auto found = image_.dentries.find(directory.inode);
    if (found == image_.dentries.end()) {
      return;
    }
    auto next = view_.entries.end();
    for (const auto& [name, dentry] : found->second) {
      if (directory.inode == kRootInode && name == kTrashName) {
        Problem(kTrashName, dentry.inode, "an entry of the root named .trash is hidden by the trash");
        continue;
      }
      const Bytes path = directory.inode == kRootInode ? name : directory.path + "/" + name;
      ViewEntry entry = EntryOf(dentry.inode, dentry.type, path);
      const bool is_directory = (entry.mode & 0170000) == ModeTypeBits(kTypeDirectory);
      // Names of one directory come in order, and nothing below them is there yet.
      next = std::next(view_.entries.insert_or_assign(next, path, std::move(entry)));
      if (is_directory) {
        Descend({dentry.inode, path});
      }
    }
  }

  ViewEntry EntryOf(Inode inode, uint8_t dentry_type, const Bytes& path) {
    ViewEntry entry;
    entry.inode = inode;
    const Attr* attr = image_.FindAttr(inode);
    if (attr == nullptr) {
      Problem(path, inode, fmt::format("inode {} has no record; a mount knows its type only", InodeText(inode)));
      entry.mode = ModeTypeBits(dentry_type);
      return entry;
    }
    entry.mode = ModeTypeBits(attr->type) | attr->mode;
    entry.uid = attr->uid;
    entry.gid = attr->gid;
    entry.nlink = attr->nlink;
    entry.atime_ns = Nanoseconds(attr->atime_s, attr->atime_ns);
    entry.mtime_ns = Nanoseconds(attr->mtime_s, attr->mtime_ns);
    entry.ctime_ns = Nanoseconds(attr->ctime_s, attr->ctime_ns);
    AddByType(*attr, path, &entry);
    AddXattrs(*attr, path, &entry);
    return entry;
  }

  void AddByType(const Attr& attr, const Bytes& path, ViewEntry* entry) {
    switch (attr.type) {
      case kTypeFile:
        entry->size = attr.length;
        entry->content = ContentDigest(EffectivePieces(ChunksOf(entry->inode), attr.length));
        return;
      case kTypeDirectory:
        entry->size = attr.length;
        return;
      case kTypeSymlink: {
        entry->size = attr.length;
        const auto target = image_.symlinks.find(entry->inode);
        if (target == image_.symlinks.end()) {
          Problem(path, entry->inode, fmt::format("symbolic link {} has no target record", InodeText(entry->inode)));
        } else {
          entry->target = target->second;
        }
        return;
      }
      case kTypeBlockDevice:
      case kTypeCharDevice:
        entry->rdev = attr.rdev;
        return;
      default:
        return;
    }
  }

  const ChunkMap& ChunksOf(Inode inode) const {
    static const ChunkMap none;
    const auto found = image_.chunks.find(inode);
    return found == image_.chunks.end() ? none : found->second;
  }

  void AddXattrs(const Attr& attr, const Bytes& path, ViewEntry* entry) {
    const auto found = image_.xattrs.find(entry->inode);
    if (found != image_.xattrs.end()) {
      entry->xattrs = found->second;
    }
    const std::array<std::pair<uint32_t, const char*>, 2> acls = {
        {{attr.access_acl, "system.posix_acl_access"}, {attr.default_acl, "system.posix_acl_default"}}};
    for (const auto& [id, name] : acls) {
      if (id == 0) {
        continue;
      }
      const auto rule = image_.acl_rules.find(id);
      if (rule == image_.acl_rules.end()) {
        Problem(path, entry->inode, fmt::format("ACL rule {} does not exist", id));
      } else {
        entry->xattrs[name] = PosixAclXattr(rule->second);
      }
    }
  }

  const VolumeImage& image_;
  View view_;
  std::vector<Directory> pending_;
  std::set<Inode> listed_;
};

}  // namespace

void View::IndexInodes() {
  path_of_inode.clear();
  auto hint = path_of_inode.end();
  for (const auto& [path, entry] : entries) {
    // Neighbours were often made one after the other.
    hint = std::next(path_of_inode.emplace_hint(hint, entry.inode, path));
  }
}

std::optional<Bytes> View::PathOfInode(Inode inode) const {
  const auto found = path_of_inode.find(inode);
  return found == path_of_inode.end() ? std::nullopt : std::optional<Bytes>(found->second);
}

Result<View> BuildView(const VolumeImage& image) {
  if (!image.setting.has_value()) {
    return Status::NotFound("the volume has no setting: it is not formatted");
  }
  return ViewBuilder(image).Build();
}

uint32_t ModeTypeBits(uint8_t type) {
  switch (type) {
    case kTypeFile:
      return 0100000;
    case kTypeDirectory:
      return 0040000;
    case kTypeSymlink:
      return 0120000;
    case kTypeFifo:
      return 0010000;
    case kTypeBlockDevice:
      return 0060000;
    case kTypeCharDevice:
      return 0020000;
    case kTypeSocket:
      return 0140000;
    default:
      return 0;
  }
}

}  // namespace kvjury::juicefs
