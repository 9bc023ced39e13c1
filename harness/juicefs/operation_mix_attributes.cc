// Draws of attributes, extended attributes, ACLs, locks and quotas, and of what only looks.
#include <fmt/format.h>

#include <array>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/operation_mix_draw.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kNoMask = 65535;

}  // namespace

void Mix::DrawSetAttr(record::Operation* operation) {
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

void Mix::DrawLock(record::Operation* operation) {
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

void Mix::DrawAcl(record::Operation* operation) {
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

void Mix::DrawQuota(record::Operation* operation) {
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
    record::DeleteQuota* quota = operation->mutable_delete_quota();
    fill(quota);
    if (!quotas_.empty() && random_.Chance(700'000)) {
      const record::SetQuota& known = random_.Pick(quotas_);
      known.has_uid() ? quota->set_uid(known.uid()) : known.has_gid() ? quota->set_gid(known.gid()) : quota->set_path(known.path());
    }
    return;
  }
  fill(operation->mutable_set_quota());
  const bool small = random_.Chance(200'000);
  operation->mutable_set_quota()->set_space_max(small ? (1 + random_.Below(30)) << 12 : random_.Below(3) << 30);
  operation->mutable_set_quota()->set_inodes_max(small ? 1 + random_.Below(10) : random_.Below(2) * 10'000);
  quotas_.push_back(operation->set_quota());
}

void Mix::DrawAttribute(record::Operation* operation) {
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

}  // namespace kvjury::juicefs
