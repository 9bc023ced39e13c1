// VolumeObjects: the bytes of slices, read from the objects that JuiceFS keeps them in.
//
// A slice is cut into blocks of the setting's BlockSize, the last one shorter; each is one object below `chunks/`, by its slice id, its number and
// its size before compression. Compression none, lz4 (a bare block) and zstd are read.
// Read-only: no object is written, listed or deleted. Not read: encrypted objects (EncryptKey), buckets in shards, objects of an archive tier.
// Determinism: what is cached changes no answer. One thread. Source: facts of JuiceFS 1.4, chunk storage.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <utility>

#include "fakes/objects/object_store.h"
#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

/// `chunks/0/1/1234_0_4194304`, or with HashPrefix `chunks/D2/0/1234_0_4194304`: below the volume's folder of the bucket. `block` must lie inside
/// the slice.
std::string BlockObjectName(const Format& format, SliceName slice, uint32_t block);

class VolumeObjects {
 public:
  /// A bucket, or the volume's folder in it: which one is found out by asking for objects of the first slices in `image`. When there is none of
  /// these, that stands in warning(). Errors: kUnsupported (encrypted, shards, another compression), kDataLoss (a block size that no
  /// volume has), those of the store.
  static Result<std::unique_ptr<VolumeObjects>> Open(const VolumeImage& image, std::unique_ptr<objects::ObjectStore> bucket);

  /// `length` bytes from `offset` of a slice. Errors: kDataLoss (beyond the slice's end, a short or damaged object), kNotFound (no such object) and
  /// others of the store; each names the object.
  Result<Bytes> Read(SliceName slice, uint64_t offset, uint64_t length);

  /// What a reader should know before believing it; empty: nothing.
  [[nodiscard]] const std::string& warning() const { return warning_; }

 private:
  VolumeObjects(Format format, std::unique_ptr<objects::ObjectStore> bucket) : format_(std::move(format)), bucket_(std::move(bucket)) {}

  Status FindFolder(const VolumeImage& image);
  /// The whole block, from the cache or the bucket. The pointer is good until the next call.
  Result<const Bytes*> Block(SliceName slice, uint32_t block);
  Result<Bytes> Decompress(const Bytes& object, size_t block_bytes) const;

  Format format_;
  std::unique_ptr<objects::ObjectStore> bucket_;
  std::string folder_;  // empty or with a slash at its end
  std::string warning_;
  std::list<std::pair<std::string, Bytes>> cached_;  // by name, the last one used first
  uint64_t cached_bytes_ = 0;
};

}  // namespace kvjury::juicefs
