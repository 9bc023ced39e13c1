// MountedView: a volume that answers as a mount of it does, call by call, from its records alone.
//
// By inode, as a kernel asks: look-up, stat (with blocks), directories in byte order of the names and in pages, link targets, extended
// attributes with POSIX ACLs among them, statfs with quotas, and bytes of files: through the pieces that the records name, over the objects
// of a bucket where one is given. The root is there even without a record; `.trash` is in the root and made up as juicefs does it.
// Not modelled: .accesslog, .config, .stats and .control, access rights (the kernel's business), times of access, case-insensitive look-up, mounts of a
// subdirectory, an empty xattr's value on TiKV (a mount says that there is none). A volume does not change while it is shown.
// Damage is answered as juicefs would: an entry without its inode shows its type alone. Errors are errno, as programs get them.
// Source: facts of JuiceFS 1.4.2 through the kernel. One thread. Deterministic but for the bucket.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/juicefs/image.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/volume_objects.h"

namespace kvjury::juicefs {

/// A value, or the errno that a program gets.
template <class T>
struct Answer {
  int error = 0;  // 0: `value` counts
  T value{};
};

/// What stat shows. Times in seconds and nanoseconds, as a damaged record may hold any.
struct FileStatus {
  Inode inode;
  uint32_t mode = 0;  // st_mode: type and permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint32_t rdev = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes
  int64_t atime_s = 0;
  int64_t mtime_s = 0;
  int64_t ctime_s = 0;
  uint32_t atime_ns = 0;
  uint32_t mtime_ns = 0;
  uint32_t ctime_ns = 0;
  /// Only the type is known: the entry's inode has no record.
  bool is_type_only = false;
  friend bool operator==(const FileStatus&, const FileStatus&) = default;
};
inline constexpr uint32_t kStatBlockBytes = 65536;  // st_blksize of every file

struct DirectoryEntry {
  Bytes name;
  Inode inode;
  uint32_t mode = 0;    // type bits alone
  uint64_t cursor = 0;  // where the entries behind this one begin
};

struct MountedViewOptions {
  /// Of the root of the trash, whose times are those of the mount.
  int64_t mounted_at_s = 0;
  /// Null: files that hold data cannot be read.
  std::unique_ptr<VolumeObjects> objects;
  /// The image tells what its files hold. False for one that was made of a view: then not even an absent chunk means zero bytes.
  bool has_pieces = true;
};

class MountedView {
 public:
  /// Errors: kNotFound when the image has no setting (a mount would say that the database is not formatted).
  static Result<std::unique_ptr<MountedView>> Make(VolumeImage image, MountedViewOptions options = {});
  MountedView(const MountedView&) = delete;
  MountedView& operator=(const MountedView&) = delete;

  /// "." and ".." too. ENOENT, ENOTDIR, ENAMETOOLONG.
  Answer<FileStatus> Lookup(Inode directory, const Bytes& name) const;
  /// ENOENT.
  Answer<FileStatus> Stat(Inode inode) const;
  /// At most `entries_max` entries from `cursor` on: 0 at first, then that of the last entry. The root begins with `.trash`, then "." and ".." and the
  /// names in byte order. None: the end. ENOENT, ENOTDIR.
  Answer<std::vector<DirectoryEntry>> ReadDirectory(Inode directory, uint64_t cursor, size_t entries_max);
  /// EINVAL for what is no symbolic link, EIO for one without its target.
  Answer<Bytes> ReadLink(Inode inode) const;
  /// ENODATA; ERANGE for a name of more than 255 bytes.
  Answer<Bytes> GetXattr(Inode inode, const Bytes& name) const;
  /// Byte order, ACLs last. ENOENT; ENODATA for the trash and its folders.
  Answer<std::vector<Bytes>> ListXattrs(Inode inode) const;
  [[nodiscard]] StatFs StatFileSystem(Inode inode) const { return StatFsOf(image_, inode); }
  /// Up to `length` bytes from `offset`; fewer at the end of the file only. EISDIR, EINVAL (no regular file), ENOENT, EIO: then last_failure()
  /// says why.
  Answer<Bytes> Read(Inode inode, uint64_t offset, uint64_t length);
  /// The sentence that belongs to the last EIO of Read.
  [[nodiscard]] const Status& last_failure() const { return last_failure_; }

  [[nodiscard]] const VolumeImage& image() const { return image_; }

 private:
  using Names = std::map<Bytes, Dentry>;
  struct Listing {
    std::vector<DirectoryEntry> first;             // what is listed before the names
    std::vector<const Names::value_type*> names;  // in byte order
  };

  MountedView(VolumeImage image, MountedViewOptions options) : image_(std::move(image)), options_(std::move(options)) {}

  [[nodiscard]] FileStatus MadeUpDirectory(Inode inode) const;
  [[nodiscard]] Inode ParentOf(Inode directory) const;
  const Listing& ListingOf(Inode directory);
  Status AppendChunk(const std::vector<SliceRecord>& records, uint64_t chunk_length, uint64_t offset, uint64_t length, Bytes* bytes);

  VolumeImage image_;
  MountedViewOptions options_;
  std::map<Inode, Listing> listings_;  // those that were asked for
  Status last_failure_;
};

/// The image of what a view shows, for sources without records: attributes, names, link targets, and all extended attributes as such. It holds no pieces of
/// files, and usage is what its entries add up to.
VolumeImage ImageOfView(const View& view);

}  // namespace kvjury::juicefs
