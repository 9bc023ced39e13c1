#include "harness/tools/mount_operations.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "harness/judge/posix_model.h"
#include "harness/juicefs/constants.h"

namespace kvjury::tools {

namespace {

using judge::PosixResult;
using Kind = record::Operation;

int ErrorOf(long code) { return code < 0 ? errno : 0; }

PosixResult Answer(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

timespec TimeOf(int64_t ns) {
  timespec time{};
  time.tv_sec = ns >= 0 ? ns / 1'000'000'000 : (ns - 999'999'999) / 1'000'000'000;
  time.tv_nsec = ns - time.tv_sec * 1'000'000'000;
  return time;
}

int OpenWithoutLinks(int folder, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how));
}

mode_t TypeOf(uint32_t type) {
  switch (type) {
    case juicefs::kTypeFifo:
      return S_IFIFO;
    case juicefs::kTypeBlockDevice:
      return S_IFBLK;
    case juicefs::kTypeCharDevice:
      return S_IFCHR;
    default:
      return S_IFSOCK;
  }
}

/// The file access of this thread is a caller's while this lives.
class AsCaller {
 public:
  AsCaller(uint32_t uid, uint32_t gid) {
    ::setfsgid(gid);
    ::setfsuid(uid);
  }
  AsCaller(const AsCaller&) = delete;
  AsCaller& operator=(const AsCaller&) = delete;
  ~AsCaller() {
    ::setfsuid(0);
    ::setfsgid(0);
  }
};

}  // namespace

MountOperations::MountOperations(std::string folder) : folder_(std::move(folder)) {
  ::umask(0);
  ::setgroups(0, nullptr);
}

bool MountOperations::KnowsOperation(const record::Operation& operation) {
  switch (operation.kind_case()) {
    case Kind::kClone:
    case Kind::kCompact:
    case Kind::kRemoveTree:
    case Kind::kSetQuota:
    case Kind::kDeleteQuota:
    case Kind::kRestoreTrash:
    case Kind::kSleep:
    case Kind::kDie:
    case Kind::KIND_NOT_SET:
      return false;
    case Kind::kUnlink:
      return !operation.unlink().skip_trash();
    case Kind::kRmdir:
      return !operation.rmdir().skip_trash();
    case Kind::kSetattr:
      return !operation.setattr().has_tier();
    default:
      return true;
  }
}

MountOperations::Place MountOperations::Resolve(const Bytes& path) const {
  Place place;
  std::string folder;
  std::string last;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    const Bytes name = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (name.empty() || name == ".") {
      continue;
    }
    if (name == ".." || name.find('\0') != Bytes::npos) {
      place.error = EINVAL;
      return place;
    }
    folder += last.empty() ? "" : last + "/";
    last = name;
  }
  if (last.empty()) {
    place.name = folder_;
    place.parent = std::make_shared<Descriptor>(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return place;
  }
  const Descriptor root(::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const int parent = folder.empty() ? ::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)
                                    : OpenWithoutLinks(root.get(), folder, O_PATH | O_DIRECTORY);
  place.error = parent >= 0 ? 0 : errno == ELOOP ? ENOTDIR : errno;
  place.parent = std::make_shared<Descriptor>(parent);
  place.name = last;
  return place;
}

uint64_t MountOperations::InodeAt(const Bytes& path) const {
  const Place place = Resolve(path);
  struct stat status {};
  const bool found = place.error == 0 && ::fstatat(place.parent->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  return found ? status.st_ino : 0;
}

MountOperations::File MountOperations::OpenFile(uint32_t session, uint32_t handle, const Bytes& path, int flags) const {
  File file;
  if (handle != 0) {
    const auto open = handles_.find({session, handle});
    file.error = open == handles_.end() ? EBADF : 0;
    file.number = open == handles_.end() ? nullptr : open->second;
    return file;
  }
  const Place place = Resolve(path);
  struct stat status {};
  file.error = place.error != 0 ? place.error : ErrorOf(::fstatat(place.parent->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW));
  if (file.error == 0 && !S_ISREG(status.st_mode)) {
    file.error = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  }
  if (file.error == 0) {
    const int number = ::openat(place.parent->get(), place.name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    file.error = ErrorOf(number);
    file.number = std::make_shared<Descriptor>(number);
  }
  return file;
}

PosixResult MountOperations::Do(uint32_t session, const record::Operation& operation) {
  if (!KnowsOperation(operation)) {
    return Answer(ENOSYS);
  }
  const AsCaller caller(operation.uid(), operation.gid());
  switch (operation.kind_case()) {
    case Kind::kMkdir:
    case Kind::kCreate:
    case Kind::kMknod:
    case Kind::kSymlink:
    case Kind::kLink:
    case Kind::kUnlink:
    case Kind::kRmdir:
    case Kind::kRename:
      return Answer(DoName(operation));
    case Kind::kSetattr:
      return Answer(SetAttr(operation.setattr()));
    case Kind::kWrite:
    case Kind::kTruncate:
    case Kind::kRead:
    case Kind::kOpen:
    case Kind::kClose:
    case Kind::kFallocate:
    case Kind::kCopyFileRange:
      return DoData(session, operation);
    case Kind::kFlock:
    case Kind::kSetLock:
    case Kind::kGetLock:
      return DoLock(session, operation);
    case Kind::kLookup:
    case Kind::kReaddir:
    case Kind::kReadlink:
    case Kind::kStatFs:
      return DoLook(operation);
    default:
      return DoXattr(operation);
  }
}

int MountOperations::DoName(const record::Operation& operation) const {
  const judge::OperationPaths paths = judge::PathsOf(operation);
  const Place first = Resolve(*paths.first);
  const Place second = paths.second.has_value() ? Resolve(*paths.second) : Place();
  if (operation.has_symlink() && operation.symlink().target().empty()) {
    return ENOENT;  // as the call says before it looks at the path
  }
  if (operation.has_mknod() && (operation.mknod().type() < juicefs::kTypeFifo || operation.mknod().type() > juicefs::kTypeSocket)) {
    return EINVAL;
  }
  struct stat status {};
  if (operation.has_link() && first.error == 0 && ::fstatat(first.parent->get(), first.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno;  // link(2) looks the whole of its first path up before the second
  }
  if (operation.has_rename() && first.error == 0 && second.error != 0 &&
      ::fstatat(first.parent->get(), first.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == EACCES) {
    return EACCES;  // rename(2) looks whether it may search the first folder before it looks for the second
  }
  if (first.error != 0 || second.error != 0) {
    return first.error != 0 ? first.error : second.error;
  }
  const int folder = first.parent->get();
  const char* name = first.name.c_str();
  switch (operation.kind_case()) {
    case Kind::kMkdir:
      return ErrorOf(::mkdirat(folder, name, operation.mkdir().mode() & 07777));
    case Kind::kCreate: {
      const Descriptor made(::openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, operation.create().mode() & 07777));
      return ErrorOf(made.get());
    }
    case Kind::kMknod: {
      const uint32_t rdev = operation.mknod().rdev();
      const mode_t mode = TypeOf(operation.mknod().type()) | (operation.mknod().mode() & 07777);
      return ErrorOf(::mknodat(folder, name, mode, makedev(rdev >> 8 & 0xFFF, (rdev & 0xFF) | (rdev >> 12 & 0xFFF00))));
    }
    case Kind::kSymlink:
      return ErrorOf(::symlinkat(operation.symlink().target().c_str(), folder, name));
    case Kind::kLink:
      return ErrorOf(::linkat(folder, name, second.parent->get(), second.name.c_str(), 0));
    case Kind::kUnlink:
      return ErrorOf(::unlinkat(folder, name, 0));
    case Kind::kRmdir:
      return ErrorOf(::unlinkat(folder, name, AT_REMOVEDIR));
    default:
      return ErrorOf(::syscall(SYS_renameat2, folder, name, second.parent->get(), second.name.c_str(), operation.rename().flags()));
  }
}

int MountOperations::SetFlags(const Bytes& path, uint32_t flags) const {
  const Place place = Resolve(path);
  if (place.error != 0) {
    return place.error;
  }
  struct stat status {};
  if (::fstatat(place.parent->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno;
  }
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    return EINVAL;
  }
  const Descriptor file(::openat(place.parent->get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  long bits = 0;
  bits |= (flags & juicefs::kFlagSkipTrash) != 0 ? FS_SECRM_FL : 0;
  bits |= (flags & juicefs::kFlagImmutable) != 0 ? FS_IMMUTABLE_FL : 0;
  bits |= (flags & juicefs::kFlagAppend) != 0 ? FS_APPEND_FL : 0;
  return file.get() < 0 ? errno : ErrorOf(::ioctl(file.get(), FS_IOC_SETFLAGS, &bits));
}

int MountOperations::SetAttr(const record::SetAttr& change) const {
  const Place place = Resolve(change.path());
  if (place.error != 0) {
    return place.error;
  }
  const int folder = place.parent->get();
  const char* name = place.name.c_str();
  int error = 0;
  if (change.has_mode()) {
    error = ErrorOf(::fchmodat(folder, name, change.mode() & 07777, AT_SYMLINK_NOFOLLOW));
  }
  if (error == 0 && (change.has_uid() || change.has_gid())) {
    const uid_t uid = change.has_uid() ? change.uid() : static_cast<uid_t>(-1);
    error = ErrorOf(::fchownat(folder, name, uid, change.has_gid() ? change.gid() : static_cast<gid_t>(-1), AT_SYMLINK_NOFOLLOW));
  }
  if (error == 0 && (change.has_atime_ns() || change.has_mtime_ns())) {
    std::array<timespec, 2> times{};
    times[0] = change.has_atime_ns() ? TimeOf(change.atime_ns()) : timespec{0, UTIME_OMIT};
    times[1] = change.has_mtime_ns() ? TimeOf(change.mtime_ns()) : timespec{0, UTIME_OMIT};
    error = ErrorOf(::utimensat(folder, name, times.data(), AT_SYMLINK_NOFOLLOW));
  }
  return error == 0 && change.has_flags() ? SetFlags(change.path(), change.flags()) : error;
}

}  // namespace kvjury::tools
