#include "harness/explore/bucket.h"

#include <set>

#include "fakes/base/digest.h"

namespace kvjury::explore {

Bytes VolumeBucket::ContentOf(const std::string& name, const Object& object) {
  if (object.content != nullptr) {
    return *object.content;
  }
  Bytes bytes(object.bytes, '\0');
  uint64_t word = Hash64(name);
  for (size_t i = 0; i < bytes.size(); ++i) {
    word = i % 8 == 0 ? word * 6364136223846793005ULL + 1442695040888963407ULL : word >> 8;
    bytes[i] = static_cast<char>(word >> 56);
  }
  return bytes;
}

Status VolumeBucket::Put(const std::string& name, std::string_view bytes) {
  RETURN_IF_ERROR(objects::CheckObjectName(name));
  const auto [at, added] = objects_.try_emplace(name);
  if (!added && (at->second.bytes != bytes.size() || ContentOf(name, at->second) != bytes)) {
    replaced_.push_back(name);
  }
  at->second = Object{bytes.size(), std::make_shared<const Bytes>(bytes)};
  deleted_.erase(name);
  return Status::Ok();
}

Result<Bytes> VolumeBucket::Get(const std::string& name) {
  RETURN_IF_ERROR(objects::CheckObjectName(name));
  const auto found = objects_.find(name);
  if (found == objects_.end()) {
    return Status::NotFound("no object \"" + Printable(name) + "\"");
  }
  return ContentOf(name, found->second);
}

Result<objects::ObjectInfo> VolumeBucket::Head(const std::string& name) {
  RETURN_IF_ERROR(objects::CheckObjectName(name));
  const auto found = objects_.find(name);
  if (found == objects_.end()) {
    return Status::NotFound("no object \"" + Printable(name) + "\"");
  }
  return objects::ObjectInfo{name, found->second.bytes};
}

Result<std::vector<objects::ObjectInfo>> VolumeBucket::List(const std::string& prefix) {
  std::vector<objects::ObjectInfo> objects;
  for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.rfind(prefix, 0) == 0; ++it) {
    objects.push_back({it->first, it->second.bytes});
  }
  return objects;
}

Status VolumeBucket::Delete(const std::string& name) {
  RETURN_IF_ERROR(objects::CheckObjectName(name));
  const auto found = objects_.find(name);
  if (found != objects_.end()) {
    deleted_[name] = Deletion{std::move(found->second), scheduler_->now_us()};
    objects_.erase(found);
  }
  return Status::Ok();
}

uint64_t VolumeBucket::BringBack(Micros since_us) {
  uint64_t count = 0;
  for (auto it = deleted_.begin(); it != deleted_.end();) {
    if (it->second.at_us < since_us) {
      ++it;
      continue;
    }
    objects_[it->first] = std::move(it->second.object);
    it = deleted_.erase(it);
    ++count;
  }
  return count;
}

std::unique_ptr<VolumeBucket> VolumeBucket::Copy() const {
  auto copy = std::make_unique<VolumeBucket>(scheduler_);
  copy->objects_ = objects_;
  return copy;
}

std::map<std::string, uint64_t> VolumeBucket::Sizes() const {
  std::map<std::string, uint64_t> sizes;
  for (const auto& [name, object] : objects_) {
    sizes.emplace_hint(sizes.end(), name, object.bytes);
  }
  return sizes;
}

juicefs::BlockLayout LayoutOf(const juicefs::Format& format) {
  juicefs::BlockLayout layout;
  layout.volume_name = format.name;
  layout.hash_prefix = format.hash_prefix;
  if (format.block_size_kib > 0) {
    layout.block_bytes = static_cast<uint32_t>(format.block_size_kib * 1024);
  }
  return layout;
}

void FillBucket(const juicefs::VolumeImage& image, VolumeBucket* bucket) {
  CHECK(image.setting.has_value()) << "a volume has a setting";
  const juicefs::BlockLayout layout = LayoutOf(image.setting->format);
  for (const juicefs::SliceName& slice : juicefs::SlicesOf(image)) {
    for (const juicefs::SliceBlock& block : juicefs::BlocksOfSlice(layout, slice.id, slice.size)) {
      bucket->AddPattern(block.name, block.bytes);
    }
  }
}

}  // namespace kvjury::explore
