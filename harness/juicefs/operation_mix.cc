#include "harness/juicefs/operation_mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "harness/juicefs/constants.h"

namespace kvjury::juicefs {

namespace {

using Kind = record::Operation::KindCase;

constexpr std::array<std::pair<Kind, uint64_t>, kOperationKinds> kWeights = {{
    {record::Operation::kMkdir, 10},    {record::Operation::kCreate, 16},    {record::Operation::kMknod, 2},
    {record::Operation::kWrite, 16},    {record::Operation::kTruncate, 5},   {record::Operation::kLink, 5},
    {record::Operation::kSymlink, 3},   {record::Operation::kUnlink, 9},     {record::Operation::kRmdir, 5},
    {record::Operation::kRename, 14},   {record::Operation::kSetattr, 5},    {record::Operation::kSetxattr, 5},
    {record::Operation::kRemovexattr, 4}, {record::Operation::kReaddir, 2},  {record::Operation::kLookup, 2},
    {record::Operation::kRead, 4},      {record::Operation::kOpen, 4},       {record::Operation::kClose, 3},
    {record::Operation::kFallocate, 4}, {record::Operation::kCopyFileRange, 4}, {record::Operation::kClone, 3},
    {record::Operation::kCompact, 2},   {record::Operation::kRemoveTree, 1},
}};
constexpr uint32_t kHandles = 3;  // that a writer has open at most

class Mix {
 public:
  Mix(RandomStream* random, const MixOptions& options, PathPicture* picture)
      : random_(*random), options_(options), picture_(*picture), own_(fmt::format("own-{}", options.writer)) {
    if (picture_.directories.empty()) {
      picture_.directories.push_back("");
    }
  }

  record::Operation Draw(uint32_t number) {
    record::Operation operation;
    operation.set_id(options_.first_id + number);
    if (number == 0) {
      operation.mutable_mkdir()->set_path(own_);
      operation.mutable_mkdir()->set_mode(0755);
      picture_.directories.push_back(own_);
      return operation;
    }
    switch (DrawKind()) {
      case record::Operation::kMkdir:
      case record::Operation::kCreate:
      case record::Operation::kMknod:
      case record::Operation::kSymlink:
      case record::Operation::kLink:
        DrawCreation(&operation);
        break;
      case record::Operation::kWrite:
      case record::Operation::kTruncate:
      case record::Operation::kRead:
        DrawData(&operation);
        break;
      case record::Operation::kOpen:
      case record::Operation::kClose:
        DrawHandle(&operation);
        break;
      case record::Operation::kFallocate:
      case record::Operation::kCopyFileRange:
        DrawRange(&operation);
        break;
      case record::Operation::kClone:
      case record::Operation::kCompact:
      case record::Operation::kRemoveTree:
        DrawTree(&operation);
        break;
      case record::Operation::kUnlink:
      case record::Operation::kRmdir:
      case record::Operation::kRename:
        DrawMove(&operation);
        break;
      default:
        DrawAttribute(&operation);
        break;
    }
    return operation;
  }

 private:
  Kind DrawKind() {
    uint64_t total = 0;
    for (const auto& [kind, weight] : kWeights) {
      total += weight;
    }
    uint64_t drawn = random_.Below(total);
    kind_ = kWeights[0].first;
    for (const auto& [kind, weight] : kWeights) {
      if (drawn < weight) {
        kind_ = kind;
        break;
      }
      drawn -= weight;
    }
    return kind_;
  }

  Bytes Directory() { return random_.Chance(options_.own_ppm) ? own_ : random_.Pick(picture_.directories); }

  Bytes NewPath() {
    const Bytes directory = Directory();
    Bytes name = fmt::format("n{}", random_.Below(options_.names));
    if (random_.Chance(10'000)) {
      name = "\xff\xfe\xfd raw";  // not UTF-8
    }
    return directory.empty() ? name : directory + "/" + name;
  }

  Bytes File() {
    if (picture_.files.empty() || random_.Chance(100'000)) {
      return NewPath();
    }
    return random_.Pick(picture_.files);
  }

  Bytes Anything() { return random_.Chance(300'000) ? random_.Pick(picture_.directories) : File(); }

  void DrawCreation(record::Operation* operation) {
    const Bytes path = NewPath();
    const auto mode = static_cast<uint32_t>(0600 | random_.Below(0200));
    switch (kind_) {
      case record::Operation::kMkdir:
        operation->mutable_mkdir()->set_path(path);
        operation->mutable_mkdir()->set_mode(mode | 0100);
        picture_.directories.push_back(path);
        return;
      case record::Operation::kCreate:
        operation->mutable_create()->set_path(path);
        operation->mutable_create()->set_mode(mode);
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
        return;
      default:
        operation->mutable_link()->set_from(File());
        operation->mutable_link()->set_to(path);
        break;
    }
    picture_.files.push_back(path);
  }

  /// Mostly near the beginning; sometimes across the end of a chunk.
  uint64_t Offset() {
    const uint64_t base = random_.Chance(150'000) ? 2 * kChunkBytes - 5000 : 0;
    return base + random_.Below(20'000);
  }

  /// 0: by path. Handles that were never opened, or closed again, are rare.
  uint32_t Handle() {
    if (open_.empty() || !random_.Chance(400'000)) {
      return 0;
    }
    return random_.Chance(50'000) ? kHandles + 1 : random_.Pick(open_);
  }

  void DrawData(record::Operation* operation) {
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

  void DrawHandle(record::Operation* operation) {
    if (kind_ == record::Operation::kClose) {
      const auto handle = static_cast<uint32_t>(random_.Below(kHandles) + 1);
      operation->mutable_close()->set_handle(handle);
      open_.erase(std::remove(open_.begin(), open_.end(), handle), open_.end());
      return;
    }
    constexpr std::array<uint32_t, 5> kFlags = {0, 1, 2, 2 | 512, 2 | 1024};
    const auto handle = static_cast<uint32_t>(random_.Below(kHandles) + 1);
    operation->mutable_open()->set_path(File());
    operation->mutable_open()->set_handle(handle);
    operation->mutable_open()->set_flags(kFlags[random_.Below(kFlags.size())]);
    if (std::find(open_.begin(), open_.end(), handle) == open_.end()) {
      open_.push_back(handle);
    }
  }

  void DrawRange(record::Operation* operation) {
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

  void DrawTree(record::Operation* operation) {
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

  void DrawMove(record::Operation* operation) {
    const bool skip_trash = random_.Chance(400'000);
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

  void DrawAttribute(record::Operation* operation) {
    const Bytes path = Anything();
    if (kind_ == record::Operation::kSetattr) {
      record::SetAttr* change = operation->mutable_setattr();
      change->set_path(path);
      const uint64_t what = random_.Below(4);
      const auto number = static_cast<int64_t>(random_.Below(2'000'000'000));
      if (what == 0) {
        change->set_mode(static_cast<uint32_t>(number) & 07777);
      } else if (what == 1) {
        change->set_uid(static_cast<uint32_t>(number % 3000));
        change->set_gid(static_cast<uint32_t>(number % 700));
      } else {
        change->set_mtime_ns(number * 1'000'000'007);
        if (what == 2) {
          change->set_atime_ns(number * 500'000'003);
        }
      }
      return;
    }
    const Bytes name = fmt::format("user.x{}", random_.Below(3));
    if (kind_ == record::Operation::kSetxattr) {
      operation->mutable_setxattr()->set_path(path);
      operation->mutable_setxattr()->set_name(name);
      operation->mutable_setxattr()->set_value(fmt::format("v{}", random_.Below(1000)));
      xattrs_.emplace_back(path, name);
    } else if (kind_ == record::Operation::kRemovexattr) {
      const bool known = !xattrs_.empty() && random_.Chance(700'000);
      const std::pair<Bytes, Bytes> which = known ? random_.Pick(xattrs_) : std::make_pair(path, name);
      operation->mutable_removexattr()->set_path(which.first);
      operation->mutable_removexattr()->set_name(which.second);
    } else if (kind_ == record::Operation::kReaddir) {
      operation->mutable_readdir()->set_path(random_.Pick(picture_.directories));
    } else {
      operation->mutable_lookup()->set_path(path);
    }
  }

  RandomStream& random_;
  const MixOptions& options_;
  PathPicture& picture_;
  Bytes own_;
  std::vector<std::pair<Bytes, Bytes>> xattrs_;  // set by this writer: path and name
  std::vector<uint32_t> open_;                   // handles that this writer believes to be open
  Kind kind_ = record::Operation::KIND_NOT_SET;
};

}  // namespace

std::vector<record::Operation> DrawOperations(RandomStream* random, const MixOptions& options, PathPicture* picture) {
  Mix mix(random, options, picture);
  std::vector<record::Operation> operations;
  for (uint32_t i = 0; i < options.operations; ++i) {
    operations.push_back(mix.Draw(i));
  }
  return operations;
}

}  // namespace kvjury::juicefs
