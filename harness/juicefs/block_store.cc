#include "harness/juicefs/block_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "fakes/base/check.h"
#include "harness/juicefs/block_name.h"

namespace kvjury::juicefs {

std::vector<SliceBlock> BlocksOfSlice(const BlockLayout& layout, uint64_t id, uint32_t size) {
  CHECK_GT(layout.block_bytes, uint32_t{0}) << "a block has bytes";
  std::vector<SliceBlock> blocks;
  if (id == 0) {
    return blocks;
  }
  for (uint64_t offset = 0; offset < size; offset += layout.block_bytes) {
    const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(layout.block_bytes, size - offset));
    blocks.push_back({layout.volume_name + "/chunks/" + BlockName(layout.hash_prefix, id, offset / layout.block_bytes, bytes), offset, bytes});
  }
  return blocks;
}

std::optional<uint64_t> SliceOfBlock(const BlockLayout& layout, const std::string& name) {
  const std::string folder = layout.volume_name + "/chunks/";
  const size_t slash = name.rfind('/');
  if (name.compare(0, folder.size(), folder) != 0 || slash + 1 < folder.size()) {
    return std::nullopt;
  }
  uint64_t id = 0;
  size_t at = slash + 1;
  for (; at < name.size() && name[at] >= '0' && name[at] <= '9'; ++at) {
    id = id * 10 + static_cast<uint64_t>(name[at] - '0');
  }
  return at > slash + 1 && at < name.size() && name[at] == '_' ? std::optional<uint64_t>(id) : std::nullopt;
}

std::set<SliceName> SlicesOf(const VolumeImage& image) {
  std::set<SliceName> slices;
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const SliceRecord& record : records) {
        if (record.id != 0) {
          slices.insert({record.id, record.size});
        }
      }
    }
  }
  for (const auto& [when, replaced] : image.delayed_slices) {
    slices.insert(replaced.begin(), replaced.end());
  }
  slices.erase(SliceName{});
  return slices;
}

sim::Task<Status> BlockStore::Upload(sim::Label label, uint64_t id, Bytes data) {
  for (const SliceBlock& block : BlocksOfSlice(layout_, id, static_cast<uint32_t>(data.size()))) {
    auto put = bucket_.Put(label / fmt::format("block{}", block.offset / layout_.block_bytes), block.name, data.substr(block.offset, block.bytes));
    const Status written = co_await std::move(put);
    if (!written.ok()) {
      co_return written;
    }
  }
  co_return Status::Ok();
}

sim::Task<Result<Bytes>> BlockStore::Read(sim::Label label, uint64_t id, uint32_t size, uint32_t offset, uint32_t length) {
  const uint64_t end = uint64_t{offset} + length;
  CHECK(end <= size) << "read beyond the end of slice " << id;
  Bytes out;
  out.reserve(length);
  for (const SliceBlock& block : BlocksOfSlice(layout_, id, size)) {
    if (block.offset + block.bytes <= offset || block.offset >= end) {
      continue;
    }
    auto get = bucket_.Get(label / fmt::format("block{}", block.offset / layout_.block_bytes), block.name);
    Result<Bytes> bytes = co_await std::move(get);
    if (!bytes.ok()) {
      co_return bytes.error();
    }
    if (bytes->size() != block.bytes) {
      co_return Status::DataLoss(fmt::format("{}: {} bytes, expected {}", block.name, bytes->size(), block.bytes));
    }
    const uint64_t first = std::max<uint64_t>(block.offset, offset) - block.offset;
    const uint64_t last = std::min<uint64_t>(block.offset + block.bytes, end) - block.offset;
    out += bytes->substr(first, last - first);
  }
  co_return out;
}

sim::Task<Status> BlockStore::Remove(sim::Label label, uint64_t id, uint32_t size) {
  for (const SliceBlock& block : BlocksOfSlice(layout_, id, size)) {
    auto remove = bucket_.Delete(label / fmt::format("block{}", block.offset / layout_.block_bytes), block.name);
    const Status removed = co_await std::move(remove);
    if (!removed.ok()) {
      co_return removed;
    }
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
