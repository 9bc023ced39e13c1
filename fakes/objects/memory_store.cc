#include "fakes/objects/object_store.h"

namespace kvjury::objects {

Status CheckObjectName(const std::string& name) {
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t slash = std::min(name.find('/', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, slash - begin);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string_view::npos) {
      return Status::InvalidArgument("\"" + Printable(name) + "\" is no name of an object: every part between slashes " +
                                     "must be an ordinary file name");
    }
    begin = slash + 1;
  }
  return Status::Ok();
}

Status MemoryObjectStore::Put(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(CheckObjectName(name));
  objects_[name] = Bytes(bytes);
  return Status::Ok();
}

Result<Bytes> MemoryObjectStore::Get(const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  auto found = objects_.find(name);
  if (found == objects_.end()) {
    return Status::NotFound("no object \"" + Printable(name) + "\"");
  }
  return found->second;
}

Result<ObjectInfo> MemoryObjectStore::Head(const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  auto found = objects_.find(name);
  if (found == objects_.end()) {
    return Status::NotFound("no object \"" + Printable(name) + "\"");
  }
  return ObjectInfo{name, found->second.size()};
}

Result<std::vector<ObjectInfo>> MemoryObjectStore::List(const std::string& prefix) {
  std::vector<ObjectInfo> objects;
  for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.rfind(prefix, 0) == 0; ++it) {
    objects.push_back(ObjectInfo{it->first, it->second.size()});
  }
  return objects;
}

Status MemoryObjectStore::Delete(const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  objects_.erase(name);
  return Status::Ok();
}

}  // namespace kvjury::objects
