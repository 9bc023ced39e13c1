// mkdir, create, mknod, symlink and link.
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

/// The errno with which a new name in this directory is refused; 0: allowed.
int CheckNewNameIn(const std::optional<Attr>& parent) {
  if (!parent.has_value()) {
    return ENOENT;
  }
  if (parent->type != kTypeDirectory) {
    return ENOTDIR;
  }
  if (parent->parent > kTrashInode) {
    return ENOENT;  // the directory lies in the trash
  }
  return (parent->flags & kFlagImmutable) != 0 ? EPERM : 0;
}

}  // namespace

Attr Writer::NewAttr(const Attempt& attempt, const CreateArguments& arguments, const Attr& parent) {
  const bool directory = arguments.type == kTypeDirectory;
  Attr attr;
  attr.type = arguments.type;
  attr.mode = static_cast<uint16_t>(arguments.mode & 07777);
  attr.uid = attempt.uid;
  attr.gid = (parent.mode & kSetGroupIdBit) != 0 ? parent.gid : attempt.gid;
  attr.flags = parent.flags & kFlagSkipTrash;
  attr.tier = parent.tier;
  attr.nlink = directory ? 2 : 1;
  attr.parent = arguments.parent;
  if (directory) {
    attr.length = kDirectoryBytes;
  } else if (arguments.type == kTypeSymlink) {
    attr.length = arguments.target.size();
  } else if (arguments.type == kTypeBlockDevice || arguments.type == kTypeCharDevice) {
    attr.rdev = arguments.rdev;
  }
  return attr;
}

sim::Task<int> Writer::CreateAt(Context* context, Bytes path, CreateArguments arguments) {
  if (arguments.type == kTypeSymlink && arguments.target.size() > kSymlinkBytesMax) {
    co_return ENAMETOOLONG;
  }
  if (arguments.type == kTypeSymlink && arguments.target.empty()) {
    co_return ENOENT;  // as the kernel answers
  }
  Place place;
  sim::Task<int> resolve = Resolve(context, std::move(path), &place);
  int error = co_await std::move(resolve);
  if (error != 0) {
    co_return error;
  }
  if (place.parent == kRootInode && place.name == kTrashName) {
    co_return EPERM;
  }
  if (place.entry.has_value()) {
    co_return EEXIST;
  }
  if (IsTrash(place.parent)) {
    co_return EPERM;
  }
  arguments.context = context;
  arguments.parent = place.parent;
  arguments.name = place.name;
  // Group 0, as the real one; the group of the new inode in the body.
  std::vector<Inode> parents(1, place.parent);
  sim::Task<int> check = CheckQuota(4096, 1, context->uid, 0, std::move(parents));
  error = co_await std::move(check);
  if (error != 0) {
    co_return error;
  }
  error = co_await TakeInode(context, &arguments.inode);
  if (error != 0) {
    co_return error;
  }
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::CreateBody, &arguments);
}

sim::Task<Status> Writer::CreateBody(Attempt* attempt, CreateArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->parent);
  if (!read.ok()) {
    co_return read.error();
  }
  attempt->error = CheckNewNameIn(*read);
  const uint32_t gid = read->has_value() && ((*read)->mode & 02000) != 0 ? (*read)->gid : 0;
  if (read->has_value() && OwnerExceeds(QuotaKind::kGroup, gid, 4096, 1)) {
    attempt->error = EDQUOT;
  }
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  Attr parent = **read;
  sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, arguments->parent, &arguments->name);
  Result<std::optional<Dentry>> present = co_await std::move(find);
  if (!present.ok()) {
    co_return present.error();
  }
  if (present->has_value()) {
    attempt->error = EEXIST;
    co_return Status::Ok();
  }

  const bool directory = arguments->type == kTypeDirectory;
  Attr attr = NewAttr(*attempt, *arguments, parent);
  if (parent.default_acl != 0 && arguments->type != kTypeSymlink) {
    sim::Task<Status> inherit = InheritAcl(arguments->context, attempt, &parent, attr.mode, &attr);
    const Status inherited = co_await std::move(inherit);
    CO_RETURN_IF_ERROR(inherited);
    if (attempt->error != 0) {
      co_return Status::Ok();
    }
  }
  if (directory && (parent.mode & kSetGroupIdBit) != 0) {
    attr.mode = static_cast<uint16_t>(attr.mode | kSetGroupIdBit);
  }
  const int64_t now_ns = options_.wall_ns();
  SetModified(&attr, now_ns);
  attr.atime_s = attr.mtime_s;
  attr.atime_ns = attr.mtime_ns;

  attempt->AddDentry(arguments->parent, arguments->name, Dentry{arguments->type, arguments->inode});
  attempt->PutAttr(arguments->inode, attr);
  if (arguments->type == kTypeSymlink) {
    attempt->PutSymlink(arguments->inode, arguments->target);
  }
  const bool nlink_changed = directory && MayChangeNlink(*attempt);
  parent.nlink += nlink_changed ? 1 : 0;
  const bool parent_changed = TouchParent(*attempt, nlink_changed, &parent);
  if (parent_changed) {
    attempt->PutAttr(arguments->parent, parent);
  }
  if (directory) {
    attempt->PutRaw(DirStatKey(arguments->inode), EncodeDirStat({}));
  }
  attempt->usage.AddInode(attr, 1);
  attempt->usage.AddEntry(arguments->parent, attr, 1);
  // The mode that was asked for; the umask is taken off already. "linux": by whose rules the group is chosen.
  attempt->log = fmt::format("CREATE({},{},{},{},{},{},0,{},linux,{}):{}", arguments->parent.value(), ChangeLogText(arguments->name),
                             attempt->uid, attempt->gid, arguments->type, arguments->mode & 07777, ChangeLogText(arguments->target),
                             parent_changed, arguments->inode.value());
  co_return Status::Ok();
}

sim::Task<int> Writer::LinkAt(Context* context, Bytes from, Bytes to) {
  Place source;
  sim::Task<int> find = Resolve(context, std::move(from), &source);
  int error = co_await std::move(find);
  if (error != 0 || !source.entry.has_value()) {
    co_return error != 0 ? error : ENOENT;
  }
  Place place;
  sim::Task<int> resolve = Resolve(context, std::move(to), &place);
  error = co_await std::move(resolve);
  if (error != 0) {
    co_return error;
  }
  if (place.parent == kRootInode && place.name == kTrashName) {
    co_return EPERM;
  }
  if (place.entry.has_value()) {
    co_return EEXIST;
  }
  if (IsTrash(place.parent) || source.entry->type == kTypeDirectory) {
    co_return EPERM;
  }
  if (source.attr.has_value()) {
    // The owner is asked for one inode more, though only the directories are charged.
    const Attr attr = *source.attr;
    sim::Task<bool> check = TreeExceeds(place.parent, StatOf(attr, 1).space, 1);
    const bool exceeded = co_await std::move(check);
    if (exceeded || OwnerExceeds(QuotaKind::kUser, attr.uid, 0, 1) || OwnerExceeds(QuotaKind::kGroup, attr.gid, 0, 1)) {
      co_return EDQUOT;
    }
  }
  LinkArguments arguments;
  arguments.inode = source.entry->inode;
  arguments.parent = place.parent;
  arguments.name = place.name;
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::LinkBody, &arguments);
}

sim::Task<Status> Writer::LinkBody(Attempt* attempt, LinkArguments* arguments) {
  Result<std::optional<Attr>> read_parent = co_await attempt->GetAttr(arguments->parent);
  if (!read_parent.ok()) {
    co_return read_parent.error();
  }
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  attempt->error = CheckNewNameIn(*read_parent);
  if (attempt->error == 0 && !read->has_value()) {
    attempt->error = ENOENT;
  }
  if (attempt->error == 0 && ((*read)->flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
  }
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, arguments->parent, &arguments->name);
  Result<std::optional<Dentry>> present = co_await std::move(find);
  if (!present.ok()) {
    co_return present.error();
  }
  if (present->has_value()) {
    attempt->error = EEXIST;
    co_return Status::Ok();
  }
  Attr parent = **read_parent;
  Attr attr = **read;
  const Inode old_parent = attr.parent;
  attr.parent = Inode();
  attr.nlink += 1;
  SetChanged(&attr, options_.wall_ns());

  Result<int64_t> count = co_await attempt->GetLinkCount(arguments->inode, arguments->parent);
  if (!count.ok()) {
    co_return count.error();
  }
  int64_t added = 1;
  if (old_parent == arguments->parent) {
    added = 2;
  } else if (old_parent.valid()) {
    Result<int64_t> old_count = co_await attempt->GetLinkCount(arguments->inode, old_parent);
    if (!old_count.ok()) {
      co_return old_count.error();
    }
    attempt->PutLinkCount(arguments->inode, old_parent, *old_count + 1);
  }
  attempt->PutLinkCount(arguments->inode, arguments->parent, *count + added);
  attempt->AddDentry(arguments->parent, arguments->name, Dentry{attr.type, arguments->inode});
  attempt->PutAttr(arguments->inode, attr);
  const bool parent_changed = TouchParent(*attempt, false, &parent);
  if (parent_changed) {
    attempt->PutAttr(arguments->parent, parent);
  }
  attempt->usage.AddEntry(arguments->parent, attr, 1);
  attempt->log = fmt::format("LINK({},{},{},{}):{}", arguments->inode.value(), arguments->parent.value(), ChangeLogText(arguments->name),
                             parent_changed, attr.nlink);
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
