// VolumeBucket: the bucket of a simulated volume, cheap for volumes of any size, and keeping what was deleted.
//
// An object that a client wrote keeps its bytes; one that belongs to the volume a case starts from has a size, and its bytes are a pattern
// of its name, made when somebody reads it. Deleted objects stay behind, as in a bucket with versioning: they can be brought back.
// An object that is replaced by other bytes is noted: JuiceFS never does that, since a block's name holds a slice id that is used once.
// Not modelled: times of objects, multipart uploads, limits of how long deleted versions stay. Units: bytes, virtual microseconds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes/objects/object_store.h"
#include "fakes/sim/scheduler.h"
#include "harness/juicefs/block_store.h"
#include "harness/juicefs/image.h"

namespace kvjury::explore {

class VolumeBucket final : public objects::ObjectStore {
 public:
  /// `scheduler` tells when objects are deleted; it must outlive the bucket.
  explicit VolumeBucket(const sim::Scheduler* scheduler) : scheduler_(scheduler) {}

  /// An object of this size that nobody wrote here.
  void AddPattern(const std::string& name, uint64_t bytes) { objects_[name] = Object{bytes, nullptr}; }

  Status Put(const std::string& name, std::string_view bytes) override;
  Result<Bytes> Get(const std::string& name) override;
  Result<objects::ObjectInfo> Head(const std::string& name) override;
  Result<std::vector<objects::ObjectInfo>> List(const std::string& prefix) override;
  Status Delete(const std::string& name) override;
  [[nodiscard]] std::string description() const override { return "bucket"; }

  /// Undoes every deletion from `since_us` on whose object was not written again. Returns how many objects came back.
  uint64_t BringBack(Micros since_us);
  /// The objects as they are now; what was deleted or replaced is forgotten in the copy.
  [[nodiscard]] std::unique_ptr<VolumeBucket> Copy() const;
  [[nodiscard]] std::map<std::string, uint64_t> Sizes() const;
  /// Objects that were replaced by other bytes, in the order of their replacement.
  [[nodiscard]] const std::vector<std::string>& replaced() const { return replaced_; }

 private:
  struct Object {
    uint64_t bytes = 0;
    std::shared_ptr<const Bytes> content;  // null: a pattern
  };
  struct Deletion {
    Object object;
    Micros at_us = 0;
  };
  [[nodiscard]] static Bytes ContentOf(const std::string& name, const Object& object);

  const sim::Scheduler* scheduler_;
  std::map<std::string, Object> objects_;
  std::map<std::string, Deletion> deleted_;  // the last deletion of a name that is free
  std::vector<std::string> replaced_;
};

/// How a volume names its blocks, by its setting.
juicefs::BlockLayout LayoutOf(const juicefs::Format& format);

/// Adds the blocks of every slice that the volume's records name: of files, of files that wait for their deletion, of replaced slices.
void FillBucket(const juicefs::VolumeImage& image, VolumeBucket* bucket);

}  // namespace kvjury::explore
