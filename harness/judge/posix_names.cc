// Names: what is created, linked, moved and removed, as the kernel and JuiceFS together answer.
#include <algorithm>
#include <cerrno>

#include "harness/juicefs/constants.h"
#include "harness/judge/posix_model.h"

namespace kvjury::judge {

namespace {

constexpr size_t kTargetBytesMax = 4095;  // the kernel takes no longer path
constexpr uint32_t kNoReplace = 1;
constexpr uint32_t kExchange = 2;
constexpr uint32_t kWhiteout = 4;

PosixResult Refused(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

bool Locked(const PosixNode& node) { return (node.flags & (juicefs::kFlagImmutable | juicefs::kFlagAppend)) != 0; }

}  // namespace

void PosixModel::TouchDirectory(NodeId directory, bool at_once, TimeSpan now) {
  if (tree_.IsTrash(directory)) {
    return;
  }
  PosixNode& node = tree_.Mutable(directory);
  if (!at_once && now.high_ns - node.mtime.low_ns < options_.skip_dir_mtime_ns) {
    return;  // young enough, perhaps because somebody set it to the future
  }
  const bool certain = at_once || now.low_ns - node.mtime.high_ns >= options_.skip_dir_mtime_ns;
  for (TimeSpan* time : {&node.mtime, &node.ctime}) {
    *time = certain ? now : TimeSpan{std::min(time->low_ns, now.low_ns), std::max(time->high_ns, now.high_ns)};
  }
}

void PosixModel::InheritAcl(NodeId parent, PosixNode* node) const {
  const std::optional<PosixAcl>& rule = tree_.at(parent).inherited;
  if (!rule.has_value() || node->type == juicefs::kTypeSymlink) {
    return;
  }
  if (node->IsDirectory()) {
    node->inherited = rule;
  }
  PosixAcl child = *rule;
  child.owner &= node->mode >> 6 & 7;
  child.other &= node->mode & 7;
  const bool minimal = rule->users.empty() && rule->groups.empty() && rule->mask == 0xFFFF;
  if (minimal) {
    node->mode = (node->mode & 07000) | (node->mode & (rule->owner << 6 | rule->group << 3 | rule->other));
    return;
  }
  if (child.mask == 0xFFFF) {
    child.group &= node->mode >> 3 & 7;
  } else {
    child.mask &= node->mode >> 3 & 7;
  }
  node->mode = (node->mode & 07000) | child.owner << 6 | (child.mask == 0xFFFF ? child.group : child.mask) << 3 | child.other;
  node->access = child;
}

PosixResult PosixModel::Create(const Call& call, uint8_t type, uint32_t mode) {
  const record::Operation& operation = call.operation;
  const PosixPlace& place = call.first;
  if (type == juicefs::kTypeSymlink && (operation.symlink().target().empty() || operation.symlink().target().size() > kTargetBytesMax)) {
    return Refused(operation.symlink().target().empty() ? ENOENT : ENAMETOOLONG);
  }
  if (operation.kind_case() == record::Operation::kMknod && (type < juicefs::kTypeFifo || type > juicefs::kTypeSocket)) {
    return Refused(EINVAL);
  }
  if (place.error != 0 || place.node != kNoNode) {
    return Refused(place.error != 0 ? place.error : EEXIST);
  }
  const PosixNode& parent = tree_.at(place.parent);
  if (parent.gone || parent.orphan) {
    return Refused(ENOENT);
  }
  if (!MayAccess(place.parent, operation, 3)) {
    return Refused(EACCES);
  }
  const bool device = type == juicefs::kTypeBlockDevice || type == juicefs::kTypeCharDevice;
  const bool whiteout = type == juicefs::kTypeCharDevice && operation.mknod().rdev() == 0;
  if (device && !whiteout && operation.uid() != 0) {
    return InFront(EPERM);
  }
  if (tree_.IsTrash(place.parent)) {
    return Refused(EPERM);
  }
  PosixNode node;
  node.type = type;
  node.mode = mode & (type == juicefs::kTypeDirectory ? 01777 : 07777);  // mkdir(2) takes no more
  node.uid = operation.uid();
  node.gid = operation.gid();
  const bool directory = type == juicefs::kTypeDirectory;
  node.nlink = directory ? 2 : 1;
  if ((parent.mode & 02000) != 0) {
    node.gid = parent.gid;
    node.mode |= directory ? 02000 : 0;
  }
  const int over = CheckLimits(place.parent, 4096, 1, node.uid, node.gid);
  if (over != 0) {
    return Refused(over);
  }
  if ((parent.flags & juicefs::kFlagImmutable) != 0) {
    return Refused(EPERM);
  }
  if (tree_.EntryOf(place.parent, place.name) != kNoNode) {
    return Refused(EEXIST);
  }
  node.flags = parent.flags & juicefs::kFlagSkipTrash;
  node.parent = place.parent;
  node.target = type == juicefs::kTypeSymlink ? operation.symlink().target() : Bytes();
  node.rdev = operation.kind_case() == record::Operation::kMknod ? operation.mknod().rdev() : 0;
  node.atime = node.mtime = node.ctime = call.now;
  InheritAcl(place.parent, &node);
  created_ = tree_.Add(std::move(node));
  tree_.Mutable(place.parent).entries[place.name] = created_;
  tree_.Mutable(place.parent).nlink += directory ? 1 : 0;
  TouchDirectory(place.parent, directory, call.now);
  return {};
}

bool PosixModel::MayBeLinked(NodeId id, const record::Operation& caller) const {
  const PosixNode& node = tree_.at(id);
  if (!options_.protected_hardlinks || caller.uid() == 0 || caller.uid() == node.uid) {
    return true;
  }
  const bool set_id = (node.mode & 04000) != 0 || (node.mode & 02010) == 02010;
  return node.IsFile() && !set_id && MayAccess(id, caller, 6);
}

PosixResult PosixModel::Link(const Call& call) {
  const PosixPlace& to = call.second;
  // Its whole first path is looked up before the second.
  if (call.first.error != 0 || call.first.node == kNoNode) {
    return Refused(call.first.error != 0 ? call.first.error : ENOENT);
  }
  if (to.error != 0 || to.node != kNoNode) {
    return Refused(to.error != 0 ? to.error : EEXIST);
  }
  const NodeId source = call.first.node;
  if (!MayBeLinked(source, call.operation)) {
    return InFront(EPERM);
  }
  if (!MayAccess(to.parent, call.operation, 3)) {
    return Refused(EACCES);
  }
  if (tree_.at(source).IsDirectory() || tree_.IsTrash(to.parent)) {
    return Refused(EPERM);
  }
  const PosixNode& parent = tree_.at(to.parent);
  if (parent.gone || parent.orphan) {
    return Refused(ENOENT);
  }
  if ((parent.flags & juicefs::kFlagImmutable) != 0) {
    return Refused(EPERM);
  }
  if (tree_.at(source).gone) {
    return Refused(ENOENT);
  }
  if (Locked(tree_.at(source))) {
    return Refused(EPERM);
  }
  if (tree_.EntryOf(to.parent, to.name) != kNoNode) {
    return Refused(EEXIST);
  }
  PosixNode& node = tree_.Mutable(source);
  node.nlink += 1;
  node.parent = kNoNode;
  node.orphan = false;
  node.ctime = call.now;
  tree_.Mutable(to.parent).entries[to.name] = source;
  TouchDirectory(to.parent, false, call.now);
  return {};
}

void PosixModel::PrepareTrash(NodeId parent, bool skip_trash, TimeSpan now) {
  if (IsKept(parent, skip_trash)) {
    tree_.TrashHour(now);
  }
}

void PosixModel::Drop(NodeId parent, const Bytes& name, NodeId id, bool skip_trash, TimeSpan now) {
  PosixNode& dropped = tree_.Mutable(id);
  const bool trash = IsKept(parent, skip_trash) && (dropped.flags & juicefs::kFlagSkipTrash) == 0;
  const NodeId hour = trash ? tree_.TrashHour(now) : kNoNode;
  const Bytes trash_name = tree_.TrashName(parent, id, name);
  if (trash && (dropped.IsDirectory() || dropped.nlink <= 1 || tree_.EntryOf(hour, trash_name) == kNoNode)) {
    tree_.Mutable(hour).entries[trash_name] = id;
    if (dropped.parent != kNoNode) {
      dropped.parent = hour;
    }
    dropped.orphan = dropped.IsDirectory();
    dropped.ctime = now;
    return;
  }
  if (dropped.IsDirectory() || dropped.nlink <= 1) {
    dropped.nlink = 0;
    dropped.orphan = true;
    dropped.gone = dropped.IsDirectory() || !IsOpen(id);
    if (dropped.gone) {
      dropped.xattrs.clear();  // who still asks for one finds none
    }
  } else {
    dropped.nlink -= 1;
  }
  dropped.ctime = now;
}

PosixResult PosixModel::Unlink(const Call& call) {
  const PosixPlace& place = call.first;
  if (place.error != 0) {
    return Refused(place.error);
  }
  if (place.parent == kNoNode) {
    return Refused(call.operation.uid() == 0 ? EISDIR : EACCES);  // what is above a mount is root's
  }
  if (place.node == kNoNode) {
    return Refused(ENOENT);
  }
  const int kept = CheckRemovable(place.parent, place.node, call.operation);
  if (kept != 0) {
    return InFront(kept);
  }
  if (tree_.at(place.node).IsDirectory()) {
    return Refused(EISDIR);
  }
  PrepareTrash(place.parent, call.operation.unlink().skip_trash(), call.now);
  const NodeId id = tree_.EntryOf(place.parent, place.name);
  if (id == kNoNode) {
    return Refused(ENOENT);
  }
  if (tree_.at(id).IsDirectory()) {
    return Refused(EISDIR);
  }
  if (Locked(tree_.at(place.parent)) || Locked(tree_.at(id))) {
    return Refused(EPERM);
  }
  tree_.Mutable(place.parent).entries.erase(place.name);
  Drop(place.parent, place.name, id, call.operation.unlink().skip_trash(), call.now);
  TouchDirectory(place.parent, false, call.now);
  return {};
}

PosixResult PosixModel::Rmdir(const Call& call) {
  const PosixPlace& place = call.first;
  if (place.error != 0) {
    return Refused(place.error);
  }
  if (place.parent == kNoNode) {
    return Refused(call.operation.uid() == 0 ? EBUSY : EACCES);
  }
  if (place.node == kNoNode) {
    return Refused(ENOENT);
  }
  const int kept = CheckRemovable(place.parent, place.node, call.operation);
  if (kept != 0) {
    return InFront(kept);
  }
  if (!tree_.at(place.node).IsDirectory()) {
    return Refused(ENOTDIR);
  }
  if (place.node == kTrashNode || place.parent == kTrashNode) {
    return Refused(EPERM);
  }
  PrepareTrash(place.parent, call.operation.rmdir().skip_trash(), call.now);
  const NodeId id = tree_.EntryOf(place.parent, place.name);
  if (id == kNoNode) {
    return Refused(ENOENT);
  }
  if (!tree_.at(id).IsDirectory()) {
    return Refused(ENOTDIR);
  }
  if (Locked(tree_.at(place.parent))) {
    return Refused(EPERM);
  }
  if (!tree_.at(id).entries.empty()) {
    return Refused(ENOTEMPTY);
  }
  tree_.Mutable(place.parent).entries.erase(place.name);
  tree_.Mutable(place.parent).nlink -= 1;
  Drop(place.parent, place.name, id, call.operation.rmdir().skip_trash(), call.now);
  TouchDirectory(place.parent, true, call.now);
  return {};
}

void PosixModel::MoveTo(NodeId id, NodeId directory, TimeSpan now) {
  PosixNode& node = tree_.Mutable(id);
  node.parent = node.parent == kNoNode ? kNoNode : directory;
  node.orphan = false;
  node.ctime = now;
}

int PosixModel::RenameRefused(const Call& call, uint32_t flags) const {
  const PosixPlace& from = call.first;
  const PosixPlace& to = call.second;
  // As the kernel looks: both parents, both names, then what may not be moved into itself.
  if (from.error != 0 && !from.at_last_name) {
    return from.error;
  }
  if (to.error != 0 && !to.at_last_name) {
    return to.error;
  }
  if (from.parent == kNoNode || to.parent == kNoNode) {
    // What is above the root is another file system, in which it has but one name.
    return from.parent != to.parent ? EXDEV : (flags & kNoReplace) != 0 ? EEXIST : 0;
  }
  if (from.error != 0 || from.node == kNoNode) {
    return from.error != 0 ? from.error : ENOENT;
  }
  if (to.error != 0) {
    return to.error;
  }
  if ((flags & kNoReplace) != 0 && to.node != kNoNode) {
    return EEXIST;
  }
  if (flags == kExchange && to.node == kNoNode) {
    return ENOENT;
  }
  if (from.node == to.parent || tree_.IsBelow(to.parent, from.node)) {
    return EINVAL;
  }
  if (to.node != kNoNode && (to.node == from.parent || tree_.IsBelow(from.parent, to.node))) {
    return flags == kExchange ? EINVAL : ENOTEMPTY;
  }
  return 0;
}

PosixResult PosixModel::Rename(const Call& call) {
  const PosixPlace& from = call.first;
  const PosixPlace& to = call.second;
  const uint32_t flags = call.operation.rename().flags();
  if (flags > (kNoReplace | kWhiteout) || ((flags & kExchange) != 0 && flags != kExchange)) {
    return Refused(EINVAL);
  }
  int error = RenameRefused(call, flags);
  if (error != 0 || from.node == to.node) {
    return Refused(error);  // two names of one file: nothing to do
  }
  error = CheckRemovable(from.parent, from.node, call.operation);
  error = error != 0 || to.node != kNoNode ? error : MayAccess(to.parent, call.operation, 3) ? 0 : EACCES;
  error = error != 0 || to.node == kNoNode ? error : CheckRemovable(to.parent, to.node, call.operation);
  if (error != 0) {
    return InFront(error);
  }
  if (to.node != kNoNode && flags != kExchange && tree_.at(from.node).IsDirectory() != tree_.at(to.node).IsDirectory()) {
    return Refused(tree_.at(from.node).IsDirectory() ? ENOTDIR : EISDIR);
  }
  // A folder that comes to another one gets another `..`: it is written.
  const auto kept_home = [&](NodeId moved) {
    return moved != kNoNode && from.parent != to.parent && tree_.at(moved).IsDirectory() && !MayAccess(moved, call.operation, 2);
  };
  if (kept_home(from.node) || (flags == kExchange && kept_home(to.node))) {
    return Refused(EACCES);
  }
  if ((flags & kWhiteout) != 0) {
    return Refused(ENOTSUP);
  }
  if (from.node == kTrashNode || to.node == kTrashNode || from.parent == kTrashNode || tree_.IsTrash(to.parent) ||
      (flags == kExchange && tree_.IsTrash(from.parent))) {
    return Refused(EPERM);
  }
  // From here on what is there now counts.
  asked_ = true;
  PrepareTrash(to.parent, false, call.now);
  const NodeId source = tree_.EntryOf(from.parent, from.name);
  const NodeId target = tree_.EntryOf(to.parent, to.name);
  if (source == kNoNode || tree_.at(to.parent).orphan || tree_.at(to.parent).gone) {
    return Refused(ENOENT);
  }
  if (source == to.parent || source == tree_.at(to.parent).parent || Locked(tree_.at(from.parent)) ||
      (tree_.at(to.parent).flags & juicefs::kFlagImmutable) != 0 || Locked(tree_.at(source)) || (target != kNoNode && target != source && Locked(tree_.at(target)))) {
    return Refused(EPERM);
  }
  // To another folder even the owner of a sticky one moves no folder of others.
  const PosixNode& home = tree_.at(from.parent);
  const bool strange = call.operation.uid() != 0 && call.operation.uid() != tree_.at(source).uid;
  if (from.parent != to.parent && (home.mode & 01000) != 0 && strange && (call.operation.uid() != home.uid || tree_.at(source).IsDirectory())) {
    return Refused(EACCES);
  }
  if (target == kNoNode && flags == kExchange) {
    return Refused(ENOENT);
  }
  if (target != kNoNode && flags == kNoReplace) {
    return Refused(EEXIST);
  }
  if (target == source) {
    return {};
  }
  const bool source_is_directory = tree_.at(source).IsDirectory();
  const bool target_is_directory = target != kNoNode && tree_.at(target).IsDirectory();
  if (target != kNoNode && flags != kExchange) {
    if (target_is_directory != source_is_directory) {
      return Refused(target_is_directory ? EISDIR : ENOTDIR);
    }
    if (target_is_directory && !tree_.at(target).entries.empty()) {
      return Refused(ENOTEMPTY);
    }
  }
  Move(call, source, target, flags == kExchange);
  return {};
}

void PosixModel::Move(const Call& call, NodeId source, NodeId target, bool exchange) {
  const PosixPlace& from = call.first;
  const PosixPlace& to = call.second;
  const bool across = from.parent != to.parent;
  const bool source_is_directory = tree_.at(source).IsDirectory();
  const bool target_is_directory = target != kNoNode && tree_.at(target).IsDirectory();
  tree_.Mutable(from.parent).entries.erase(from.name);
  tree_.Mutable(to.parent).entries[to.name] = source;
  int64_t from_gain = across && source_is_directory ? -1 : 0;
  int64_t to_gain = -from_gain;
  if (exchange) {
    tree_.Mutable(from.parent).entries[from.name] = target;
    MoveTo(target, from.parent, call.now);
    from_gain += across && target_is_directory ? 1 : 0;
    to_gain -= across && target_is_directory ? 1 : 0;
  } else if (target != kNoNode) {
    Drop(to.parent, to.name, target, false, call.now);
    to_gain -= target_is_directory ? 1 : 0;
  }
  MoveTo(source, to.parent, call.now);
  tree_.Mutable(from.parent).nlink += static_cast<uint32_t>(from_gain);
  tree_.Mutable(to.parent).nlink += static_cast<uint32_t>(to_gain);
  // At once where the number of folders changed, even if it changed back.
  if (across) {
    TouchDirectory(from.parent, source_is_directory || (exchange && target_is_directory), call.now);
  }
  TouchDirectory(to.parent, (across && (source_is_directory || target_is_directory)) || (!exchange && target_is_directory), call.now);
}

}  // namespace kvjury::judge
