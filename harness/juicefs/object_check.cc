#include "harness/juicefs/object_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "harness/juicefs/block_name.h"
#include "harness/juicefs/view.h"

namespace kvjury::juicefs {

namespace {

constexpr uint64_t kKib = 1024;

using Slices = std::map<Inode, std::vector<SliceName>>;

Slices SlicesOf(const VolumeImage& image) {
  Slices slices;
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const SliceRecord& record : records) {
        if (record.id != 0) {
          slices[inode].push_back({record.id, record.size});
        }
      }
    }
  }
  if (image.setting->format.trash_days > 0) {
    for (const auto& [when, delayed] : image.delayed_slices) {
      std::vector<SliceName>& kept = slices[kRootInode];
      kept.insert(kept.end(), delayed.begin(), delayed.end());
    }
  }
  return slices;
}

/// What stands behind the last '/' of an object whose name has the depth of a block's; empty otherwise.
std::string_view NameOfBlock(const std::string& object) {
  return std::count(object.begin(), object.end(), '/') == 2 ? std::string_view(object).substr(object.rfind('/') + 1) : std::string_view();
}

class Checker {
 public:
  Checker(const VolumeImage& image, const std::map<std::string, uint64_t>& objects)
      : image_(image), format_(image.setting->format), block_bytes_(std::max<uint64_t>(static_cast<uint64_t>(format_.block_size_kib) * kKib, 1)) {
    for (const auto& [object, bytes] : objects) {
      if (const std::string_view name = NameOfBlock(object); !name.empty()) {
        found_[std::string(name)] = {object, bytes, false};
        ++check_.blocks_found;
        check_.block_bytes_found += bytes;
      }
    }
  }

  ObjectCheck Run() {
    std::set<Inode> deleted;
    for (const auto& [file, seconds] : image_.deleted_files) {
      deleted.insert(file.first);
    }
    for (const auto& [inode, slices] : SlicesOf(image_)) {
      const bool skipped = deleted.count(inode) != 0;
      check_.files_skipped += skipped ? 1 : 0;
      for (const SliceName& slice : slices) {
        CheckSlice(inode, slice, skipped);
      }
    }
    // Slices whose last reference went and whose blocks wait for their deletion are nobody's leak.
    for (const auto& [slice, extra] : image_.slice_references) {
      if (extra < 0) {
        CheckSlice(Inode(), slice, true);
        --check_.slices_skipped;
      }
    }
    FindSurplus();
    return std::move(check_);
  }

 private:
  struct Found {
    std::string object;
    uint64_t bytes = 0;
    bool used = false;
  };

  void CheckSlice(Inode inode, const SliceName& slice, bool skipped) {
    for (uint64_t at = 0, index = 0; at < slice.size; at += block_bytes_, ++index) {
      const uint64_t bytes = std::min<uint64_t>(block_bytes_, slice.size - at);
      const auto found = found_.find(fmt::format("{}_{}_{}", slice.id, index, bytes));
      if (found != found_.end()) {
        CheckSize(&found->second, bytes);
      }
      if (skipped) {
        continue;
      }
      ++check_.blocks_checked;
      if (found == found_.end()) {
        AddLost(inode, BlockName(format_.hash_prefix, slice.id, index, bytes), bytes);
      }
    }
    ++(skipped ? check_.slices_skipped : check_.slices_used);
    check_.slice_bytes_used += skipped ? 0 : slice.size;
  }

  void CheckSize(Found* found, uint64_t bytes) {
    const bool stored_as_is = (format_.compression.empty() || format_.compression == "none") && format_.encrypt_key.empty();
    if (!found->used && stored_as_is && found->bytes != bytes) {
      check_.wrong_sizes.push_back({found->object, bytes, found->bytes});
    }
    found->used = true;
  }

  void AddLost(Inode inode, std::string object, uint64_t bytes) {
    if (check_.lost.empty() || check_.lost.back().inode != inode) {
      ++check_.broken_files;
    }
    check_.lost.push_back({inode, PathText(inode), std::move(object), bytes});
    check_.bytes_lost += bytes;
  }

  std::string PathText(Inode inode) {
    if (!view_.has_value()) {
      const Result<View> view = BuildView(image_);
      view_ = view.ok() ? *view : View();
    }
    const std::optional<Bytes> path = view_->PathOfInode(inode);
    return path.has_value() ? "/" + (*path == "." ? Bytes() : *path) : "inode:" + std::to_string(inode.value());
  }

  void FindSurplus() {
    const uint64_t next = static_cast<uint64_t>(std::max<int64_t>(image_.Counter("nextChunk"), 0));
    for (const auto& [name, found] : found_) {
      uint64_t slice = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), slice);
      if (error == std::errc() && end != name.data() && slice >= next) {
        check_.future.push_back(found.object);
      } else if (!found.used) {
        check_.leaked.push_back(found.object);
      }
    }
  }

  const VolumeImage& image_;
  const Format& format_;
  uint64_t block_bytes_;
  std::map<std::string, Found> found_;
  std::optional<View> view_;
  ObjectCheck check_;
};

}  // namespace

std::string BlockPrefix(const VolumeImage& image) {
  CHECK(image.setting.has_value());
  return image.setting->format.name + "/chunks/";
}

ObjectCheck CheckObjects(const VolumeImage& image, const std::map<std::string, uint64_t>& objects) {
  CHECK(image.setting.has_value());
  return Checker(image, objects).Run();
}

}  // namespace kvjury::juicefs
