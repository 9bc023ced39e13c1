// BlockStore: a volume's blocks in its bucket: a slice is cut into blocks, each an object under the volume's name.
//
// Modelled: names with and without hash prefix, the shorter last block, one labelled step for each object, errors of the bucket.
// Not modelled: compression and encryption of blocks, the client's cache and its write-back.
// Source: JuiceFS 1.4, chunk store; names agree with the objects of real volumes. Units: bytes.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/objects/object_store.h"
#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

/// How a volume names its blocks; members of its setting.
struct BlockLayout {
  Bytes volume_name;
  uint32_t block_bytes = 4U << 20;
  bool hash_prefix = false;
};

struct SliceBlock {
  std::string name;  // "vol/chunks/0/0/7_0_4096"
  uint64_t offset = 0;  // of the block's first byte in its slice
  uint32_t bytes = 0;
  friend bool operator==(const SliceBlock&, const SliceBlock&) = default;
};

/// The blocks of slice `id` that holds `size` bytes, in order; none for id 0 (a hole).
std::vector<SliceBlock> BlocksOfSlice(const BlockLayout& layout, uint64_t id, uint32_t size);

/// The slice that the block of this name belongs to; nothing for an object that is no block of the volume.
std::optional<uint64_t> SliceOfBlock(const BlockLayout& layout, const std::string& name);

/// Every slice that a volume's records name: those of chunks (files, and files that wait for their deletion) and the replaced ones that wait
/// for theirs. The blocks of each must be in the bucket: JuiceFS writes them before the record and deletes them after it.
std::set<SliceName> SlicesOf(const VolumeImage& image);

class BlockStore {
 public:
  BlockStore(objects::WorldObjectStore bucket, BlockLayout layout) : bucket_(bucket), layout_(std::move(layout)) {}

  [[nodiscard]] const BlockLayout& layout() const { return layout_; }

  /// Writes all blocks of a new slice. Errors: those of the bucket; some blocks may be there then. Suspends.
  sim::Task<Status> Upload(sim::Label label, uint64_t id, Bytes data);
  /// `length` bytes from `offset` of a slice. Errors: kNotFound naming the missing block, kDataLoss for one of another size, those
  /// of the bucket. Suspends.
  sim::Task<Result<Bytes>> Read(sim::Label label, uint64_t id, uint32_t size, uint32_t offset, uint32_t length);
  /// Deletes all blocks of a slice; missing ones are deleted already. Errors: those of the bucket. Suspends.
  sim::Task<Status> Remove(sim::Label label, uint64_t id, uint32_t size);

 private:
  objects::WorldObjectStore bucket_;
  BlockLayout layout_;
};

}  // namespace kvjury::juicefs
