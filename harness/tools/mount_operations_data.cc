// The calls that read, write and lock files, and those that only look.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "harness/judge/posix_model.h"
#include "harness/tools/mount_operations.h"

namespace kvjury::tools {

namespace {

using judge::PosixResult;
using Kind = record::Operation;

constexpr std::array kOwnFiles = {".accesslog", ".config", ".stats", ".control", ".trash"};

int ErrorOf(long code) { return code < 0 ? errno : 0; }

PosixResult Answer(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

judge::TimeSpan SpanOf(const timespec& time) {
  const int64_t ns = time.tv_sec * 1'000'000'000 + time.tv_nsec;
  return {ns, ns};
}

PosixResult WriteTo(int file, const record::Write& write, const Bytes& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::pwrite(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(write.offset() + done));
    if (written <= 0) {
      return Answer(written < 0 ? errno : EIO);
    }
    done += static_cast<size_t>(written);
  }
  return {};
}

PosixResult ReadFrom(int file, const record::Read& read) {
  Bytes bytes(read.length(), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(read.offset() + done));
    if (got < 0) {
      return Answer(errno);
    }
    if (got == 0) {
      break;
    }
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  PosixResult result;
  result.bytes = std::move(bytes);
  return result;
}

}  // namespace

PosixResult MountOperations::DoData(uint32_t session, const record::Operation& operation) {
  switch (operation.kind_case()) {
    case Kind::kOpen:
      return Answer(Open(session, operation.open()));
    case Kind::kClose: {
      const auto open = handles_.find({session, operation.close().handle()});
      if (open == handles_.end()) {
        return Answer(EBADF);
      }
      handles_.erase(open);
      return {};
    }
    case Kind::kCopyFileRange:
      return CopyFileRange(operation.copy_file_range());
    case Kind::kWrite: {
      const File file = OpenFile(session, operation.write().handle(), operation.write().path(), O_WRONLY);
      return file.error != 0 ? Answer(file.error) : WriteTo(file.number->get(), operation.write(), judge::BytesOfWrite(session, operation));
    }
    case Kind::kRead: {
      const File file = OpenFile(session, operation.read().handle(), operation.read().path(), O_RDONLY);
      return file.error != 0 ? Answer(file.error) : ReadFrom(file.number->get(), operation.read());
    }
    case Kind::kFallocate: {
      const record::Fallocate& change = operation.fallocate();
      const File file = OpenFile(session, change.handle(), change.path(), O_WRONLY);
      return Answer(file.error != 0 ? file.error
                                    : ErrorOf(::fallocate(file.number->get(), static_cast<int>(change.mode()),
                                                          static_cast<off_t>(change.offset()), static_cast<off_t>(change.length()))));
    }
    default:
      break;
  }
  const record::Truncate& truncate = operation.truncate();
  if (truncate.handle() != 0) {
    const File file = OpenFile(session, truncate.handle(), truncate.path(), O_WRONLY);
    return Answer(file.error != 0 ? file.error : ErrorOf(::ftruncate(file.number->get(), static_cast<off_t>(truncate.length()))));
  }
  // By path, and the file is not opened for it: truncate(2) has its own checks.
  const Place place = Resolve(truncate.path());
  struct stat status {};
  int error = place.error != 0 ? place.error : ErrorOf(::fstatat(place.parent->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW));
  if (error == 0 && !S_ISREG(status.st_mode)) {
    error = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  }
  const std::string name = place.name.substr(0, 1) == "/" ? place.name : error != 0 ? "" : fmt::format("/proc/self/fd/{}/{}", place.parent->get(), place.name);
  return Answer(error != 0 ? error : ErrorOf(::truncate(name.c_str(), static_cast<off_t>(truncate.length()))));
}

int MountOperations::Open(uint32_t session, const record::Open& open) {
  if (open.handle() == 0 || handles_.count({session, open.handle()}) > 0) {
    return EINVAL;
  }
  const uint32_t access = open.flags() & 3;
  int flags = access == 0 ? O_RDONLY : access == 1 ? O_WRONLY : O_RDWR;
  flags |= (open.flags() & 512) != 0 ? O_TRUNC : 0;
  flags |= (open.flags() & 1024) != 0 ? O_APPEND : 0;
  const File file = OpenFile(session, 0, open.path(), flags);
  if (file.error == 0) {
    handles_[{session, open.handle()}] = file.number;
  }
  return file.error;
}

PosixResult MountOperations::CopyFileRange(const record::CopyFileRange& copy) const {
  const File from = OpenFile(0, 0, copy.from(), O_RDONLY);
  if (from.error != 0) {
    return Answer(from.error);
  }
  const File to = OpenFile(0, 0, copy.to(), O_WRONLY);
  if (to.error != 0) {
    return Answer(to.error);
  }
  auto from_offset = static_cast<off_t>(copy.from_offset());
  auto to_offset = static_cast<off_t>(copy.to_offset());
  const ssize_t copied = ::copy_file_range(from.number->get(), &from_offset, to.number->get(), &to_offset, copy.length(), 0);
  PosixResult result;
  result.error = ErrorOf(copied);
  if (copied >= 0) {
    result.count = static_cast<uint64_t>(copied);
  }
  return result;
}

PosixResult MountOperations::DoLook(const record::Operation& operation) const {
  const Place place = Resolve(*judge::PathsOf(operation).first);
  if (place.error != 0) {
    return Answer(place.error);
  }
  PosixResult result;
  if (operation.has_readlink()) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(place.parent->get(), place.name.c_str(), target.data(), target.size());
    result.error = ErrorOf(size);
    if (size >= 0) {
      result.bytes = Bytes(target.data(), static_cast<size_t>(size));
    }
  } else if (operation.has_stat_fs()) {
    const Descriptor file(::openat(place.parent->get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct statvfs status {};
    result.error = ErrorOf(file.get() < 0 ? -1 : ::fstatvfs(file.get(), &status));
    if (result.error == 0) {
      const uint64_t unit = status.f_frsize;
      result.statfs = judge::PosixStatFs{status.f_blocks * unit / judge::kStatFsBlockBytes, status.f_bavail * unit / judge::kStatFsBlockBytes,
                                         status.f_files - status.f_ffree, status.f_ffree};
    }
  } else if (operation.has_lookup()) {
    struct stat status {};
    result.error = ErrorOf(::fstatat(place.parent->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW));
    if (result.error == 0) {
      result.attr = judge::PosixAttr{status.st_mode, status.st_uid, status.st_gid, static_cast<uint32_t>(status.st_nlink),
                                     static_cast<uint64_t>(status.st_size), status.st_rdev, SpanOf(status.st_atim),
                                     SpanOf(status.st_mtim), SpanOf(status.st_ctim)};
    }
  } else {
    const int number = ::openat(place.parent->get(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR* folder = number < 0 ? nullptr : ::fdopendir(number);
    if (folder == nullptr) {
      return Answer(errno == ELOOP ? ENOTDIR : errno);
    }
    const bool is_root = place.name == folder_;
    result.names.emplace();
    for (const dirent* entry = nullptr; (entry = ::readdir(folder)) != nullptr;) {
      const Bytes name = entry->d_name;
      const bool own = is_root && std::find(kOwnFiles.begin(), kOwnFiles.end(), name) != kOwnFiles.end();
      if (name != "." && name != ".." && !own) {
        result.names->push_back(name);
      }
    }
    ::closedir(folder);
    std::sort(result.names->begin(), result.names->end());
  }
  return result;
}

PosixResult MountOperations::DoXattr(const record::Operation& operation) const {
  const Place place = Resolve(*judge::PathsOf(operation).first);
  if (place.error != 0) {
    return Answer(place.error);
  }
  // There are no calls relative to a directory; the directory's own name in /proc is not followed further than to it.
  const std::string path = place.name.substr(0, 1) == "/" ? place.name : fmt::format("/proc/self/fd/{}/{}", place.parent->get(), place.name);
  const char* const access = "system.posix_acl_access";
  const char* const inherited = "system.posix_acl_default";
  if (operation.has_setxattr()) {
    const record::SetXattr& change = operation.setxattr();
    return Answer(ErrorOf(::lsetxattr(path.c_str(), change.name().c_str(), change.value().data(), change.value().size(),
                                      static_cast<int>(change.flags()))));
  }
  if (operation.has_removexattr()) {
    return Answer(ErrorOf(::lremovexattr(path.c_str(), operation.removexattr().name().c_str())));
  }
  if (operation.has_set_acl()) {
    const record::SetAcl& change = operation.set_acl();
    const char* name = change.is_default() ? inherited : access;
    if (change.remove()) {
      return Answer(ErrorOf(::lremovexattr(path.c_str(), name)));
    }
    const Bytes value = judge::EncodeKernelAcl(judge::AclOf(change));
    return Answer(ErrorOf(::lsetxattr(path.c_str(), name, value.data(), value.size(), 0)));
  }
  PosixResult result;
  if (operation.has_list_xattr()) {
    std::vector<char> names(XATTR_LIST_MAX);
    const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    result.error = ErrorOf(size);
    result.names.emplace();
    for (const char* at = names.data(); at < names.data() + std::max<ssize_t>(size, 0); at += std::strlen(at) + 1) {
      result.names->push_back(at);
    }
    std::sort(result.names->begin(), result.names->end());
    return result.error == 0 ? result : Answer(result.error);
  }
  const std::string name = operation.has_get_acl() ? (operation.get_acl().is_default() ? inherited : access) : operation.get_xattr().name();
  std::vector<char> value(XATTR_SIZE_MAX);
  const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  result.error = ErrorOf(size);
  if (size >= 0) {
    result.bytes = Bytes(value.data(), static_cast<size_t>(size));
  }
  return result;
}

PosixResult MountOperations::DoLock(uint32_t session, const record::Operation& operation) {
  const Bytes path = *judge::PathsOf(operation).first;
  const uint64_t owner = operation.has_flock() ? operation.flock().owner() : operation.has_set_lock() ? operation.set_lock().owner() : operation.get_lock().owner();
  const File fresh = OpenFile(session, 0, path, O_RDWR);
  if (fresh.error != 0) {
    return Answer(fresh.error);
  }
  struct stat status {};
  ::fstat(fresh.number->get(), &status);
  Shared& file = lock_files_[{{session, owner}, status.st_ino}];
  file = file == nullptr ? fresh.number : file;
  PosixResult result;
  if (operation.has_flock()) {
    const uint32_t kind = operation.flock().kind();
    const int call = kind == 0 ? LOCK_SH : kind == 1 ? LOCK_EX : kind == 2 ? LOCK_UN : 0;
    result.error = ErrorOf(::flock(file->get(), call | LOCK_NB));
    return result;
  }
  const auto fill = [](const auto& wanted) {
    struct flock lock {};
    lock.l_type = static_cast<short>(wanted.kind() == 0 ? F_RDLCK : wanted.kind() == 1 ? F_WRLCK : wanted.kind() == 2 ? F_UNLCK : 99);
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(wanted.start());
    lock.l_len = wanted.end() >= static_cast<uint64_t>(INT64_MAX) ? 0 : static_cast<off_t>(wanted.end() - wanted.start() + 1);
    return lock;
  };
  if (operation.set_lock().end() < operation.set_lock().start() || operation.get_lock().end() < operation.get_lock().start()) {
    return Answer(EINVAL);  // fcntl has lengths
  }
  if (operation.has_set_lock()) {
    struct flock lock = fill(operation.set_lock());
    result.error = ErrorOf(::fcntl(file->get(), F_OFD_SETLK, &lock));
    return result;
  }
  struct flock lock = fill(operation.get_lock());
  result.error = ErrorOf(::fcntl(file->get(), F_OFD_GETLK, &lock));
  if (result.error == 0) {
    result.lock.emplace();
    if (lock.l_type != F_UNLCK) {
      *result.lock = judge::PosixLock{lock.l_type == F_RDLCK ? 0U : 1U, static_cast<uint64_t>(lock.l_start),
                                      lock.l_len == 0 ? static_cast<uint64_t>(INT64_MAX) : static_cast<uint64_t>(lock.l_start + lock.l_len - 1)};
    }
  }
  return result;
}

}  // namespace kvjury::tools
