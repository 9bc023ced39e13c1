// rename: plain, no-replace and exchange.
//
// JuiceFS itself refuses only two shapes of loops and leaves deeper ones to the kernel of one mount. The kernel's check is
// done here on the two paths, so that a cycle comes only from concurrent mounts, as on real volumes.
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kNoReplace = 1;
constexpr uint32_t kExchange = 2;
constexpr uint32_t kWhiteout = 4;

/// Names of a path, empty ones and "." left out, each followed by a slash.
Bytes NormalPath(const Bytes& path) {
  Bytes normal;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    const Bytes name = path.substr(begin, slash - begin);
    if (!name.empty() && name != ".") {
      normal += name + "/";
    }
    begin = slash + 1;
  }
  return normal;
}

/// Child directories that each parent gains when a name replaces or is exchanged with an existing one.
struct Gains {
  int from = 0;
  int to = 0;
};
Gains ChildDirectoryGains(bool exchange, bool across, bool source_is_directory, bool target_is_directory) {
  if (exchange) {
    const int gain = across ? int{target_is_directory} - int{source_is_directory} : 0;
    return {gain, -gain};
  }
  const int moved = across && source_is_directory ? 1 : 0;
  return {-moved, moved - int{target_is_directory}};
}

}  // namespace

sim::Task<int> Writer::RenameAt(Context* context, Bytes from, Bytes to, uint32_t flags) {
  if (flags == kWhiteout) {
    co_return ENOTSUP;
  }
  if (flags != 0 && flags != kNoReplace && flags != kExchange) {
    co_return EINVAL;
  }
  const Bytes from_normal = NormalPath(from);
  const Bytes to_normal = NormalPath(to);
  if (from_normal.empty() || to_normal.empty()) {
    co_return EBUSY;
  }
  Place source;
  sim::Task<int> resolve_source = Resolve(context, std::move(from), &source);
  int error = co_await std::move(resolve_source);
  if (error != 0) {
    co_return error;
  }
  Place target;
  sim::Task<int> resolve_target = Resolve(context, std::move(to), &target);
  error = co_await std::move(resolve_target);
  if (error != 0) {
    co_return error;
  }
  if (!source.entry.has_value()) {
    co_return ENOENT;
  }
  if (source.entry->inode == kTrashInode || source.parent == kTrashInode || IsTrash(target.parent) ||
      (target.parent == kRootInode && target.name == kTrashName) || (flags == kExchange && IsTrash(source.parent))) {
    co_return EPERM;
  }
  if (from_normal != to_normal && to_normal.substr(0, from_normal.size()) == from_normal) {
    co_return EINVAL;
  }
  if (from_normal != to_normal && from_normal.substr(0, to_normal.size()) == to_normal) {
    co_return flags == kExchange ? EINVAL : flags == kNoReplace ? EEXIST : ENOTEMPTY;
  }
  RenameArguments arguments;
  arguments.from_parent = source.parent;
  arguments.from_name = source.name;
  arguments.to_parent = target.parent;
  arguments.to_name = target.name;
  arguments.flags = flags;
  error = co_await EnsureTrash(context, target.parent, &arguments.replaced.hour);
  if (error != 0) {
    co_return error;
  }
  error = co_await Run(context, TransactionKind::kOperation, &Writer::RenameBody, &arguments);
  if (error == 0) {
    co_await AfterDrop(context, arguments.replaced);
  }
  co_return error;
}

sim::Task<Status> Writer::MoveInode(Attempt* attempt, Inode inode, Attr attr, Inode from, Inode to) {
  SetChanged(&attr, options_.wall_ns());
  if (attr.parent.valid()) {
    attr.parent = to;
  } else if (from != to) {
    Result<int64_t> added = co_await attempt->GetLinkCount(inode, to);
    if (!added.ok()) {
      co_return added.error();
    }
    Result<int64_t> removed = co_await attempt->GetLinkCount(inode, from);
    if (!removed.ok()) {
      co_return removed.error();
    }
    attempt->PutLinkCount(inode, to, *added + 1);
    attempt->PutLinkCount(inode, from, *removed - 1);
  }
  attempt->PutAttr(inode, attr);
  if (from != to) {
    attempt->usage.directories.push_back({from, StatOf(attr, -1)});
    attempt->usage.directories.push_back({to, StatOf(attr, 1)});
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::RenameBody(Attempt* attempt, RenameArguments* arguments) {
  RenameArguments& a = *arguments;
  a.replaced.data_deleted = false;
  a.replaced.sustained = false;
  if (a.from_parent == a.to_parent && a.from_name == a.to_name) {
    co_return Status::Ok();
  }
  Result<std::optional<Dentry>> source = co_await attempt->GetDentry(a.from_parent, a.from_name);
  if (!source.ok()) {
    co_return source.error();
  }
  if (!source->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  a.source = **source;
  Result<std::optional<Attr>> from_attr = co_await attempt->GetAttr(a.from_parent);
  if (!from_attr.ok()) {
    co_return from_attr.error();
  }
  Result<std::optional<Attr>> to_attr = co_await attempt->GetAttr(a.to_parent);
  if (!to_attr.ok()) {
    co_return to_attr.error();
  }
  Result<std::optional<Attr>> source_attr = co_await attempt->GetAttr(a.source.inode);
  if (!source_attr.ok()) {
    co_return source_attr.error();
  }
  if (!from_attr->has_value() || !to_attr->has_value() || !source_attr->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  a.from_attr = **from_attr;
  a.to_attr = **to_attr;
  a.source_attr = **source_attr;
  if (a.to_attr.type != kTypeDirectory || a.from_attr.type != kTypeDirectory) {
    attempt->error = ENOTDIR;
  } else if (a.to_attr.parent > kTrashInode) {
    attempt->error = ENOENT;
  } else if (a.source.inode == a.to_parent || a.source.inode == a.to_attr.parent) {
    attempt->error = EPERM;
  } else if (((a.from_attr.flags | a.to_attr.flags | a.source_attr.flags) & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
  }
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  Result<std::optional<Dentry>> target = co_await attempt->GetDentry(a.to_parent, a.to_name);
  if (!target.ok()) {
    co_return target.error();
  }
  if (target->has_value()) {
    a.target = **target;
    sim::Task<Status> replace = RenameReplaced(attempt, arguments);
    co_return co_await std::move(replace);
  }
  if (a.flags == kExchange) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }

  const bool directory_moves = a.source.type == kTypeDirectory && a.from_parent != a.to_parent;
  const bool nlink_changed = directory_moves && MayChangeNlink(*attempt);
  attempt->RemoveDentry(a.from_parent, a.from_name, a.source.inode);
  attempt->AddDentry(a.to_parent, a.to_name, a.source);
  sim::Task<Status> move = MoveInode(attempt, a.source.inode, a.source_attr, a.from_parent, a.to_parent);
  const Status moved = co_await std::move(move);
  CO_RETURN_IF_ERROR(moved);
  if (a.from_parent != a.to_parent) {
    a.from_attr.nlink -= nlink_changed ? 1 : 0;
    a.to_attr.nlink += nlink_changed ? 1 : 0;
    if (!IsTrash(a.from_parent) && TouchParent(*attempt, nlink_changed, &a.from_attr)) {
      attempt->PutAttr(a.from_parent, a.from_attr);
    }
  }
  if (TouchParent(*attempt, nlink_changed, &a.to_attr)) {
    attempt->PutAttr(a.to_parent, a.to_attr);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::RenameReplaced(Attempt* attempt, RenameArguments* arguments) {
  RenameArguments& a = *arguments;
  const bool exchange = a.flags == kExchange;
  const bool source_is_directory = a.source.type == kTypeDirectory;
  const bool target_is_directory = a.target.type == kTypeDirectory;
  if (a.flags == kNoReplace || a.source.inode == a.target.inode) {
    attempt->error = a.flags == kNoReplace ? EEXIST : 0;  // two links of one file: nothing to do
    co_return Status::Ok();
  }
  if (exchange && (a.target.inode == a.from_parent || a.target.inode == a.from_attr.parent)) {
    attempt->error = EPERM;
  } else if (!exchange && target_is_directory != source_is_directory) {
    attempt->error = target_is_directory ? EISDIR : ENOTDIR;
  }
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  Result<std::optional<Attr>> target_attr = co_await attempt->GetAttr(a.target.inode);
  if (!target_attr.ok()) {
    co_return target_attr.error();
  }
  if (!target_attr->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  if (((*target_attr)->flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  if (!exchange && target_is_directory) {
    const Key first_entry = DentryKey(a.target.inode, "");
    Result<std::vector<std::pair<Key, Bytes>>> children = co_await attempt->ScanFamily(first_entry, 1);
    if (!children.ok()) {
      co_return children.error();
    }
    if (!children->empty()) {
      attempt->error = ENOTEMPTY;
      co_return Status::Ok();
    }
  }

  const Attr replaced = **target_attr;
  if (exchange) {
    attempt->ReplaceDentry(a.from_parent, a.from_name, a.source.inode, a.target);
    attempt->ReplaceDentry(a.to_parent, a.to_name, a.target.inode, a.source);
    sim::Task<Status> back = MoveInode(attempt, a.target.inode, replaced, a.to_parent, a.from_parent);
    const Status moved_back = co_await std::move(back);
    CO_RETURN_IF_ERROR(moved_back);
  } else {
    attempt->RemoveDentry(a.from_parent, a.from_name, a.source.inode);
    attempt->ReplaceDentry(a.to_parent, a.to_name, a.target.inode, a.source);
    sim::Task<Status> drop =
        target_is_directory
            ? DropDirectory(attempt, a.to_parent, &a.to_name, a.target, replaced, a.replaced.hour)
            : DropFile(attempt, a.to_parent, &a.to_name, a.target, replaced, a.replaced.hour, &a.replaced);
    const Status dropped = co_await std::move(drop);
    CO_RETURN_IF_ERROR(dropped);
  }
  sim::Task<Status> move = MoveInode(attempt, a.source.inode, a.source_attr, a.from_parent, a.to_parent);
  const Status moved = co_await std::move(move);
  CO_RETURN_IF_ERROR(moved);

  const bool across = a.from_parent != a.to_parent;
  Gains gains;
  if (MayChangeNlink(*attempt)) {
    gains = ChildDirectoryGains(exchange, across, source_is_directory, target_is_directory);
  }
  if (across && !IsTrash(a.from_parent)) {
    a.from_attr.nlink += static_cast<uint32_t>(gains.from);
    if (TouchParent(*attempt, gains.from != 0, &a.from_attr)) {
      attempt->PutAttr(a.from_parent, a.from_attr);
    }
  }
  a.to_attr.nlink += static_cast<uint32_t>(gains.to);
  if (TouchParent(*attempt, gains.to != 0, &a.to_attr)) {
    attempt->PutAttr(a.to_parent, a.to_attr);
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
