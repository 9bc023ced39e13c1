#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fakes/base/descriptor.h"
#include "fakes/objects/object_store.h"

namespace kvjury::objects {

namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

Status SystemError(const std::string& what, const std::string& path) {
  const int code = errno;
  const std::string message = what + " \"" + path + "\": " + std::strerror(code);
  return code == ENOENT || code == ENOTDIR ? Status::NotFound(message) : Status::Environment(message);
}

Status WriteAndSync(const std::string& path, std::string_view bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) {
    return SystemError("cannot create", path);
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return SystemError("cannot write", path);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return ::fsync(file.get()) == 0 ? Status::Ok() : SystemError("cannot sync", path);
}

Status SyncFolder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) {
    return SystemError("cannot sync the folder", path);
  }
  return Status::Ok();
}

bool IsTemporary(const std::string& name) {
  return name.size() >= kTemporarySuffix.size() &&
         std::string_view(name).substr(name.size() - kTemporarySuffix.size()) == kTemporarySuffix;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> DirectoryObjectStore::Open(const std::string& folder, Access access) {
  std::error_code error;
  if (access == Access::kReadWrite) {
    std::filesystem::create_directories(folder, error);
    if (error) {
      return Status::Environment("cannot create the folder \"" + folder + "\": " + error.message());
    }
  }
  if (!std::filesystem::is_directory(folder, error)) {
    return Status::NotFound("\"" + folder + "\" is not a folder");
  }
  return std::unique_ptr<ObjectStore>(new DirectoryObjectStore(folder, access));
}

Status DirectoryObjectStore::CheckWritable(const std::string& name) const {
  RETURN_IF_ERROR(CheckObjectName(name));
  if (access_ == Access::kReadOnly) {
    return Status::InvalidArgument("\"" + folder_ + "\" was opened for reading only");
  }
  if (IsTemporary(name)) {
    return Status::InvalidArgument("an object's name must not end in \".tmp\": \"" + Printable(name) + "\"");
  }
  return Status::Ok();
}

Status DirectoryObjectStore::Put(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckWritable(name));
  const std::string path = PathOf(name);
  const std::string parent = std::filesystem::path(path).parent_path().string();
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) {
    return Status::Environment("cannot create the folder \"" + parent + "\": " + error.message());
  }
  const std::string temporary = path + std::string(kTemporarySuffix);
  RETURN_IF_ERROR(WriteAndSync(temporary, bytes));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return SystemError("cannot rename to", path);
  }
  return SyncFolder(parent);
}

Result<Bytes> DirectoryObjectStore::Get(const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const std::string path = PathOf(name);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    return SystemError("cannot open", path);
  }
  Bytes bytes;
  std::string buffer(size_t{256} << 10, '\0');
  for (;;) {
    const ssize_t read = ::read(file.get(), buffer.data(), buffer.size());
    if (read < 0 && errno == EINTR) {
      continue;
    }
    if (read < 0) {
      return SystemError("cannot read", path);
    }
    if (read == 0) {
      return bytes;
    }
    bytes.append(buffer, 0, static_cast<size_t>(read));
  }
}

Result<ObjectInfo> DirectoryObjectStore::Head(const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  std::error_code error;
  const std::string path = PathOf(name);
  if (!std::filesystem::is_regular_file(path, error)) {
    return Status::NotFound("no file \"" + path + "\"");
  }
  const uint64_t bytes = std::filesystem::file_size(path, error);
  if (error) {
    return Status::Environment("cannot read the length of \"" + path + "\": " + error.message());
  }
  return ObjectInfo{name, bytes};
}

Result<std::vector<ObjectInfo>> DirectoryObjectStore::List(const std::string& prefix) {
  std::vector<ObjectInfo> objects;
  std::error_code error;
  auto entry = std::filesystem::recursive_directory_iterator(folder_, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code entry_error;
    if (!entry->is_regular_file(entry_error)) {
      continue;
    }
    const std::string name = entry->path().lexically_relative(folder_).generic_string();
    if (name.rfind(prefix, 0) != 0 || IsTemporary(name)) {
      continue;
    }
    objects.push_back(ObjectInfo{name, entry->file_size(entry_error)});
  }
  if (error) {
    return Status::Environment("cannot list \"" + folder_ + "\": " + error.message());
  }
  std::sort(objects.begin(), objects.end(),
            [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
  return objects;
}

Status DirectoryObjectStore::Delete(const std::string& name) {
  RETURN_IF_ERROR(CheckWritable(name));
  std::error_code error;
  const std::string path = PathOf(name);
  std::filesystem::remove(path, error);
  if (error) {
    return Status::Environment("cannot delete \"" + path + "\": " + error.message());
  }
  return Status::Ok();
}

}  // namespace kvjury::objects
