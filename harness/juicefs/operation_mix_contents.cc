// Draws of what makes, moves and removes names, and of what reads and writes files.
#include <algorithm>
#include <array>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/operation_mix_draw.h"

namespace kvjury::juicefs {

void Mix::DrawCreation(record::Operation* operation) {
  const Bytes path = NewPath();
  const auto mode = static_cast<uint32_t>(0600 | random_.Below(0200));
  switch (kind_) {
    case record::Operation::kMkdir:
      operation->mutable_mkdir()->set_path(path);
      operation->mutable_mkdir()->set_mode(mode | 0100);
      picture_.directories.push_back(path);
      new_directory_ = IsNear(path) ? path : new_directory_;
      return;
    case record::Operation::kCreate:
      operation->mutable_create()->set_path(path);
      operation->mutable_create()->set_mode(mode);
      new_file_ = IsNear(path) ? path : new_file_;
      break;
    case record::Operation::kMknod:
      operation->mutable_mknod()->set_path(path);
      operation->mutable_mknod()->set_mode(mode);
      operation->mutable_mknod()->set_type(static_cast<uint32_t>(random_.Between(kTypeFifo, kTypeSocket)));
      operation->mutable_mknod()->set_rdev(static_cast<uint32_t>(random_.Below(0x10000)));
      return;
    case record::Operation::kSymlink:
      operation->mutable_symlink()->set_path(path);
      operation->mutable_symlink()->set_target(Anything() + "x");
      links_.push_back(path);
      return;
    default:
      operation->mutable_link()->set_from(File());
      operation->mutable_link()->set_to(path);
      break;
  }
  picture_.files.push_back(path);
}

uint64_t Mix::Offset() {
  const uint64_t base = random_.Chance(150'000) ? 2 * kChunkBytes - 5000 : 0;
  return base + random_.Below(20'000);
}

uint32_t Mix::Handle() {
  if (open_.empty() || !random_.Chance(400'000)) {
    return 0;
  }
  return random_.Chance(50'000) ? kMixHandles + 1 : random_.Pick(open_);
}

void Mix::DrawData(record::Operation* operation) {
  const Bytes path = File();
  const uint64_t offset = Offset();
  const auto length = static_cast<uint32_t>(random_.Below(30'000));
  const uint32_t handle = Handle();
  if (kind_ == record::Operation::kWrite) {
    operation->mutable_write()->set_path(path);
    operation->mutable_write()->set_offset(offset);
    operation->mutable_write()->set_length(length + 1);
    operation->mutable_write()->set_handle(handle);
  } else if (kind_ == record::Operation::kTruncate) {
    operation->mutable_truncate()->set_path(path);
    operation->mutable_truncate()->set_length(offset);
    operation->mutable_truncate()->set_handle(handle);
  } else {
    operation->mutable_read()->set_path(path);
    operation->mutable_read()->set_offset(offset);
    operation->mutable_read()->set_length(length);
    operation->mutable_read()->set_handle(handle);
  }
}

void Mix::DrawHandle(record::Operation* operation) {
  if (kind_ == record::Operation::kClose) {
    const auto handle = static_cast<uint32_t>(random_.Below(kMixHandles) + 1);
    operation->mutable_close()->set_handle(handle);
    open_.erase(std::remove(open_.begin(), open_.end(), handle), open_.end());
    return;
  }
  constexpr std::array<uint32_t, 5> kFlags = {0, 1, 2, 2 | 512, 2 | 1024};
  const auto handle = static_cast<uint32_t>(random_.Below(kMixHandles) + 1);
  operation->mutable_open()->set_path(File());
  operation->mutable_open()->set_handle(handle);
  operation->mutable_open()->set_flags(kFlags[random_.Below(kFlags.size())]);
  if (std::find(open_.begin(), open_.end(), handle) == open_.end()) {
    open_.push_back(handle);
  }
}

void Mix::DrawRange(record::Operation* operation) {
  const Bytes path = File();
  const uint64_t offset = Offset();
  const uint64_t length = random_.Below(30'000);
  if (kind_ == record::Operation::kFallocate) {
    constexpr std::array<uint32_t, 8> kModes = {0, 1, 3, 3, 16, 17, 8, 2};
    operation->mutable_fallocate()->set_path(path);
    operation->mutable_fallocate()->set_mode(kModes[random_.Below(kModes.size())]);
    operation->mutable_fallocate()->set_offset(offset);
    operation->mutable_fallocate()->set_length(length);
    operation->mutable_fallocate()->set_handle(Handle());
    return;
  }
  operation->mutable_copy_file_range()->set_from(path);
  operation->mutable_copy_file_range()->set_from_offset(offset);
  operation->mutable_copy_file_range()->set_to(random_.Chance(200'000) ? path : File());
  operation->mutable_copy_file_range()->set_to_offset(Offset());
  operation->mutable_copy_file_range()->set_length(length);
}

void Mix::DrawTree(record::Operation* operation) {
  const bool directory = random_.Chance(400'000);
  const Bytes path = directory ? random_.Pick(picture_.directories) : File();
  if (kind_ == record::Operation::kCompact) {
    operation->mutable_compact()->set_path(path);
  } else if (kind_ == record::Operation::kRemoveTree) {
    operation->mutable_remove_tree()->set_path(path);
    operation->mutable_remove_tree()->set_skip_trash(random_.Chance(400'000));
  } else {
    const Bytes to = NewPath();
    operation->mutable_clone()->set_from(path);
    operation->mutable_clone()->set_to(to);
    operation->mutable_clone()->set_preserve(random_.Chance(500'000));
    (directory ? picture_.directories : picture_.files).push_back(to);
  }
}

void Mix::DrawMove(record::Operation* operation) {
  const bool skip_trash = random_.Chance(400'000) && !options_.mount_only;
  if (kind_ == record::Operation::kUnlink) {
    operation->mutable_unlink()->set_path(File());
    operation->mutable_unlink()->set_skip_trash(skip_trash);
    return;
  }
  if (kind_ == record::Operation::kRmdir) {
    operation->mutable_rmdir()->set_path(random_.Pick(picture_.directories));
    operation->mutable_rmdir()->set_skip_trash(skip_trash);
    return;
  }
  const bool directory = random_.Chance(350'000);
  const Bytes from = directory ? random_.Pick(picture_.directories) : File();
  const uint64_t flags = random_.Below(10);  // 0..5: none; 6, 7: no-replace; 8, 9: exchange
  const bool onto_existing = flags >= 8 || random_.Chance(250'000);
  const Bytes to = onto_existing ? Anything() : NewPath();
  operation->mutable_rename()->set_from(from);
  operation->mutable_rename()->set_to(to);
  operation->mutable_rename()->set_flags(flags < 6 ? 0 : flags < 8 ? 1 : 2);
  (directory ? picture_.directories : picture_.files).push_back(to);
}

}  // namespace kvjury::juicefs
