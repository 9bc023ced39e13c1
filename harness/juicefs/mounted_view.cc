#include "harness/juicefs/mounted_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "harness/juicefs/pieces.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kModeTypeMask = 0170000;
constexpr uint64_t kStatUnitBytes = 512;

bool IsDirectory(const FileStatus& status) { return (status.mode & kModeTypeMask) == ModeTypeBits(kTypeDirectory); }

/// juicefs answers for them without looking: there are no xattrs.
bool IsSpecial(Inode inode) { return inode.value() >= kSpecialInodeFirst; }

const std::array<const char*, 2> kAclNames = {"system.posix_acl_access", "system.posix_acl_default"};

uint32_t AclOf(const Attr& attr, size_t kind) { return kind == 0 ? attr.access_acl : attr.default_acl; }

FileStatus StatusOf(Inode inode, const Attr& attr) {
  FileStatus status;
  status.inode = inode;
  status.mode = ModeTypeBits(attr.type) | attr.mode;
  status.uid = attr.uid;
  status.gid = attr.gid;
  status.nlink = attr.nlink;
  status.atime_s = attr.atime_s;
  status.atime_ns = attr.atime_ns;
  status.mtime_s = attr.mtime_s;
  status.mtime_ns = attr.mtime_ns;
  status.ctime_s = attr.ctime_s;
  status.ctime_ns = attr.ctime_ns;
  if (attr.type == kTypeFile || attr.type == kTypeDirectory || attr.type == kTypeSymlink) {
    status.size = attr.length;
    status.blocks = attr.length / kStatUnitBytes + (attr.length % kStatUnitBytes != 0 ? 1 : 0);
  } else if (attr.type == kTypeBlockDevice || attr.type == kTypeCharDevice) {
    status.rdev = attr.rdev;
  }
  return status;
}

}  // namespace

Result<std::unique_ptr<MountedView>> MountedView::Make(VolumeImage image, MountedViewOptions options) {
  if (!image.setting.has_value()) {
    return Status::NotFound("the volume has no setting: it is not formatted");
  }
  return std::unique_ptr<MountedView>(new MountedView(std::move(image), std::move(options)));
}

FileStatus MountedView::MadeUpDirectory(Inode inode) const {
  FileStatus status;
  status.inode = inode;
  status.nlink = 2;
  if (inode == kTrashInode) {
    status.mode = ModeTypeBits(kTypeDirectory) | 0555;
    status.atime_s = status.mtime_s = status.ctime_s = options_.mounted_at_s;
  } else {
    status.mode = ModeTypeBits(kTypeDirectory) | 0777;
    status.size = kDirectoryBytes;
    status.blocks = kDirectoryBytes / kStatUnitBytes;
  }
  return status;
}

Inode MountedView::ParentOf(Inode directory) const {
  const Attr* attr = image_.FindAttr(directory);
  return directory == kRootInode || directory == kTrashInode || attr == nullptr ? kRootInode : attr->parent;
}

Answer<FileStatus> MountedView::Stat(Inode inode) const {
  const Attr* attr = image_.FindAttr(inode);
  if (inode == kTrashInode || (inode == kRootInode && attr == nullptr)) {
    return {0, MadeUpDirectory(inode)};
  }
  return attr == nullptr ? Answer<FileStatus>{ENOENT, {}} : Answer<FileStatus>{0, StatusOf(inode, *attr)};
}

Answer<FileStatus> MountedView::Lookup(Inode directory, const Bytes& name) const {
  const Answer<FileStatus> in = Stat(directory);
  if (in.error != 0 || !IsDirectory(in.value)) {
    return {in.error != 0 ? in.error : ENOTDIR, {}};
  }
  if (name.size() > kNameBytesMax) {
    return {ENAMETOOLONG, {}};
  }
  if (name == "." || name == "..") {
    return Stat(name == "." ? directory : ParentOf(directory));
  }
  if (directory == kRootInode && name == kTrashName) {
    return Stat(kTrashInode);
  }
  const auto names = image_.dentries.find(directory);
  if (names == image_.dentries.end()) {
    return {ENOENT, {}};
  }
  const auto found = names->second.find(name);
  if (found == names->second.end()) {
    return {ENOENT, {}};
  }
  Answer<FileStatus> status = Stat(found->second.inode);
  if (status.error != 0) {
    status = {};
    status.value.inode = found->second.inode;
    status.value.mode = ModeTypeBits(found->second.type);
    status.value.is_type_only = true;
  }
  return status;
}

const MountedView::Listing& MountedView::ListingOf(Inode directory) {
  const auto [place, is_new] = listings_.try_emplace(directory);
  Listing& listing = place->second;
  if (!is_new) {
    return listing;
  }
  const uint32_t directory_bits = ModeTypeBits(kTypeDirectory);
  if (directory == kRootInode) {
    listing.first.push_back({kTrashName, kTrashInode, directory_bits, 1});
  }
  listing.first.push_back({".", directory, directory_bits, listing.first.size() + 1});
  listing.first.push_back({"..", ParentOf(directory), directory_bits, listing.first.size() + 1});
  if (const auto names = image_.dentries.find(directory); names != image_.dentries.end()) {
    listing.names.reserve(names->second.size());
    for (const Names::value_type& entry : names->second) {
      if (directory != kRootInode || entry.first != kTrashName) {
        listing.names.push_back(&entry);
      }
    }
  }
  return listing;
}

Answer<std::vector<DirectoryEntry>> MountedView::ReadDirectory(Inode directory, uint64_t cursor, size_t entries_max) {
  const Answer<FileStatus> in = Stat(directory);
  if (in.error != 0 || !IsDirectory(in.value)) {
    return {in.error != 0 ? in.error : ENOTDIR, {}};
  }
  const Listing& listing = ListingOf(directory);
  Answer<std::vector<DirectoryEntry>> page;
  while (page.value.size() < entries_max && cursor < listing.first.size()) {
    page.value.push_back(listing.first[cursor]);
    ++cursor;
  }
  while (page.value.size() < entries_max && cursor < listing.first.size() + listing.names.size()) {
    const auto& [name, dentry] = *listing.names[cursor - listing.first.size()];
    ++cursor;
    page.value.push_back({name, dentry.inode, ModeTypeBits(dentry.type), cursor});
  }
  return page;
}

Answer<Bytes> MountedView::ReadLink(Inode inode) const {
  const Attr* attr = image_.FindAttr(inode);
  const auto target = image_.symlinks.find(inode);
  if (attr == nullptr) {
    return {ENOENT, {}};
  }
  if (attr->type != kTypeSymlink) {
    return {EINVAL, {}};
  }
  return target == image_.symlinks.end() ? Answer<Bytes>{EIO, {}} : Answer<Bytes>{0, target->second};
}

Answer<Bytes> MountedView::GetXattr(Inode inode, const Bytes& name) const {
  if (IsSpecial(inode)) {
    return {ENODATA, {}};
  }
  if (name.size() > kNameBytesMax) {
    return {ERANGE, {}};
  }
  const Attr* attr = image_.FindAttr(inode);
  for (size_t kind = 0; kind < kAclNames.size(); ++kind) {
    const uint32_t id = attr == nullptr ? 0 : AclOf(*attr, kind);
    if (name == kAclNames[kind] && id != 0) {
      const auto rule = image_.acl_rules.find(id);
      return rule == image_.acl_rules.end() ? Answer<Bytes>{ENODATA, {}} : Answer<Bytes>{0, PosixAclXattr(rule->second)};
    }
  }
  const auto xattrs = image_.xattrs.find(inode);
  if (xattrs == image_.xattrs.end()) {
    return {ENODATA, {}};
  }
  const auto found = xattrs->second.find(name);
  return found == xattrs->second.end() ? Answer<Bytes>{ENODATA, {}} : Answer<Bytes>{0, found->second};
}

Answer<std::vector<Bytes>> MountedView::ListXattrs(Inode inode) const {
  if (IsSpecial(inode)) {
    return {ENODATA, {}};
  }
  Answer<std::vector<Bytes>> names;
  const Attr* attr = image_.FindAttr(inode);
  if (attr == nullptr && inode != kRootInode) {
    return {ENOENT, {}};
  }
  if (const auto xattrs = image_.xattrs.find(inode); xattrs != image_.xattrs.end()) {
    for (const auto& [name, value] : xattrs->second) {
      names.value.push_back(name);
    }
  }
  for (size_t kind = 0; kind < kAclNames.size(); ++kind) {
    if (attr != nullptr && AclOf(*attr, kind) != 0) {
      names.value.emplace_back(kAclNames[kind]);
    }
  }
  return names;
}

Answer<Bytes> MountedView::Read(Inode inode, uint64_t offset, uint64_t length) {
  const Answer<FileStatus> status = Stat(inode);
  if (status.error != 0) {
    return {status.error, {}};
  }
  if ((status.value.mode & kModeTypeMask) != ModeTypeBits(kTypeFile)) {
    return {IsDirectory(status.value) ? EISDIR : EINVAL, {}};
  }
  const uint64_t size = status.value.size;
  const uint64_t end = offset >= size ? offset : offset + std::min(length, size - offset);
  const auto chunks = image_.chunks.find(inode);
  Answer<Bytes> bytes;
  if (offset < end && !options_.has_pieces) {
    last_failure_ = Status::Unsupported("the source shows entries and no records, which would tell what files hold");
    return {EIO, {}};
  }
  while (offset < end) {
    const uint64_t index = offset / kChunkBytes;
    const uint64_t in_chunk = offset % kChunkBytes;
    const uint64_t part = std::min(end - offset, kChunkBytes - in_chunk);
    const std::vector<SliceRecord>* records = nullptr;
    if (chunks != image_.chunks.end() && index <= UINT32_MAX) {
      const auto found = chunks->second.find(static_cast<uint32_t>(index));
      records = found == chunks->second.end() ? nullptr : &found->second;
    }
    if (records == nullptr) {
      bytes.value.append(part, '\0');
    } else if (Status read = AppendChunk(*records, std::min(kChunkBytes, size - index * kChunkBytes), in_chunk, part, &bytes.value); !read.ok()) {
      last_failure_ = read.WithContext(fmt::format("inode {}, chunk {}", InodeText(inode), index));
      return {EIO, {}};
    }
    offset += part;
  }
  return bytes;
}

Status MountedView::AppendChunk(const std::vector<SliceRecord>& records, uint64_t chunk_length, uint64_t offset, uint64_t length, Bytes* bytes) {
  uint64_t position = 0;
  for (const Piece& piece : EffectiveChunkPieces(records, chunk_length)) {
    const uint64_t begin = std::max(position, offset);
    const uint64_t end = std::min(position + piece.length, offset + length);
    if (begin < end && piece.slice_id == 0) {
      bytes->append(end - begin, '\0');
    } else if (begin < end) {
      if (options_.objects == nullptr) {
        return Status::Unsupported("the contents of files cannot be read without --bucket");
      }
      // An id has one size: records of the same slice differ in what they take of it.
      const auto record = std::find_if(records.begin(), records.end(), [&piece](const SliceRecord& r) { return r.id == piece.slice_id; });
      ASSIGN_OR_RETURN(const Bytes part,
                       options_.objects->Read({piece.slice_id, record->size}, piece.slice_offset + (begin - position), end - begin));
      *bytes += part;
    }
    position += piece.length;
  }
  return Status::Ok();
}

}  // namespace kvjury::juicefs
