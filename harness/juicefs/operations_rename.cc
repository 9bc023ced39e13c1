// rename: plain, no-replace and exchange.
//
// JuiceFS itself refuses only two shapes of loops and leaves deeper ones to the kernel of one mount. The kernel's check is
// done here on the two paths, so that a cycle comes only from concurrent mounts, as on real volumes.
#include <fmt/format.h>

#include "harness/juicefs/case_folding.h"
#include "harness/juicefs/change_log.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kNoReplace = kRenameNoReplace;
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

/// To another directory even the owner of a sticky directory moves no directory of others.
bool IsKeptFromMovingAway(const Attempt& attempt, bool across, const Attr& parent, const Attr& attr) {
  return across && attempt.uid != 0 && (parent.mode & kStickyBit) != 0 && attempt.uid != attr.uid &&
         (attempt.uid != parent.uid || attr.type == kTypeDirectory);
}

/// Child directories that each parent gains when a name replaces or is exchanged with an existing one.
struct Gains {
  int from = 0;
  int to = 0;
  // A count that goes down and up again makes JuiceFS write the folder, too.
  bool from_changed = false;
  bool to_changed = false;
};
Gains ChildDirectoryGains(bool exchange, bool across, bool source_is_directory, bool target_is_directory) {
  if (exchange) {
    const int gain = across ? int{target_is_directory} - int{source_is_directory} : 0;
    const bool changed = across && (source_is_directory || target_is_directory);
    return {gain, -gain, changed, changed};
  }
  const int moved = across && source_is_directory ? 1 : 0;
  return {-moved, moved - int{target_is_directory}, moved > 0, moved > 0 || target_is_directory};
}

/// Of `parent` and all directories above it, where one of them, `quota`, has a quota.
void AddQuotaChange(Inode quota, Inode parent, int64_t space, int64_t inodes, UsageDelta* usage) {
  if (quota.valid()) {
    usage->trees.push_back({parent, space, inodes});
  }
}

}  // namespace

sim::Task<int> Writer::RenameAt(Context* context, Bytes from, Bytes to, uint32_t flags) {
  if (flags == kWhiteout) {
    co_return ENOTSUP;
  }
  if (flags != 0 && flags != kNoReplace && flags != kExchange) {
    co_return EINVAL;
  }
  Bytes from_normal = NormalPath(from);
  Bytes to_normal = NormalPath(to);
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
  if (from_normal.empty() || to_normal.empty()) {
    // Above a mount's root is another file system, in which it has but one name.
    co_return from_normal != to_normal ? EXDEV : flags == kNoReplace ? EEXIST : 0;
  }
  if (!source.entry.has_value()) {
    co_return ENOENT;
  }
  if (options_.mount.case_insensitive) {
    from_normal = FoldCase(from_normal);
    to_normal = FoldCase(to_normal);
    const bool same_place = source.parent == target.parent && FoldCase(source.name) == FoldCase(target.name);
    if (same_place && target.entry.has_value() && target.entry->inode == source.entry->inode) {
      target.entry.reset();  // the name itself gets another case
    }
  }
  // From here to EnsureTrash: what the kernel sees by its own look-ups, in its order.
  if (flags == kNoReplace && target.entry.has_value()) {
    co_return EEXIST;
  }
  if (flags == kExchange && !target.entry.has_value()) {
    co_return ENOENT;
  }
  if (from_normal != to_normal && to_normal.substr(0, from_normal.size()) == from_normal) {
    co_return EINVAL;
  }
  if (from_normal != to_normal && from_normal.substr(0, to_normal.size()) == to_normal) {
    co_return flags == kExchange ? EINVAL : flags == kNoReplace ? EEXIST : ENOTEMPTY;
  }
  if (target.entry.has_value() && target.entry->inode == source.entry->inode) {
    co_return 0;  // two names of one file: nothing to do
  }
  const bool directory = source.entry->type == kTypeDirectory;
  if (target.entry.has_value() && flags != kExchange && (target.entry->type == kTypeDirectory) != directory) {
    co_return directory ? ENOTDIR : EISDIR;
  }
  if (source.entry->inode == kTrashInode || source.parent == kTrashInode || IsTrash(target.parent) ||
      (target.parent == kRootInode && target.name == kTrashName) || (flags == kExchange && IsTrash(source.parent)) ||
      (IsTrash(source.parent) && context->uid != 0)) {
    co_return EPERM;
  }
  RenameArguments arguments;
  arguments.from_parent = source.parent;
  arguments.from_name = source.name;
  arguments.to_parent = target.parent;
  arguments.to_name = target.name;
  arguments.flags = flags;
  sim::Task<int> rename = RenameEntry(context, std::move(arguments));
  co_return co_await std::move(rename);
}

sim::Task<int> Writer::RenameEntry(Context* context, RenameArguments arguments) {
  sim::Task<int> plan = PlanQuotaMove(context, &arguments);
  int error = co_await std::move(plan);
  if (error != 0) {
    co_return error;
  }
  error = co_await EnsureTrash(context, arguments.to_parent, &arguments.replaced.hour);
  if (error != 0) {
    co_return error;
  }
  error = co_await Run(context, TransactionKind::kOperation, &Writer::RenameBody, &arguments);
  if (error == 0) {
    co_await AfterDrop(context, arguments.replaced);
  }
  co_return error;
}

int Writer::CheckMove(const Attempt& attempt, const RenameArguments& a) {
  constexpr uint8_t kKept = kFlagImmutable | kFlagAppend;
  if (a.to_attr.type != kTypeDirectory || a.from_attr.type != kTypeDirectory) {
    return ENOTDIR;
  }
  if ((a.flags & kRenameRestore) == 0 && a.to_attr.parent > kTrashInode) {
    return ENOENT;
  }
  if (a.source.inode == a.to_parent || a.source.inode == a.to_attr.parent) {
    return EPERM;
  }
  // An append-only directory takes new names.
  if (((a.from_attr.flags | a.source_attr.flags) & kKept) != 0 || (a.to_attr.flags & kFlagImmutable) != 0) {
    return EPERM;
  }
  return IsKeptFromMovingAway(attempt, a.from_parent != a.to_parent, a.from_attr, a.source_attr) ? EACCES : 0;
}

// The hour is told also where nothing was replaced.
std::string Writer::MoveText(const RenameArguments& a, Inode replaced, Inode trash) {
  return fmt::format("MOVE({},{},{},{},{},{},{}):{}", a.from_parent.value(), ChangeLogText(a.from_name), a.to_parent.value(),
                     ChangeLogText(a.to_name), a.flags, replaced.value(), trash.value(), a.source.inode.value());
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

void Writer::ChargeQuotaMove(const RenameArguments& a, UsageDelta* usage) {
  if (a.move.from != a.move.to) {
    AddQuotaChange(a.move.from, a.from_parent, -a.move.size.space, -a.move.size.inodes, usage);
    AddQuotaChange(a.move.to, a.to_parent, a.move.size.space, a.move.size.inodes, usage);
  }
}

sim::Task<Status> Writer::RenameRead(Attempt* attempt, RenameArguments* arguments) {
  RenameArguments& a = *arguments;
  sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, a.from_parent, &a.from_name);
  Result<std::optional<Dentry>> source = co_await std::move(find);
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
  co_return Status::Ok();
}

sim::Task<Status> Writer::RenameBody(Attempt* attempt, RenameArguments* arguments) {
  RenameArguments& a = *arguments;
  a.replaced.data_deleted = false;
  a.replaced.sustained = false;
  if (a.IsSameName()) {
    co_return Status::Ok();
  }
  sim::Task<Status> reading = RenameRead(attempt, arguments);
  const Status read = co_await std::move(reading);
  CO_RETURN_IF_ERROR(read);
  if (attempt->error != 0 || a.IsSameName()) {
    co_return Status::Ok();
  }
  attempt->error = CheckMove(*attempt, a);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  Bytes stored = a.to_name;
  sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, a.to_parent, &stored);
  Result<std::optional<Dentry>> target = co_await std::move(find);
  if (!target.ok()) {
    co_return target.error();
  }
  // Not if the name itself gets another case.
  if (target->has_value() && (a.from_parent != a.to_parent || stored != a.from_name)) {
    a.to_name = stored;
    a.target = **target;
    sim::Task<Status> replace = RenameReplaced(attempt, arguments);
    co_return co_await std::move(replace);
  }
  if (a.flags == kExchange || IsKeptBySticky(*attempt, a.from_attr, a.source_attr)) {
    attempt->error = a.flags == kExchange ? ENOENT : EACCES;
    co_return Status::Ok();
  }

  const bool directory_moves = a.source.type == kTypeDirectory && a.from_parent != a.to_parent;
  const bool nlink_changed = directory_moves && MayChangeNlink(*attempt);
  attempt->RemoveDentry(a.from_parent, a.from_name, a.source.inode);
  attempt->AddDentry(a.to_parent, a.to_name, a.source);
  sim::Task<Status> move = MoveInode(attempt, a.source.inode, a.source_attr, a.from_parent, a.to_parent);
  const Status moved = co_await std::move(move);
  CO_RETURN_IF_ERROR(moved);
  ChargeQuotaMove(a, &attempt->usage);
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
  attempt->log = MoveText(a, Inode(), a.replaced.hour);
  co_return Status::Ok();
}

sim::Task<Status> Writer::CheckReplacement(Attempt* attempt, RenameArguments* arguments) {
  RenameArguments& a = *arguments;
  const bool exchange = a.flags == kExchange;
  const bool source_is_directory = a.source.type == kTypeDirectory;
  const bool target_is_directory = a.target.type == kTypeDirectory;
  if ((a.flags & kNoReplace) != 0 || a.source.inode == a.target.inode) {
    attempt->error = (a.flags & kNoReplace) != 0 ? EEXIST : 0;  // two links of one file: nothing to do
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
  if (!target_attr->has_value() || ((*target_attr)->flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = target_attr->has_value() ? EPERM : ENOENT;
    co_return Status::Ok();
  }
  a.target_attr = **target_attr;
  if (!exchange && target_is_directory) {
    const Key first_entry = DentryKey(a.target.inode, "");
    Result<std::vector<std::pair<Key, Bytes>>> children = co_await attempt->ScanFamily(first_entry, 1);
    if (!children.ok()) {
      co_return children.error();
    }
    attempt->error = children->empty() ? 0 : ENOTEMPTY;
  }
  if (attempt->error == 0 && (IsKeptBySticky(*attempt, a.to_attr, a.target_attr) || IsKeptBySticky(*attempt, a.from_attr, a.source_attr))) {
    attempt->error = EACCES;
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::RenameReplaced(Attempt* attempt, RenameArguments* arguments) {
  RenameArguments& a = *arguments;
  const bool exchange = a.flags == kExchange;
  const bool source_is_directory = a.source.type == kTypeDirectory;
  const bool target_is_directory = a.target.type == kTypeDirectory;
  sim::Task<Status> check = CheckReplacement(attempt, arguments);
  const Status checked = co_await std::move(check);
  CO_RETURN_IF_ERROR(checked);
  if (attempt->error != 0 || a.source.inode == a.target.inode) {
    co_return Status::Ok();
  }
  const Attr replaced = a.target_attr;
  if (exchange) {
    attempt->ReplaceDentry(a.from_parent, a.from_name, a.source.inode, a.target);
    attempt->ReplaceDentry(a.to_parent, a.to_name, a.target.inode, a.source);
    sim::Task<Status> back = MoveInode(attempt, a.target.inode, replaced, a.to_parent, a.from_parent);
    const Status moved_back = co_await std::move(back);
    CO_RETURN_IF_ERROR(moved_back);
    if (a.from_parent != a.to_parent) {
      // The target without what is below it.
      const DirStat own = StatOf(replaced, 1);
      AddQuotaChange(a.move.to, a.to_parent, -own.space, -1, &attempt->usage);
      AddQuotaChange(a.move.from, a.from_parent, own.space, 1, &attempt->usage);
    }
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
  ChargeQuotaMove(a, &attempt->usage);

  const bool across = a.from_parent != a.to_parent;
  Gains gains;
  if (MayChangeNlink(*attempt)) {
    gains = ChildDirectoryGains(exchange, across, source_is_directory, target_is_directory);
  }
  if (across && !IsTrash(a.from_parent)) {
    a.from_attr.nlink += static_cast<uint32_t>(gains.from);
    if (TouchParent(*attempt, gains.from_changed, &a.from_attr)) {
      attempt->PutAttr(a.from_parent, a.from_attr);
    }
  }
  a.to_attr.nlink += static_cast<uint32_t>(gains.to);
  if (TouchParent(*attempt, gains.to_changed, &a.to_attr)) {
    attempt->PutAttr(a.to_parent, a.to_attr);
  }
  attempt->log = MoveText(a, a.target.inode, (replaced.flags & kFlagSkipTrash) != 0 ? Inode() : a.replaced.hour);
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
