#include "harness/tools/mount_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include "fakes/base/descriptor.h"
#include "fakes/base/digest.h"

namespace kvjury::tools {

namespace {

using juicefs::ViewEntry;

constexpr uint64_t kProgressEvery = 1'000;
constexpr size_t kReadBytes = size_t{1} << 20;
constexpr std::array kOwnFiles = {".accesslog", ".config", ".stats", ".control"};

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

class Walk {
 public:
  Walk(std::string root, const WalkOptions& options) : root_(std::move(root)), options_(options) {}

  Result<WalkedMount> Run() {
    RETURN_IF_ERROR(Visit("."));
    if (folders_.empty()) {
      return Status::NotFound(root_ + ": no such folder");
    }
    struct stat status {};
    if (::lstat((root_ + "/" + juicefs::kTrashName).c_str(), &status) == 0) {
      RETURN_IF_ERROR(Visit(juicefs::kTrashName));
    }
    while (!folders_.empty()) {
      const Bytes path = *folders_.begin();
      folders_.erase(folders_.begin());
      RETURN_IF_ERROR(VisitFolder(path));
    }
    if (!xattrs_are_shown_) {
      walked_.warnings.push_back("the mount shows no extended attributes; mount with --enable-xattr to compare them");
    }
    if (walked_.view.entries.at(".").inode != juicefs::kRootInode) {
      walked_.warnings.push_back(root_ + " is not the root of a mounted volume");
    }
    walked_.view.IndexInodes();
    return std::move(walked_);
  }

 private:
  Status VisitFolder(const Bytes& path) {
    DIR* folder = ::opendir(NameOf(path).c_str());
    if (folder == nullptr) {
      return Failed(path);
    }
    std::vector<Bytes> names;
    errno = 0;
    for (const dirent* entry = nullptr; (entry = ::readdir(folder)) != nullptr;) {
      names.emplace_back(entry->d_name);
    }
    const int error = errno;
    ::closedir(folder);
    errno = error;
    if (error != 0) {
      return Failed(path);
    }
    for (const Bytes& name : names) {
      if (name != "." && name != ".." && !(path == "." && IsOwn(name))) {
        RETURN_IF_ERROR(Visit(path == "." ? name : path + "/" + name));
      }
    }
    return Status::Ok();
  }

  static bool IsOwn(const Bytes& name) {
    return name == juicefs::kTrashName || std::find(kOwnFiles.begin(), kOwnFiles.end(), name) != kOwnFiles.end();
  }

  Status Visit(const Bytes& path) {
    if (root_.size() + 1 + path.size() >= PATH_MAX) {
      return Status::Unsupported(root_ + ": the path of " + Printable(path.substr(0, 60)) + "... is longer than a program can name");
    }
    const std::string name = NameOf(path);
    struct stat status {};
    if (::lstat(name.c_str(), &status) != 0) {
      return Failed(path);
    }
    ViewEntry entry;
    entry.inode = Inode(status.st_ino);
    entry.mode = status.st_mode;
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    entry.rdev = status.st_rdev;
    entry.size = static_cast<uint64_t>(status.st_size);
    entry.nlink = static_cast<uint32_t>(status.st_nlink);
    entry.atime_ns = Nanoseconds(status.st_atim);
    entry.mtime_ns = Nanoseconds(status.st_mtim);
    entry.ctime_ns = Nanoseconds(status.st_ctim);
    if (S_ISLNK(status.st_mode)) {
      RETURN_IF_ERROR(ReadTarget(path, &entry));
    } else {
      RETURN_IF_ERROR(ReadXattrs(path, &entry));
    }
    if (S_ISREG(status.st_mode) && options_.read_contents && entry.size <= options_.content_bytes_max && IsBelow(path)) {
      RETURN_IF_ERROR(ReadContent(path, &entry));
    }
    if (S_ISDIR(status.st_mode)) {
      folders_.insert(path);
    }
    walked_.view.entries.emplace(path, std::move(entry));
    if (options_.on_progress && walked_.view.entries.size() % kProgressEvery == 0) {
      options_.on_progress(walked_.view.entries.size());
    }
    return Status::Ok();
  }

  [[nodiscard]] bool IsBelow(const Bytes& path) const {
    const std::string& folder = options_.contents_below;
    return folder.empty() || (path.size() > folder.size() && path[folder.size()] == '/' && path.compare(0, folder.size(), folder) == 0);
  }

  Status ReadTarget(const Bytes& path, ViewEntry* entry) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlink(NameOf(path).c_str(), target.data(), target.size());
    if (size < 0) {
      return Failed(path);
    }
    entry->target = Bytes(target.data(), static_cast<size_t>(size));
    return Status::Ok();
  }

  Status ReadXattrs(const Bytes& path, ViewEntry* entry) {
    const std::string name = NameOf(path);
    const ssize_t size = ::llistxattr(name.c_str(), xattr_names_.data(), xattr_names_.size());
    if (size < 0) {
      // juicefs's answer for what it made up, the trash and its folders.
      if (errno == ENODATA || path == juicefs::kTrashName) {
        return Status::Ok();
      }
      if (errno == ENOTSUP || errno == ENOSYS) {
        xattrs_are_shown_ = false;
        return Status::Ok();
      }
      return Failed(path);
    }
    for (const char* at = xattr_names_.data(); at < xattr_names_.data() + size; at += std::strlen(at) + 1) {
      const ssize_t got = ::lgetxattr(name.c_str(), at, xattr_value_.data(), xattr_value_.size());
      if (got < 0 && errno == ENODATA && StillLists(name, at)) {
        // juicefs on TiKV shows an empty value so: it cannot store one, and another engine's volume may hold it.
        walked_.warnings.push_back(Printable(path) + ": the extended attribute " + Printable(at) + " is listed and has no value");
        continue;
      }
      if (got < 0) {
        return Failed(path);
      }
      entry->xattrs[at] = Bytes(xattr_value_.data(), static_cast<size_t>(got));
    }
    return Status::Ok();
  }

  [[nodiscard]] static bool StillLists(const std::string& file, const std::string& name) {
    std::vector<char> names(XATTR_LIST_MAX);
    const ssize_t size = ::llistxattr(file.c_str(), names.data(), names.size());
    for (const char* at = names.data(); at < names.data() + size; at += std::strlen(at) + 1) {
      if (at == name) {
        return true;
      }
    }
    return false;
  }

  Status ReadContent(const Bytes& path, ViewEntry* entry) {
    const std::string name = NameOf(path);
    int number = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOATIME | O_NONBLOCK);
    number = number < 0 && errno == EPERM ? ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK) : number;
    const Descriptor file(number);
    Sha256Stream digest;
    Bytes block(kReadBytes, '\0');
    for (ssize_t got = 1; got != 0;) {
      got = file.get() < 0 ? -1 : ::read(file.get(), block.data(), block.size());
      if (got < 0) {
        return Failed(path);
      }
      digest.Add(std::string_view(block).substr(0, static_cast<size_t>(got)));
    }
    entry->sha256 = ToHex(digest.Finish());
    return Status::Ok();
  }

  [[nodiscard]] std::string NameOf(const Bytes& path) const { return path == "." ? root_ : root_ + "/" + path; }

  // By errno.
  [[nodiscard]] Status Failed(const Bytes& path) const {
    const int error = errno;
    const std::string where = fmt::format("{}: {}: {}", root_, Printable(path), std::strerror(error));
    if (path == "." && (error == ENOENT || error == ENOTDIR)) {
      return Status::NotFound(fmt::format("{}: no such folder", root_));
    }
    return error == ENOENT || error == ESTALE || error == ENODATA ? Status::Undetermined(where + "; it changed while it was read")
                                                                   : Status::Environment(where);
  }

  std::string root_;
  const WalkOptions& options_;
  WalkedMount walked_;
  std::set<Bytes> folders_;  // still to be read
  std::vector<char> xattr_names_ = std::vector<char>(XATTR_LIST_MAX);
  std::vector<char> xattr_value_ = std::vector<char>(XATTR_SIZE_MAX);
  bool xattrs_are_shown_ = true;
};

}  // namespace

Result<WalkedMount> WalkMount(const std::string& folder, const WalkOptions& options) {
  std::string root = folder;
  while (root.size() > 1 && root.back() == '/') {
    root.pop_back();
  }
  return Walk(root, options).Run();
}

}  // namespace kvjury::tools
