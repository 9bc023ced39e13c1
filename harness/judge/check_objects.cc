// OBJ: the blocks that records name, in the bucket.
#include <fmt/format.h>

#include "harness/judge/check_blocks.h"
#include "harness/judge/checks.h"

namespace kvjury::judge {

namespace {

using juicefs::SliceBlock;
using juicefs::SliceName;
using juicefs::VolumeImage;
using Objects = std::map<std::string, uint64_t>;

// Where a slice is used: the first inode whose chunk names it; invalid for one that only waits for its deletion.
Inode UserOf(const VolumeImage& image, const SliceName& slice) {
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const juicefs::SliceRecord& record : records) {
        if (record.id == slice.id && record.size == slice.size) {
          return inode;
        }
      }
    }
  }
  return Inode();
}

}  // namespace

void CheckBlocks(const Evidence& evidence, const VolumeImage& image, const Objects& objects, const BlockText& text, Recorder* recorder) {
  if (!evidence.bucket.has_value()) {
    recorder->Unproven("no bucket was looked at");
    return;
  }
  for (const SliceName& slice : juicefs::SlicesOf(image)) {
    for (const SliceBlock& block : juicefs::BlocksOfSlice(evidence.bucket->layout, slice.id, slice.size)) {
      recorder->Count();
      const auto found = objects.find(block.name);
      if (found != objects.end() && found->second == block.bytes) {
        continue;
      }
      const Inode inode = UserOf(image, slice);
      const std::string what = found == objects.end() ? "is not in the bucket" : fmt::format("has {} bytes in the bucket", found->second);
      record::Finding* finding = recorder->Add(
          text.kind, fmt::format("{}: the block {} of {} bytes, of slice {}, {}", text.place, block.name, block.bytes, slice.id, what));
      finding->set_file(block.name);
      finding->set_inode(inode.value());
      finding->set_lost_at(record::LOST_AT_TARGET);
    }
  }
}

Checked CheckObjects(const Evidence& evidence) {
  Recorder recorder("OBJ", "buckets and blocks");
  if (!evidence.bucket.has_value() || !evidence.target_image.has_value()) {
    recorder.Unproven(evidence.bucket.has_value() ? "nothing was restored" : "no bucket was looked at");
    return recorder.Take();
  }
  const BucketEvidence& bucket = *evidence.bucket;
  const VolumeImage& image = evidence.afterlife.has_value() ? evidence.afterlife->begun : *evidence.target_image;
  recorder.Count();  // the bucket, listed as a whole
  CheckBlocks(evidence, image, bucket.objects, {"missing-block", "the restored volume"}, &recorder);
  const auto next = static_cast<uint64_t>(std::max<int64_t>(image.Counter("nextChunk"), 0));
  for (const auto& [name, bytes] : bucket.objects) {
    const std::optional<uint64_t> id = juicefs::SliceOfBlock(bucket.layout, name);
    if (!bucket.in_use || !id.has_value() || *id < next) {
      continue;
    }
    record::Finding* finding = recorder.Add(
        "future-id-taken", fmt::format("the object {} lies under an id that the restored volume will issue, its nextChunk is {}: a new block would "
                                       "replace it, and caches would show old bytes", name, next));
    finding->set_file(name);
    finding->set_lost_at(record::LOST_AT_TARGET);
  }
  for (const std::string& name : bucket.replaced) {
    record::Finding* finding = recorder.Add("replaced-block", "the object " + name + " was replaced by other bytes: its slice id was issued twice");
    finding->set_file(name);
    finding->set_lost_at(record::LOST_AT_TARGET);
  }
  if (bucket.living_source.has_value()) {
    CheckBlocks(evidence, *bucket.living_source, bucket.objects_at_end, {"block-of-living-source", "the living source"}, &recorder);
  }
  return recorder.Take();
}

}  // namespace kvjury::judge
