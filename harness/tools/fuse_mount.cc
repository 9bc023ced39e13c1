#include "harness/tools/fuse_mount.h"

// The one place that sees libfuse's header. Functions are called through FuseLibrary alone: nothing here may need the library to link.
#define FUSE_USE_VERSION 34
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace kvjury::tools {

namespace {

using juicefs::Answer;
using juicefs::DirectoryEntry;
using juicefs::FileStatus;
using juicefs::MountedView;

constexpr char kLibrary[] = "libfuse3.so.3";
constexpr double kKeptFor_s = 86'400;  // by the kernel: what it was told does not change
constexpr int kPollMs = 100;
constexpr size_t kPageEntries = 512;

#define KVJURY_FUSE_FUNCTIONS(F) \
  F(fuse_session_new)            \
  F(fuse_session_mount)          \
  F(fuse_session_unmount)        \
  F(fuse_session_destroy)        \
  F(fuse_session_exited)         \
  F(fuse_session_fd)             \
  F(fuse_session_receive_buf)    \
  F(fuse_session_process_buf)    \
  F(fuse_set_log_func)           \
  F(fuse_opt_free_args)          \
  F(fuse_req_userdata)           \
  F(fuse_reply_err)              \
  F(fuse_reply_entry)            \
  F(fuse_reply_attr)             \
  F(fuse_reply_readlink)         \
  F(fuse_reply_open)             \
  F(fuse_reply_buf)              \
  F(fuse_reply_statfs)           \
  F(fuse_reply_xattr)            \
  F(fuse_add_direntry)           \
  F(fuse_add_direntry_plus)

/// libfuse's functions by their own names. One a process, as the library itself.
struct FuseLibrary {
#define KVJURY_FUSE_MEMBER(name) decltype(&::name) name = nullptr;
  KVJURY_FUSE_FUNCTIONS(KVJURY_FUSE_MEMBER)
#undef KVJURY_FUSE_MEMBER
  /// The last that the library complained of.
  std::string said;

  /// Errors: kEnvironment.
  Status Open() {
    void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      return Status::Environment(fmt::format("{} cannot be opened, which a mount needs: install the package fuse3 (Debian: apt-get install fuse3)", kLibrary));
    }
    const char* missing = nullptr;
    const auto find = [library, &missing](const char* name) {
      void* symbol = ::dlsym(library, name);
      missing = symbol == nullptr ? name : missing;
      return symbol;
    };
#define KVJURY_FUSE_FIND(name) name = reinterpret_cast<decltype(&::name)>(find(#name));
    KVJURY_FUSE_FUNCTIONS(KVJURY_FUSE_FIND)
#undef KVJURY_FUSE_FIND
    return missing == nullptr ? Status::Ok() : Status::Environment(fmt::format("{} has no {}: libfuse 3.14 or newer is needed", kLibrary, missing));
  }
};

FuseLibrary& Fuse() {
  static FuseLibrary library;
  return library;
}

/// What the handlers work on; libfuse keeps it for them.
struct Session {
  MountedView* view = nullptr;
  const FuseMountOptions* options = nullptr;
};

const Session& SessionOf(fuse_req_t request) { return *static_cast<const Session*>(Fuse().fuse_req_userdata(request)); }

MountedView& ViewOf(fuse_req_t request) { return *SessionOf(request).view; }

struct stat StatOf(const FileStatus& status) {
  struct stat out {};
  out.st_ino = status.inode.value();
  out.st_mode = status.mode;
  out.st_nlink = status.nlink;
  out.st_uid = status.uid;
  out.st_gid = status.gid;
  out.st_rdev = status.rdev;
  out.st_size = static_cast<off_t>(status.size);
  out.st_blocks = static_cast<blkcnt_t>(status.blocks);
  out.st_blksize = juicefs::kStatBlockBytes;
  out.st_atim = {status.atime_s, status.atime_ns};
  out.st_mtim = {status.mtime_s, status.mtime_ns};
  out.st_ctim = {status.ctime_s, status.ctime_ns};
  return out;
}

fuse_entry_param EntryOf(const FileStatus& status) {
  fuse_entry_param entry{};
  entry.ino = status.inode.value();
  entry.generation = 1;
  entry.attr = StatOf(status);
  entry.attr_timeout = kKeptFor_s;
  entry.entry_timeout = kKeptFor_s;
  return entry;
}

void Error(fuse_req_t request, int error) { Fuse().fuse_reply_err(request, error); }

void Refuse(fuse_req_t request) { Error(request, EROFS); }

void LookUp(fuse_req_t request, fuse_ino_t directory, const char* name) {
  const Answer<FileStatus> found = ViewOf(request).Lookup(Inode(directory), name);
  if (found.error != 0 && found.error != ENOENT) {
    return Error(request, found.error);
  }
  // Inode 0 says that there is none, which the kernel remembers, too.
  const fuse_entry_param entry = EntryOf(found.error == 0 ? found.value : FileStatus{});
  Fuse().fuse_reply_entry(request, &entry);
}

void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info* /*file*/) {
  const Answer<FileStatus> found = ViewOf(request).Stat(Inode(inode));
  if (found.error != 0) {
    return Error(request, found.error);
  }
  const struct stat status = StatOf(found.value);
  Fuse().fuse_reply_attr(request, &status, kKeptFor_s);
}

void ReadLink(fuse_req_t request, fuse_ino_t inode) {
  const Answer<Bytes> target = ViewOf(request).ReadLink(Inode(inode));
  if (target.error != 0) {
    return Error(request, target.error);
  }
  Fuse().fuse_reply_readlink(request, target.value.c_str());
}

void Open(fuse_req_t request, fuse_ino_t /*inode*/, fuse_file_info* file) {
  if ((file->flags & O_ACCMODE) != O_RDONLY) {
    return Refuse(request);
  }
  file->keep_cache = 1;
  Fuse().fuse_reply_open(request, file);
}

void OpenDirectory(fuse_req_t request, fuse_ino_t /*inode*/, fuse_file_info* file) {
  file->keep_cache = 1;
  file->cache_readdir = 1;
  Fuse().fuse_reply_open(request, file);
}

void Read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info* /*file*/) {
  const Answer<Bytes> bytes = ViewOf(request).Read(Inode(inode), static_cast<uint64_t>(offset), size);
  if (bytes.error != 0) {
    if (const Session& session = SessionOf(request); bytes.error == EIO && session.options->on_failed_read) {
      session.options->on_failed_read(session.view->last_failure().message());
    }
    return Error(request, bytes.error);
  }
  Fuse().fuse_reply_buf(request, bytes.value.data(), bytes.value.size());
}

/// As many entries as fit into what the kernel has room for; `with_attributes` answers each one's look-up as well.
void ListDirectory(fuse_req_t request, fuse_ino_t directory, size_t size, off_t offset, bool with_attributes) {
  std::vector<char> room(size);
  size_t used = 0;
  auto cursor = static_cast<uint64_t>(offset);
  for (bool is_full = false; !is_full;) {
    const Answer<std::vector<DirectoryEntry>> page = ViewOf(request).ReadDirectory(Inode(directory), cursor, kPageEntries);
    if (page.error != 0) {
      return Error(request, page.error);
    }
    is_full = page.value.empty();
    for (const DirectoryEntry& entry : page.value) {
      const auto next = static_cast<off_t>(entry.cursor);
      size_t needed = 0;
      if (with_attributes) {
        // "." and ".." are never looked up: the kernel takes their attributes from elsewhere.
        const bool is_dots = entry.name == "." || entry.name == "..";
        const Answer<FileStatus> found = is_dots ? Answer<FileStatus>{ENOENT, {}} : ViewOf(request).Lookup(Inode(directory), entry.name);
        fuse_entry_param full = EntryOf(found.error == 0 ? found.value : FileStatus{});
        if (found.error != 0) {
          full.attr.st_ino = entry.inode.value();
          full.attr.st_mode = entry.mode;
        }
        needed = Fuse().fuse_add_direntry_plus(request, room.data() + used, size - used, entry.name.c_str(), &full, next);
      } else {
        struct stat status {};
        status.st_ino = entry.inode.value();
        status.st_mode = entry.mode;
        needed = Fuse().fuse_add_direntry(request, room.data() + used, size - used, entry.name.c_str(), &status, next);
      }
      if (needed > size - used) {
        is_full = true;
        break;
      }
      used += needed;
      cursor = entry.cursor;
    }
  }
  Fuse().fuse_reply_buf(request, room.data(), used);
}

void ReadDirectory(fuse_req_t request, fuse_ino_t directory, size_t size, off_t offset, fuse_file_info* /*file*/) {
  ListDirectory(request, directory, size, offset, false);
}

void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t directory, size_t size, off_t offset, fuse_file_info* /*file*/) {
  ListDirectory(request, directory, size, offset, true);
}

void StatFileSystem(fuse_req_t request, fuse_ino_t inode) {
  const juicefs::StatFs statfs = ViewOf(request).StatFileSystem(Inode(inode == 0 ? FUSE_ROOT_ID : inode));
  constexpr uint64_t kBlockBytes = 4096;
  struct statvfs out {};
  out.f_bsize = kBlockBytes;
  out.f_frsize = kBlockBytes;
  out.f_blocks = std::max<uint64_t>(statfs.total_bytes / kBlockBytes, 1);
  out.f_bfree = out.f_bavail = statfs.available_bytes / kBlockBytes;
  out.f_files = statfs.used_inodes + statfs.available_inodes;
  out.f_ffree = out.f_favail = statfs.available_inodes;
  out.f_namemax = juicefs::kNameBytesMax;
  Fuse().fuse_reply_statfs(request, &out);
}

/// Size 0 asks how much there is.
void ReplyXattr(fuse_req_t request, const Bytes& bytes, size_t size) {
  if (size == 0) {
    Fuse().fuse_reply_xattr(request, bytes.size());
  } else if (bytes.size() > size) {
    Fuse().fuse_reply_err(request, ERANGE);
  } else {
    Fuse().fuse_reply_buf(request, bytes.data(), bytes.size());
  }
}

void GetXattr(fuse_req_t request, fuse_ino_t inode, const char* name, size_t size) {
  const Answer<Bytes> value = ViewOf(request).GetXattr(Inode(inode), name);
  return value.error != 0 ? Error(request, value.error) : ReplyXattr(request, value.value, size);
}

void ListXattrs(fuse_req_t request, fuse_ino_t inode, size_t size) {
  const Answer<std::vector<Bytes>> names = ViewOf(request).ListXattrs(Inode(inode));
  if (names.error != 0) {
    return Error(request, names.error);
  }
  Bytes list;
  for (const Bytes& name : names.value) {
    list += name + '\0';
  }
  ReplyXattr(request, list, size);
}

/// The kernel checks access lists itself, and reads directories with their attributes.
void Initialise(void* /*session*/, fuse_conn_info* connection) {
  connection->want |= connection->capable & (FUSE_CAP_POSIX_ACL | FUSE_CAP_CACHE_SYMLINKS);
}

fuse_lowlevel_ops Handlers() {
  fuse_lowlevel_ops handlers{};
  handlers.init = Initialise;
  handlers.lookup = LookUp;
  handlers.getattr = GetAttributes;
  handlers.readlink = ReadLink;
  handlers.open = Open;
  handlers.read = Read;
  handlers.opendir = OpenDirectory;
  handlers.readdir = ReadDirectory;
  handlers.readdirplus = ReadDirectoryPlus;
  handlers.statfs = StatFileSystem;
  handlers.getxattr = GetXattr;
  handlers.listxattr = ListXattrs;
  // A read-only mount gets none of these; one that somebody mounted again for writing does.
  handlers.setattr = [](fuse_req_t request, fuse_ino_t, struct stat*, int, fuse_file_info*) { Refuse(request); };
  handlers.mknod = [](fuse_req_t request, fuse_ino_t, const char*, mode_t, dev_t) { Refuse(request); };
  handlers.mkdir = [](fuse_req_t request, fuse_ino_t, const char*, mode_t) { Refuse(request); };
  handlers.unlink = [](fuse_req_t request, fuse_ino_t, const char*) { Refuse(request); };
  handlers.rmdir = [](fuse_req_t request, fuse_ino_t, const char*) { Refuse(request); };
  handlers.symlink = [](fuse_req_t request, const char*, fuse_ino_t, const char*) { Refuse(request); };
  handlers.rename = [](fuse_req_t request, fuse_ino_t, const char*, fuse_ino_t, const char*, unsigned) { Refuse(request); };
  handlers.link = [](fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) { Refuse(request); };
  handlers.create = [](fuse_req_t request, fuse_ino_t, const char*, mode_t, fuse_file_info*) { Refuse(request); };
  handlers.setxattr = [](fuse_req_t request, fuse_ino_t, const char*, const char*, size_t, int) { Refuse(request); };
  handlers.removexattr = [](fuse_req_t request, fuse_ino_t, const char*) { Refuse(request); };
  return handlers;
}

/// ',' and '\\' would end an option.
std::string EscapeOption(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    escaped += c == ',' || c == '\\' ? std::string{'\\', c} : std::string{c};
  }
  return escaped;
}

void KeepLog(fuse_log_level level, const char* format, va_list arguments) {
  if (level <= FUSE_LOG_ERR) {
    std::array<char, 500> line{};
    std::vsnprintf(line.data(), line.size(), format, arguments);
    Fuse().said = line.data();
    Fuse().said.erase(Fuse().said.find_last_not_of("\n") + 1);
  }
}

/// A session of libfuse from its making to its end, mounted in between.
class FuseSession {
 public:
  FuseSession(Session* session, const FuseMountOptions& options) : options_(options) {
    const std::string words = "ro,nosuid,nodev,default_permissions,subtype=kvjury,fsname=" + EscapeOption(options.source) +
                              (::geteuid() == 0 ? ",allow_other" : "");
    std::array<std::string, 3> arguments = {"kvjury", "-o", words};
    std::array<char*, 4> pointers = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
    fuse_args args = FUSE_ARGS_INIT(3, pointers.data());
    const fuse_lowlevel_ops handlers = Handlers();
    session_ = Fuse().fuse_session_new(&args, &handlers, sizeof(handlers), session);
    Fuse().fuse_opt_free_args(&args);
  }
  FuseSession(const FuseSession&) = delete;
  FuseSession& operator=(const FuseSession&) = delete;
  ~FuseSession() {
    if (is_mounted_) {
      Fuse().fuse_session_unmount(session_);
    }
    if (session_ != nullptr) {
      Fuse().fuse_session_destroy(session_);
    }
    std::free(buffer_.mem);
  }

  Status Mount() {
    Fuse().said.clear();
    is_mounted_ = session_ != nullptr && Fuse().fuse_session_mount(session_, std::filesystem::absolute(options_.folder).c_str()) == 0;
    if (!is_mounted_) {
      return Status::Environment(options_.folder + ": it cannot be mounted: " + (Fuse().said.empty() ? "libfuse does not say why" : Fuse().said));
    }
    // Requests may be withdrawn between poll and read, which must not wait for the next one then.
    const int descriptor = Fuse().fuse_session_fd(session_);
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    return Status::Ok();
  }

  void Serve() {
    pollfd waiting = {Fuse().fuse_session_fd(session_), POLLIN, 0};
    while (Fuse().fuse_session_exited(session_) == 0 && !(options_.stopping && options_.stopping())) {
      if (::poll(&waiting, 1, kPollMs) > 0 && Fuse().fuse_session_receive_buf(session_, &buffer_) > 0) {
        Fuse().fuse_session_process_buf(session_, &buffer_);
      }
    }
  }

 private:
  const FuseMountOptions& options_;
  fuse_session* session_ = nullptr;
  bool is_mounted_ = false;
  fuse_buf buffer_{};
};

Status CheckFolder(const std::string& folder) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(folder, error);
  if (error || !is_folder) {
    return Status::InvalidArgument(fmt::format("{}: a mount needs an empty folder, and this is {}", Printable(folder),
                                               error && error != std::errc::no_such_file_or_directory ? "none that can be looked into: " + error.message()
                                               : std::filesystem::exists(folder, error)              ? std::string("no folder")
                                                                                                     : std::string("nothing that exists")));
  }
  const bool is_empty = std::filesystem::is_empty(folder, error);
  if (error || !is_empty) {
    return Status::InvalidArgument(fmt::format("{}: a mount needs an empty folder, and this one {}", Printable(folder),
                                               error ? "cannot be read: " + error.message() : std::string("is not empty")));
  }
  return Status::Ok();
}

}  // namespace

Status CheckMountable(const std::string& folder) {
  RETURN_IF_ERROR(CheckFolder(folder));
  RETURN_IF_ERROR(Fuse().Open());
  if (::access("/dev/fuse", F_OK) != 0) {
    return Status::Environment("/dev/fuse is not there, which a mount needs: load the kernel's module fuse, or give a container that device");
  }
  return Status::Ok();
}

Status ServeMount(MountedView* view, const FuseMountOptions& options) {
  RETURN_IF_ERROR(CheckMountable(options.folder));
  Fuse().fuse_set_log_func(KeepLog);
  Session session = {view, &options};
  FuseSession mounted(&session, options);
  RETURN_IF_ERROR(mounted.Mount());
  if (options.on_mounted) {
    options.on_mounted();
  }
  mounted.Serve();
  return Status::Ok();
}

}  // namespace kvjury::tools
