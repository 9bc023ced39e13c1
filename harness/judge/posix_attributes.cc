// Attributes: owner, mode, times and flags; extended attributes; POSIX ACLs; limits.
#include <algorithm>
#include <cerrno>

#include "harness/juicefs/constants.h"
#include "harness/judge/posix_model.h"

namespace kvjury::judge {

namespace {

PosixResult Refused(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

/// ENOENT and what else keeps a path from naming something.
int Missing(const PosixPlace& place) { return place.error != 0 ? place.error : place.node == kNoNode ? ENOENT : 0; }

/// user.* hangs on files and directories alone.
bool HoldsUserXattrs(const PosixNode& node, const Bytes& name) {
  return name.substr(0, 5) != "user." || node.IsFile() || node.IsDirectory();
}

bool IsMinimal(const PosixAcl& acl) { return acl.users.empty() && acl.groups.empty() && acl.mask == 0xFFFF; }

bool IsValid(const PosixAcl& acl) {
  bool valid = acl.owner <= 7 && acl.group <= 7 && acl.other <= 7 && (acl.mask <= 7 || IsMinimal(acl));
  for (const auto* named : {&acl.users, &acl.groups}) {
    for (const auto& [id, permissions] : *named) {
      valid = valid && permissions <= 7;
    }
  }
  return valid;
}

uint32_t ModeOfAcl(const PosixAcl& acl) { return acl.owner << 6 | (acl.mask == 0xFFFF ? acl.group : acl.mask) << 3 | acl.other; }

void AppendNumber(uint64_t number, size_t bytes, Bytes* text) {
  for (size_t i = 0; i < bytes; ++i) {
    text->push_back(static_cast<char>(number >> (8 * i)));
  }
}

void AppendEntry(uint32_t tag, uint32_t permissions, uint32_t id, Bytes* text) {
  AppendNumber(tag, 2, text);
  AppendNumber(permissions, 2, text);
  AppendNumber(id, 4, text);
}

}  // namespace

Bytes EncodeKernelAcl(const PosixAcl& acl) {
  constexpr uint32_t kNobody = 0xFFFFFFFF;
  Bytes text;
  AppendNumber(2, 4, &text);
  AppendEntry(0x01, acl.owner, kNobody, &text);
  for (const auto& [id, permissions] : acl.users) {
    AppendEntry(0x02, permissions, id, &text);
  }
  AppendEntry(0x04, acl.group, kNobody, &text);
  for (const auto& [id, permissions] : acl.groups) {
    AppendEntry(0x08, permissions, id, &text);
  }
  if (acl.mask != 0xFFFF) {
    AppendEntry(0x10, acl.mask, kNobody, &text);
  }
  AppendEntry(0x20, acl.other, kNobody, &text);
  return text;
}

PosixAcl AclOf(const record::SetAcl& change) {
  PosixAcl acl;
  acl.owner = change.owner();
  acl.group = change.group();
  acl.other = change.other();
  acl.mask = change.mask();
  for (const record::AclEntry& entry : change.user()) {
    acl.users[entry.id()] = entry.permissions();
  }
  for (const record::AclEntry& entry : change.named_group()) {
    acl.groups[entry.id()] = entry.permissions();
  }
  return acl;
}

int PosixModel::SetAttrDenied(const Call& call) const {
  constexpr uint32_t kCapable = juicefs::kFlagImmutable | juicefs::kFlagAppend;
  const record::SetAttr& change = call.operation.setattr();
  const PosixNode& node = tree_.at(call.first.node);
  const uint32_t uid = call.operation.uid();
  if (change.has_flags() && !node.IsFile() && !node.IsDirectory()) {
    return EINVAL;  // a rule of the harness: it is not opened
  }
  if (uid == 0) {
    return 0;
  }
  if (change.has_flags() && !MayAccess(call.first.node, call.operation, 4)) {
    return EACCES;
  }
  const bool new_owner = change.has_uid() && change.uid() != node.uid;
  const bool new_group = change.has_gid() && change.gid() != node.gid && change.gid() != call.operation.gid();
  const bool new_flags = change.has_flags() && ((change.flags() ^ node.flags) & kCapable) != 0;
  return uid != node.uid || new_owner || new_group || new_flags ? EPERM : 0;
}

PosixResult PosixModel::SetAttr(const Call& call) {
  const record::SetAttr& change = call.operation.setattr();
  if (Missing(call.first) != 0) {
    return Refused(Missing(call.first));
  }
  const NodeId id = call.first.node;
  const PosixNode& old = tree_.at(id);
  const uint32_t uid = call.operation.uid();
  if (change.has_mode() && old.type == juicefs::kTypeSymlink) {
    return Refused(ENOTSUP);
  }
  if (change.has_flags() && (old.IsFile() || old.IsDirectory())) {
    Touch(id, call.now, false);  // a mount's witness opens it to set them
  }
  if (const int denied = SetAttrDenied(call); denied != 0) {
    return InFront(denied);
  }
  if (old.gone) {
    return Refused(ENOENT);
  }
  if (id == kTrashNode) {
    return {};  // and nothing comes of it
  }
  if (tree_.IsTrash(id) || (old.parent != kNoNode && tree_.IsTrash(old.parent))) {
    return Refused(EPERM);
  }
  PosixNode& node = tree_.Mutable(id);
  const bool owner_changes = change.has_uid() || change.has_gid();
  bool changed = false;
  if (owner_changes && (node.mode & 06000) != 0 && !node.IsDirectory()) {
    // A new owner does not get a program of the old one's rights.
    node.mode &= uid != 0 || (node.mode & 010) != 0 ? 01777 : 03777;
    changed = true;
  }
  if (change.has_mode()) {
    const uint32_t mode = change.mode() & 07777;
    changed = changed || mode != node.mode;
    node.mode = uid != 0 && (mode & 02000) != 0 && call.operation.gid() != node.gid ? mode & 05777 : mode;
    if (node.access.has_value()) {
      PosixAcl& acl = *node.access;
      acl.owner = mode >> 6 & 7;
      (acl.mask == 0xFFFF ? acl.group : acl.mask) = mode >> 3 & 7;
      acl.other = mode & 7;
    }
  }
  if (change.has_uid()) {
    changed = changed || node.uid != change.uid();
    node.uid = change.uid();
  }
  if (change.has_gid()) {
    changed = changed || node.gid != change.gid();
    node.gid = change.gid();
  }
  if (change.has_atime_ns()) {
    changed = true;
    node.atime = TimeSpan{change.atime_ns(), change.atime_ns()};
  }
  if (change.has_mtime_ns()) {
    changed = true;
    node.mtime = TimeSpan{change.mtime_ns(), change.mtime_ns()};
  }
  if (change.has_flags()) {
    changed = true;
    node.flags = static_cast<uint8_t>(change.flags());
  }
  node.ctime = changed ? call.now : TimeSpan{node.ctime.low_ns, call.now.high_ns};
  return {};
}

int PosixModel::XattrDenied(const Call& call, const Bytes& name, bool writes) const {
  if (name.empty() || name.size() > juicefs::kNameBytesMax) {
    return ERANGE;
  }
  if (Missing(call.first) != 0) {
    return Missing(call.first);
  }
  const PosixNode& node = tree_.at(call.first.node);
  const bool user = name.substr(0, 5) == "user.";
  if (!HoldsUserXattrs(node, name)) {
    return writes ? EPERM : ENODATA;
  }
  const uint32_t uid = call.operation.uid();
  if (user && writes && node.IsDirectory() && (node.mode & 01000) != 0 && uid != 0 && uid != node.uid) {
    return EPERM;
  }
  return user && !MayAccess(call.first.node, call.operation, writes ? 2 : 4) ? EACCES : 0;
}

PosixResult PosixModel::GetXattr(const Call& call) {
  const Bytes& name = call.operation.get_xattr().name();
  if (const int denied = XattrDenied(call, name, false); denied != 0) {
    return denied == Missing(call.first) ? Refused(denied) : InFront(denied);
  }
  const PosixNode& node = tree_.at(call.first.node);
  const auto found = node.xattrs.find(name);
  if (found == node.xattrs.end()) {
    return Refused(ENODATA);
  }
  PosixResult result;
  result.bytes = found->second;
  return result;
}

PosixResult PosixModel::SetXattr(const Call& call) {
  constexpr size_t kValueBytesMax = 65536;
  const record::SetXattr& change = call.operation.setxattr();
  if (change.flags() > 3) {
    return InFront(EINVAL);
  }
  const bool name_is_odd = change.name().empty() || change.name().size() > juicefs::kNameBytesMax;
  if (!name_is_odd && change.value().size() > kValueBytesMax) {
    return InFront(E2BIG);
  }
  if (const int denied = XattrDenied(call, change.name(), true); denied != 0) {
    return denied == Missing(call.first) ? Refused(denied) : InFront(denied);
  }
  if (tree_.IsTrash(call.first.node)) {
    return Refused(EPERM);
  }
  if (change.flags() > 2 || change.value().empty()) {
    return Refused(EINVAL);  // TiKV holds no empty value
  }
  PosixNode& node = tree_.Mutable(call.first.node);
  const bool present = node.xattrs.count(change.name()) > 0;
  if (change.flags() == 1 && present) {
    return Refused(EEXIST);
  }
  if (change.flags() == 2 && !present) {
    return Refused(ENODATA);
  }
  node.xattrs[change.name()] = change.value();
  return {};
}

PosixResult PosixModel::RemoveXattr(const Call& call) {
  const Bytes& name = call.operation.removexattr().name();
  if (const int denied = XattrDenied(call, name, true); denied != 0) {
    return denied == Missing(call.first) ? Refused(denied) : InFront(denied);
  }
  if (tree_.IsTrash(call.first.node)) {
    return Refused(EPERM);
  }
  return Refused(tree_.Mutable(call.first.node).xattrs.erase(name) > 0 ? 0 : ENODATA);
}

PosixResult PosixModel::ListXattr(const Call& call) {
  if (Missing(call.first) != 0) {
    return Refused(Missing(call.first));
  }
  if (tree_.IsTrash(call.first.node)) {
    return Refused(ENODATA);
  }
  const PosixNode& node = tree_.at(call.first.node);
  PosixResult result;
  result.names.emplace();
  if (node.access.has_value()) {
    result.names->push_back("system.posix_acl_access");
  }
  if (node.inherited.has_value()) {
    result.names->push_back("system.posix_acl_default");
  }
  for (const auto& [name, value] : node.xattrs) {
    result.names->push_back(name);
  }
  std::sort(result.names->begin(), result.names->end());
  return result;
}

PosixResult PosixModel::SetAcl(const Call& call) {
  const record::SetAcl& change = call.operation.set_acl();
  if (Missing(call.first) != 0) {
    return Refused(Missing(call.first));
  }
  PosixNode& node = tree_.Mutable(call.first.node);
  const uint32_t uid = call.operation.uid();
  if (node.type == juicefs::kTypeSymlink) {
    return Refused(ENOTSUP);
  }
  if (change.is_default() && !node.IsDirectory()) {
    return Refused(change.remove() ? 0 : EACCES);
  }
  if (uid != 0 && uid != node.uid) {
    return InFront(EPERM);
  }
  const PosixAcl acl = AclOf(change);
  if (!change.remove() && !IsValid(acl)) {
    return Refused(EINVAL);
  }
  if (tree_.IsTrash(call.first.node) || !options_.acl) {
    return Refused(tree_.IsTrash(call.first.node) ? EPERM : ENOTSUP);
  }
  if (node.gone || (node.flags & juicefs::kFlagImmutable) != 0) {
    return Refused(node.gone ? ENOENT : EPERM);
  }
  std::optional<PosixAcl>& place = change.is_default() ? node.inherited : node.access;
  const std::optional<PosixAcl> old = place;
  const uint32_t old_mode = node.mode;
  if (uid != 0 && call.operation.gid() != node.gid) {
    node.mode &= 05777;
  }
  place.reset();
  if (!change.remove() && !change.is_default()) {
    node.mode = (node.mode & 07000) | ModeOfAcl(acl);
  }
  if (!change.remove() && (change.is_default() || !IsMinimal(acl))) {
    place = acl;  // an access ACL without names says no more than the mode
  }
  node.ctime = place == old && node.mode == old_mode ? node.ctime : call.now;
  return {};
}

PosixResult PosixModel::GetAcl(const Call& call) {
  if (Missing(call.first) != 0) {
    return Refused(Missing(call.first));
  }
  const PosixNode& node = tree_.at(call.first.node);
  const std::optional<PosixAcl>& acl = call.operation.get_acl().is_default() ? node.inherited : node.access;
  if (node.type == juicefs::kTypeSymlink) {
    return Refused(ENOTSUP);
  }
  if (!acl.has_value()) {
    return Refused(ENODATA);
  }
  PosixResult result;
  result.bytes = EncodeKernelAcl(*acl);
  return result;
}

PosixResult PosixModel::SetQuota(const Call& call) {
  const record::Operation& operation = call.operation;
  const bool set = operation.has_set_quota();
  const Limit limit{operation.set_quota().space_max(), operation.set_quota().inodes_max()};
  const auto apply = [set, &limit](auto* limits, auto key) {
    limits->erase(key);
    if (set) {
      limits->emplace(key, limit);
    }
  };
  const record::SetQuota& change = operation.set_quota();
  const record::DeleteQuota& removal = operation.delete_quota();
  if (set ? change.has_uid() : removal.has_uid()) {
    apply(&user_limits_, set ? change.uid() : removal.uid());
    return {};
  }
  if (set ? change.has_gid() : removal.has_gid()) {
    apply(&group_limits_, set ? change.gid() : removal.gid());
    return {};
  }
  if (Missing(call.first) != 0) {
    return Refused(Missing(call.first));
  }
  if (!tree_.at(call.first.node).IsDirectory()) {
    return Refused(ENOTDIR);
  }
  apply(&directory_limits_, call.first.node);
  return {};
}

}  // namespace kvjury::judge
