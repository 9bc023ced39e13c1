#include "harness/juicefs/operation_mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/operation_callers.h"

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
    {record::Operation::kCompact, 2},   {record::Operation::kRemoveTree, 1}, {record::Operation::kGetXattr, 2},
    {record::Operation::kListXattr, 1}, {record::Operation::kReadlink, 2},   {record::Operation::kFlock, 3},
    {record::Operation::kSetLock, 4},   {record::Operation::kGetLock, 2},    {record::Operation::kSetAcl, 5},
    {record::Operation::kGetAcl, 3},    {record::Operation::kStatFs, 2},     {record::Operation::kSetQuota, 3},
    {record::Operation::kDeleteQuota, 1}, {record::Operation::kRestoreTrash, 2},
}};
constexpr uint32_t kNoMask = 65535;

bool IsDrawn(Kind kind, const MixOptions& options) {
  switch (kind) {
    case record::Operation::kSetAcl:
    case record::Operation::kGetAcl:
      return options.acl;
    case record::Operation::kSetQuota:
    case record::Operation::kDeleteQuota:
      return options.quotas;
    case record::Operation::kRestoreTrash:
      return !options.trash_hour.empty();
    default:
      return true;
  }
}

class Mix {
 public:
  Mix(RandomStream* random, const MixOptions& options, PathPicture* picture)
      : random_(*random), options_(options), picture_(*picture), own_(fmt::format("own-{}", options.writer)), callers_(options.callers_ppm) {
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
    if (!flagged_.empty() && random_.Chance(250'000)) {
      operation.mutable_setattr()->set_path(flagged_.back());
      operation.mutable_setattr()->set_flags(0);
      flagged_.pop_back();
      return operation;
    }
    DrawOf(DrawKind(), &operation);
    callers_.Draw(&random_, &operation);
    return operation;
  }

 private:
  void DrawOf(Kind kind, record::Operation* operation) {
    switch (kind) {
      case record::Operation::kMkdir:
      case record::Operation::kCreate:
      case record::Operation::kMknod:
      case record::Operation::kSymlink:
      case record::Operation::kLink:
        DrawCreation(operation);
        break;
      case record::Operation::kWrite:
      case record::Operation::kTruncate:
      case record::Operation::kRead:
        DrawData(operation);
        break;
      case record::Operation::kOpen:
      case record::Operation::kClose:
        DrawHandle(operation);
        break;
      case record::Operation::kFallocate:
      case record::Operation::kCopyFileRange:
        DrawRange(operation);
        break;
      case record::Operation::kClone:
      case record::Operation::kCompact:
      case record::Operation::kRemoveTree:
        DrawTree(operation);
        break;
      case record::Operation::kUnlink:
      case record::Operation::kRmdir:
      case record::Operation::kRename:
        DrawMove(operation);
        break;
      case record::Operation::kFlock:
      case record::Operation::kSetLock:
      case record::Operation::kGetLock:
        DrawLock(operation);
        break;
      case record::Operation::kSetAcl:
      case record::Operation::kGetAcl:
        DrawAcl(operation);
        break;
      case record::Operation::kSetattr:
        DrawSetAttr(operation);
        break;
      case record::Operation::kSetQuota:
      case record::Operation::kDeleteQuota:
        DrawQuota(operation);
        break;
      case record::Operation::kRestoreTrash:
        operation->mutable_restore_trash()->set_hour(options_.trash_hour);
        operation->mutable_restore_trash()->set_put_back(random_.Chance(600'000));
        break;
      default:
        DrawAttribute(operation);
        break;
    }
  }

  Kind DrawKind() {
    uint64_t total = 0;
    for (const auto& [kind, weight] : kWeights) {
      total += IsDrawn(kind, options_) ? weight : 0;
    }
    uint64_t drawn = random_.Below(total);
    kind_ = kWeights[0].first;
    for (const auto& [kind, weight] : kWeights) {
      if (!IsDrawn(kind, options_)) {
        continue;
      }
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
    if (options_.odd_path_ppm > 0 && random_.Chance(options_.odd_path_ppm)) {
      return OddPath(directory, name);
    }
    return directory.empty() ? name : directory + "/" + name;
  }

  Bytes OddPath(const Bytes& directory, const Bytes& name) {
    const Bytes prefix = directory.empty() ? directory : directory + "/";
    switch (random_.Below(6)) {
      case 0:
        return prefix + Bytes(kNameBytesMax, 'l');
      case 1:
        return prefix + Bytes(kNameBytesMax + 1, 'l');
      case 2:
        return prefix + "/./" + name;
      case 3:
        return prefix + "missing/" + name;
      case 4:
        return (picture_.files.empty() ? name : random_.Pick(picture_.files)) + "/" + name;
      default:
        return prefix + "caf\xc3\xa9 \n\t\x01";
    }
  }

  Bytes File() {
    if (!flagged_.empty() && random_.Chance(200'000)) {
      return flagged_.back();
    }
    if (picture_.files.empty() || random_.Chance(100'000)) {
      return NewPath();
    }
    return random_.Pick(picture_.files);
  }

  /// In one of the two folders that are nearly always there.
  [[nodiscard]] bool IsNear(const Bytes& path) const { return path.substr(0, path.rfind('/') + 1) == own_ + "/" || path.find('/') == Bytes::npos; }

  /// The newest one, which is there more often than what was made long ago; or any.
  Bytes NewFile() { return !new_file_.empty() && random_.Chance(600'000) ? new_file_ : File(); }

  Bytes Anything() { return random_.Chance(300'000) ? random_.Pick(picture_.directories) : File(); }

  void DrawCreation(record::Operation* operation) {
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
    return random_.Chance(50'000) ? kMixHandles + 1 : random_.Pick(open_);
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

  void DrawSetAttr(record::Operation* operation) {
    record::SetAttr* change = operation->mutable_setattr();
    change->set_path(Anything());
    const uint64_t what = random_.Below(5);
    const auto number = static_cast<int64_t>(random_.Below(2'000'000'000));
    if (what == 0) {
      change->set_mode(static_cast<uint32_t>(number) & 07777);
    } else if (what == 1) {
      change->set_uid(static_cast<uint32_t>(number % 3000));
      change->set_gid(static_cast<uint32_t>(number % 700));
    } else if (what == 2) {
      // Not of the folders that everything happens in.
      change->set_path(!new_directory_.empty() && random_.Chance(200'000) ? new_directory_ : NewFile());
      change->set_flags(number % 2 == 0 ? kFlagImmutable : kFlagAppend);
      flagged_.push_back(change->path());
    } else {
      change->set_mtime_ns(number * 1'000'000'007);
      if (what == 3) {
        change->set_atime_ns(number * 500'000'003);
      }
    }
  }

  /// Of few files, so that owners meet.
  void DrawLock(record::Operation* operation) {
    if (locked_.empty() || !random_.Chance(800'000)) {
      locked_ = new_file_.empty() ? File() : new_file_;
    }
    const Bytes path = locked_;
    const uint64_t owner = 1 + random_.Below(2);
    constexpr std::array<uint32_t, 4> kKinds = {0, 1, 1, 2};
    const uint32_t kind = kKinds[random_.Below(kKinds.size())];
    const uint64_t start = 10 * random_.Below(5);
    const uint64_t end = random_.Chance(100'000) ? uint64_t{INT64_MAX} : start + 9 + 10 * random_.Below(2);
    const auto fill = [&](auto* lock) {
      lock->set_path(path);
      lock->set_owner(owner);
      lock->set_kind(kind_ == record::Operation::kGetLock ? kind % 2 : kind);
    };
    if (kind_ == record::Operation::kFlock) {
      fill(operation->mutable_flock());
    } else if (kind_ == record::Operation::kSetLock) {
      fill(operation->mutable_set_lock());
      operation->mutable_set_lock()->set_start(start);
      operation->mutable_set_lock()->set_end(end);
    } else {
      fill(operation->mutable_get_lock());
      operation->mutable_get_lock()->set_start(start);
      operation->mutable_get_lock()->set_end(end);
    }
  }

  void DrawAcl(record::Operation* operation) {
    const bool is_default = random_.Chance(350'000);
    const bool known = !with_acl_.empty() && random_.Chance(500'000);
    const Bytes any = is_default && !new_directory_.empty() ? new_directory_ : random_.Chance(500'000) ? NewFile() : Anything();
    const Bytes path = known ? random_.Pick(with_acl_) : any;
    if (kind_ == record::Operation::kGetAcl) {
      operation->mutable_get_acl()->set_path(path);
      operation->mutable_get_acl()->set_is_default(is_default);
      return;
    }
    record::SetAcl* acl = operation->mutable_set_acl();
    acl->set_path(path);
    acl->set_is_default(is_default);
    if (random_.Chance(150'000)) {
      acl->set_remove(true);
      return;
    }
    with_acl_.push_back(path);
    acl->set_owner(static_cast<uint32_t>(random_.Below(8)));
    acl->set_group(static_cast<uint32_t>(random_.Below(8)));
    acl->set_other(static_cast<uint32_t>(random_.Below(8)));
    for (uint32_t id = kFirstUser; id < kFirstUser + kUsers; ++id) {
      for (const bool user : {true, false}) {
        if (random_.Chance(300'000)) {
          record::AclEntry* entry = user ? acl->add_user() : acl->add_named_group();
          entry->set_id(id);
          entry->set_permissions(static_cast<uint32_t>(random_.Below(8)));
        }
      }
    }
    // Names without a mask are refused.
    const bool named = acl->user_size() + acl->named_group_size() > 0;
    acl->set_mask(random_.Chance(named ? 50'000 : 700'000) ? kNoMask : static_cast<uint32_t>(random_.Below(8)));
  }

  void DrawQuota(record::Operation* operation) {
    const uint64_t of = random_.Below(4);
    const Bytes path = !new_directory_.empty() && random_.Chance(400'000) ? new_directory_ : random_.Pick(picture_.directories);
    const auto id = static_cast<uint32_t>(kFirstUser + random_.Below(kUsers));
    const auto fill = [&](auto* quota) {
      if (of == 0) {
        quota->set_uid(id);
      } else if (of == 1) {
        quota->set_gid(id);
      } else {
        quota->set_path(path);
      }
    };
    if (kind_ == record::Operation::kDeleteQuota) {
      fill(operation->mutable_delete_quota());
      return;
    }
    fill(operation->mutable_set_quota());
    const bool small = random_.Chance(200'000);
    operation->mutable_set_quota()->set_space_max(small ? (1 + random_.Below(30)) << 12 : random_.Below(3) << 30);
    operation->mutable_set_quota()->set_inodes_max(small ? 1 + random_.Below(10) : random_.Below(2) * 10'000);
  }

  void DrawAttribute(record::Operation* operation) {
    const Bytes path = Anything();
    const Bytes name = fmt::format("user.x{}", random_.Below(3));
    if (kind_ == record::Operation::kSetxattr) {
      operation->mutable_setxattr()->set_path(path);
      operation->mutable_setxattr()->set_name(name);
      operation->mutable_setxattr()->set_value(fmt::format("v{}", random_.Below(1000)));
      operation->mutable_setxattr()->set_flags(random_.Chance(300'000) ? 1 + static_cast<uint32_t>(random_.Below(2)) : 0);
      xattrs_.emplace_back(path, name);
    } else if (kind_ == record::Operation::kRemovexattr) {
      const bool known = !xattrs_.empty() && random_.Chance(700'000);
      const std::pair<Bytes, Bytes> which = known ? random_.Pick(xattrs_) : std::make_pair(path, name);
      operation->mutable_removexattr()->set_path(which.first);
      operation->mutable_removexattr()->set_name(which.second);
    } else if (kind_ == record::Operation::kGetXattr) {
      const bool known = !xattrs_.empty() && random_.Chance(700'000);
      const std::pair<Bytes, Bytes> which = known ? random_.Pick(xattrs_) : std::make_pair(path, name);
      operation->mutable_get_xattr()->set_path(which.first);
      operation->mutable_get_xattr()->set_name(which.second);
    } else if (kind_ == record::Operation::kListXattr) {
      operation->mutable_list_xattr()->set_path(path);
    } else if (kind_ == record::Operation::kReadlink) {
      operation->mutable_readlink()->set_path(!links_.empty() && random_.Chance(700'000) ? random_.Pick(links_) : path);
    } else if (kind_ == record::Operation::kReaddir) {
      operation->mutable_readdir()->set_path(random_.Pick(picture_.directories));
    } else if (kind_ == record::Operation::kStatFs) {
      operation->mutable_stat_fs()->set_path(path);
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
  Bytes new_file_;
  Bytes new_directory_;
  std::vector<Bytes> links_;
  std::vector<Bytes> flagged_;  // that still forbid something
  Bytes locked_;                // where the last lock was asked for
  std::vector<Bytes> with_acl_;
  CallerDraw callers_;
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
