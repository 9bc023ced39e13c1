#include "harness/juicefs/volume_objects.h"

#include <fmt/format.h>
#include <lz4.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "fakes/base/compress.h"
#include "harness/juicefs/block_name.h"

namespace kvjury::juicefs {

namespace {

constexpr uint64_t kCachedBytesMax = uint64_t{64} << 20;
constexpr size_t kSlicesAskedForMax = 16;
constexpr int64_t kBlockKibMax = 64 << 10;  // a chunk: no block can be larger

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return text;
}

Status CheckReadable(const Format& format) {
  if (!format.encrypt_key.empty()) {
    return Status::Unsupported("the volume's objects are encrypted (EncryptKey), which is not read; without the bucket names and attributes are shown");
  }
  if (format.shards > 1) {
    return Status::Unsupported(fmt::format("the volume's objects are spread over {} buckets (Shards), which is not read", format.shards));
  }
  const std::string compression = Lower(format.compression);
  if (!compression.empty() && compression != "none" && compression != "lz4" && compression != "zstd") {
    return Status::Unsupported("the volume's objects have the unknown compression \"" + Printable(format.compression) + "\"");
  }
  if (format.block_size_kib < 1 || format.block_size_kib > kBlockKibMax) {
    return Status::DataLoss(fmt::format("the setting's BlockSize of {} KiB is none that a volume has", format.block_size_kib));
  }
  return Status::Ok();
}

/// The first slices of the volume, each once.
std::set<SliceName> SomeSlices(const VolumeImage& image) {
  std::set<SliceName> slices;
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const SliceRecord& record : records) {
        if (record.id != 0 && record.size != 0) {
          slices.insert({record.id, record.size});
        }
        if (slices.size() == kSlicesAskedForMax) {
          return slices;
        }
      }
    }
  }
  return slices;
}

}  // namespace

std::string BlockObjectName(const Format& format, SliceName slice, uint32_t block) {
  const uint64_t block_bytes_max = static_cast<uint64_t>(format.block_size_kib) * 1024;
  const uint64_t begin = block * block_bytes_max;
  CHECK_LT(begin, slice.size);
  const uint64_t bytes = std::min(block_bytes_max, slice.size - begin);
  return "chunks/" + BlockName(format.hash_prefix, slice.id, block, bytes);
}

Result<std::unique_ptr<VolumeObjects>> VolumeObjects::Open(const VolumeImage& image, std::unique_ptr<objects::ObjectStore> bucket) {
  CHECK(image.setting.has_value());
  RETURN_IF_ERROR(CheckReadable(image.setting->format));
  std::unique_ptr<VolumeObjects> opened(new VolumeObjects(image.setting->format, std::move(bucket)));
  RETURN_IF_ERROR(opened->FindFolder(image));
  return opened;
}

Status VolumeObjects::FindFolder(const VolumeImage& image) {
  const std::string named = format_.name.empty() ? "" : format_.name + "/";
  folder_ = named;
  const std::set<SliceName> slices = SomeSlices(image);
  for (const SliceName& slice : slices) {
    for (const std::string& folder : {named, std::string()}) {
      const Result<objects::ObjectInfo> found = bucket_->Head(folder + BlockObjectName(format_, slice, 0));
      if (found.ok()) {
        folder_ = folder;
        return Status::Ok();
      }
      if (found.status().code() != StatusCode::kNotFound) {
        return found.error();
      }
    }
  }
  if (!slices.empty()) {
    warning_ = fmt::format("{} holds none of the first {} objects of volume \"{}\", neither below {} nor below chunks/", bucket_->description(),
                           slices.size(), Printable(format_.name), Printable(named) + "chunks/");
  }
  return Status::Ok();
}

Result<Bytes> VolumeObjects::Read(SliceName slice, uint64_t offset, uint64_t length) {
  if (offset > slice.size || length > slice.size - offset) {
    return Status::DataLoss(fmt::format("slice {} of {} bytes is asked for {} bytes at {}", slice.id, slice.size, length, offset));
  }
  const uint64_t block_bytes_max = static_cast<uint64_t>(format_.block_size_kib) * 1024;
  Bytes bytes;
  bytes.reserve(length);
  while (bytes.size() < length) {
    const uint64_t at = offset + bytes.size();
    const Result<const Bytes*> block = Block(slice, static_cast<uint32_t>(at / block_bytes_max));
    if (!block.ok()) {
      return block.error();
    }
    bytes += (*block)->substr(at % block_bytes_max, length - bytes.size());
  }
  return bytes;
}

Result<const Bytes*> VolumeObjects::Block(SliceName slice, uint32_t block) {
  const std::string name = folder_ + BlockObjectName(format_, slice, block);
  const auto cached = std::find_if(cached_.begin(), cached_.end(), [&name](const auto& entry) { return entry.first == name; });
  if (cached != cached_.end()) {
    cached_.splice(cached_.begin(), cached_, cached);
    return &cached_.front().second;
  }
  const Result<Bytes> object = bucket_->Get(name);
  if (!object.ok()) {
    return object.error().WithContext("object " + Printable(name));
  }
  const uint64_t block_bytes_max = static_cast<uint64_t>(format_.block_size_kib) * 1024;
  Result<Bytes> bytes = Decompress(*object, std::min<uint64_t>(block_bytes_max, slice.size - block * block_bytes_max));
  if (!bytes.ok()) {
    return bytes.error().WithContext("object " + Printable(name));
  }
  cached_bytes_ += bytes->size();
  cached_.emplace_front(name, *std::move(bytes));
  while (cached_bytes_ > kCachedBytesMax && cached_.size() > 1) {
    cached_bytes_ -= cached_.back().second.size();
    cached_.pop_back();
  }
  return &cached_.front().second;
}

Result<Bytes> VolumeObjects::Decompress(const Bytes& object, size_t block_bytes) const {
  const std::string compression = Lower(format_.compression);
  Bytes bytes;
  if (compression == "zstd") {
    ASSIGN_OR_RETURN(bytes, ZstdDecompress(object, block_bytes));
  } else if (compression == "lz4") {
    bytes.resize(block_bytes);
    const int got = object.size() > INT32_MAX ? -1
                                              : LZ4_decompress_safe(object.data(), bytes.data(), static_cast<int>(object.size()),
                                                                    static_cast<int>(block_bytes));
    bytes.resize(static_cast<size_t>(std::max(got, 0)));
  } else {
    bytes = object.substr(0, block_bytes);  // what is more is not asked for, as the real client does it
  }
  if (bytes.size() != block_bytes) {
    return Status::DataLoss(fmt::format("{} of {} bytes could be read from it", bytes.size(), block_bytes));
  }
  return bytes;
}

}  // namespace kvjury::juicefs
