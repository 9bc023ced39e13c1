#include "harness/tools/mount_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fakes/base/digest.h"
#include "fakes/base/random.h"

namespace kvjury::tools {
namespace {

constexpr uint64_t kFolders = 6;
constexpr uint64_t kNames = 40;
constexpr size_t kBytesMax = 20'000;

class MountWriter {
 public:
  explicit MountWriter(const MountWriting& writing)
      : writing_(writing), random_(Mix64(writing.seed, writing.writer)), root_(writing.folder + "/" + kWritersFolder) {}
  MountWriter(const MountWriter&) = delete;
  MountWriter& operator=(const MountWriter&) = delete;
  ~MountWriter() {
    if (counts_ >= 0) {
      close(counts_);
    }
  }

  Result<MountWritten> Run() {
    if (!writing_.count_file.empty()) {
      counts_ = open(writing_.count_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    }
    Do("mkdir", root_, mkdir(root_.c_str(), 0755));
    for (uint64_t i = 0; i < kFolders; ++i) {
      const std::string folder = fmt::format("{}/d{}", root_, i);
      Do("mkdir", folder, mkdir(folder.c_str(), 0755));
    }
    while (failure_.ok() && !(writing_.stop && writing_.stop()) && (writing_.operations_max == 0 || done_.operations < writing_.operations_max)) {
      Step();
      ++done_.operations;
      if (counts_ >= 0) {
        static_cast<void>(pwrite(counts_, &done_.operations, sizeof done_.operations, 0));
      }
    }
    RETURN_IF_ERROR(failure_);
    return done_;
  }

 private:
  [[nodiscard]] std::string Path() {
    const uint64_t folder = random_.Below(kFolders);
    const uint64_t name = random_.Below(kNames);
    // A third of the names belong to all writers.
    return name % 3 == 0 ? fmt::format("{}/d{}/shared{}", root_, folder, name) : fmt::format("{}/d{}/w{}-{}", root_, folder, writing_.writer, name);
  }

  void Do(const char* what, const std::string& path, int code) {
    if (code == 0) {
      return;
    }
    switch (errno) {
      case ENOENT:
      case EEXIST:
      case ENOTDIR:
      case EISDIR:
      case ENOTEMPTY:
      case EINVAL:
      case ELOOP:
      case ENODATA:
      case EBUSY:
      case EPERM:
        ++done_.refused;
        return;
      default:
        failure_ = failure_.ok() ? Status::Environment(fmt::format("{} {}: {}", what, path, std::strerror(errno))) : failure_;
    }
  }

  void Write(const std::string& path, int flags) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
    if (file < 0) {
      Do("open", path, -1);
      return;
    }
    const size_t size = random_.Below(4) == 0 ? 0 : random_.Below(kBytesMax) + 1;
    std::string bytes(size, static_cast<char>('a' + random_.Below(26)));
    for (size_t at = 0; at < bytes.size(); at += 64) {
      bytes[at] = static_cast<char>(random_.Below(256));
    }
    Do("write", path, size == 0 || pwrite(file, bytes.data(), size, flags == 0 ? static_cast<off_t>(random_.Below(kBytesMax)) : 0) ==
                                       static_cast<ssize_t>(size) ? 0 : -1);
    Do("close", path, close(file));
  }

  void Step() {
    const std::string path = Path();
    switch (random_.Below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Write(path, O_TRUNC);
      case 4:
        return Write(path, O_APPEND);
      case 5:
        return Write(path, 0);
      case 6:
      case 7:
      case 8: {
        const std::string to = Path();
        return Do("rename", to, rename(path.c_str(), to.c_str()));
      }
      case 9: {
        const std::string to = Path();
        return Do("link", to, link(path.c_str(), to.c_str()));
      }
      case 10:
        return Do("symlink", path, symlink(fmt::format("../d{}/target{}", random_.Below(kFolders), random_.Below(kNames)).c_str(), path.c_str()));
      case 11:
        return Do("unlink", path, unlink(path.c_str()));
      case 12:
        return Do("chmod", path, fchmodat(AT_FDCWD, path.c_str(), static_cast<mode_t>(0600 | random_.Below(0100)), 0));
      case 13:
        return Do("truncate", path, truncate(path.c_str(), static_cast<off_t>(random_.Below(kBytesMax))));
      case 14:
        return Do("setxattr", path, lsetxattr(path.c_str(), "user.drill", path.data(), random_.Below(path.size()) + 1, 0));
      default: {
        const std::string folder = path + ".d";
        return Do("folder", folder, random_.Below(2) == 0 ? mkdir(folder.c_str(), 0755) : rmdir(folder.c_str()));
      }
    }
  }

  const MountWriting& writing_;
  RandomStream random_;
  std::string root_;
  int counts_ = -1;
  MountWritten done_;
  Status failure_;
};

}  // namespace

Result<MountWritten> WriteToMount(const MountWriting& writing) { return MountWriter(writing).Run(); }

uint64_t OperationsDone(const std::string& count_file) {
  uint64_t count = 0;
  const int file = open(count_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    const bool whole = pread(file, &count, sizeof count, 0) == sizeof count;
    close(file);
    return whole ? count : 0;
  }
  return 0;
}

}  // namespace kvjury::tools
