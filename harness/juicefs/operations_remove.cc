// unlink and rmdir, with and without trash.
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

sim::Task<int> Writer::UnlinkAt(Context* context, Bytes path, bool skip_trash) {
  Place place;
  sim::Task<int> resolve = Resolve(context, std::move(path), &place);
  int error = co_await std::move(resolve);
  if (error != 0) {
    co_return error;
  }
  if (place.parent == kRootInode && place.name == kTrashName) {
    co_return EPERM;
  }
  if (!place.entry.has_value()) {
    co_return ENOENT;
  }
  if (place.entry->type == kTypeDirectory) {
    co_return EISDIR;
  }
  if (IsTrash(place.parent) && context->uid != 0) {
    co_return EPERM;
  }
  RemoveArguments arguments;
  arguments.parent = place.parent;
  arguments.name = place.name;
  arguments.skip_trash = skip_trash;
  if (!skip_trash) {
    error = co_await EnsureTrash(context, place.parent, &arguments.hour);
    if (error != 0) {
      co_return error;
    }
  }
  error = co_await Run(context, TransactionKind::kOperation, &Writer::UnlinkBody, &arguments);
  if (error == 0) {
    co_await AfterDrop(context, arguments);
  }
  co_return error;
}

sim::Task<void> Writer::AfterDrop(Context* context, RemoveArguments dropped) {
  if (dropped.sustained) {
    removed_open_files_.insert(dropped.inode);
  } else if (dropped.data_deleted) {
    // In the background on a real mount; its failure is left to the hourly job and is not the user's.
    co_await DeleteFileData(context, dropped.inode, dropped.length);
  }
}

sim::Task<Status> Writer::UnlinkBody(Attempt* attempt, RemoveArguments* arguments) {
  arguments->data_deleted = false;
  arguments->sustained = false;
  arguments->trash = Inode();
  sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, arguments->parent, &arguments->name);
  Result<std::optional<Dentry>> entry = co_await std::move(find);
  if (!entry.ok()) {
    co_return entry.error();
  }
  if (!entry->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  const Dentry dentry = **entry;
  if (dentry.type == kTypeDirectory) {
    attempt->error = EISDIR;
    co_return Status::Ok();
  }
  Result<std::optional<Attr>> read_parent = co_await attempt->GetAttr(arguments->parent);
  if (!read_parent.ok()) {
    co_return read_parent.error();
  }
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(dentry.inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read_parent->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  Attr parent = **read_parent;
  if ((parent.flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
  } else if (read->has_value() && IsKeptBySticky(*attempt, parent, **read)) {
    attempt->error = EACCES;
  } else if (read->has_value() && ((*read)->flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
  }
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  attempt->RemoveDentry(arguments->parent, arguments->name, dentry.inode);
  if (read->has_value()) {
    const Attr attr = **read;
    sim::Task<Status> drop =
        DropFile(attempt, arguments->parent, &arguments->name, dentry, attr, arguments->hour, arguments);
    const Status dropped = co_await std::move(drop);
    CO_RETURN_IF_ERROR(dropped);
  }
  const bool parent_changed = !IsTrash(arguments->parent) && TouchParent(*attempt, false, &parent);
  if (parent_changed) {
    attempt->PutAttr(arguments->parent, parent);
  }
  attempt->log = fmt::format("UNLINK({},{},{},{},{}):{}", arguments->parent.value(), ChangeLogText(arguments->name), arguments->trash.value(),
                             arguments->sustained, parent_changed, dentry.inode.value());
  co_return Status::Ok();
}

sim::Task<Status> Writer::DropFile(Attempt* attempt, Inode parent, const Bytes* name, Dentry entry, Attr attr, Inode hour,
                                   RemoveArguments* outcome) {
  const Inode inode = entry.inode;
  if ((attr.flags & kFlagSkipTrash) != 0) {
    hour = Inode();
  }
  const Bytes trash_name = TrashEntryName(parent, inode, *name);
  if (hour.valid() && attr.nlink > 1) {
    Result<std::optional<Dentry>> present = co_await attempt->GetDentry(hour, trash_name);
    if (!present.ok()) {
      co_return present.error();
    }
    if (present->has_value()) {
      hour = Inode();  // the same name of the same file is in the trash already
    }
  }
  outcome->trash = hour;
  const bool several_links = !attr.parent.valid();
  attempt->usage.AddEntry(parent, attr, -1);
  SetChanged(&attr, options_.wall_ns());
  const bool gone = !hour.valid() && attr.nlink <= 1;
  if (gone) {
    sim::Task<Status> drop = DropLastLink(attempt, inode, attr, outcome);
    co_return co_await std::move(drop);
  }
  if (several_links) {
    Result<int64_t> count = co_await attempt->GetLinkCount(inode, parent);
    if (!count.ok()) {
      co_return count.error();
    }
    attempt->PutLinkCount(inode, parent, *count - 1);
  }
  if (hour.valid()) {
    if (several_links) {
      Result<int64_t> count = co_await attempt->GetLinkCount(inode, hour);
      if (!count.ok()) {
        co_return count.error();
      }
      attempt->PutLinkCount(inode, hour, *count + 1);
    } else {
      attr.parent = hour;
    }
    attempt->AddDentry(hour, trash_name, entry);
    attempt->usage.AddEntry(hour, attr, 1);
  } else {
    attr.nlink -= 1;
  }
  attempt->PutAttr(inode, attr);
  co_return Status::Ok();
}

sim::Task<Status> Writer::DropLastLink(Attempt* attempt, Inode inode, Attr attr, RemoveArguments* outcome) {
  Result<std::vector<Bytes>> names = co_await attempt->ListXattrNames(inode);
  if (!names.ok()) {
    co_return names.error();
  }
  const bool sustained = attr.type == kTypeFile && session_id_ != 0 && IsOpen(inode);
  if (sustained) {
    attr.nlink = 0;
    attempt->PutAttr(inode, attr);
    attempt->PutRaw(SustainedKey(session_id_, inode), Bytes(1, '\x01'));
    for (const Bytes& xattr : *names) {
      attempt->RemoveXattr(inode, xattr);
    }
  } else {
    attempt->RemoveInode(inode, attr, *names);
  }
  if (!attr.parent.valid()) {
    const Key first_count = LinkCountKey(inode, Inode());
    Result<std::vector<std::pair<Key, Bytes>>> counts = co_await attempt->ScanFamily(first_count, 0);
    if (!counts.ok()) {
      co_return counts.error();
    }
    for (const auto& [key, value] : *counts) {
      attempt->DeleteRaw(key);
    }
  }
  outcome->inode = inode;
  outcome->length = attr.length;
  outcome->sustained = sustained;
  if (sustained) {
    co_return Status::Ok();  // its usage goes with the last close
  }
  if (attr.type == kTypeFile) {
    attempt->PutRaw(DeletedFileKey(inode, attr.length), EncodeInt64Be(WallSeconds()));
    outcome->data_deleted = true;
  }
  attempt->usage.AddInode(attr, -1);
  co_return Status::Ok();
}

sim::Task<int> Writer::RmdirAt(Context* context, Bytes path, bool skip_trash) {
  Place place;
  sim::Task<int> resolve = Resolve(context, std::move(path), &place);
  int error = co_await std::move(resolve);
  if (error != 0) {
    co_return error;
  }
  if (place.name.empty()) {
    co_return EBUSY;  // the root of the mount
  }
  if ((place.parent == kRootInode && place.name == kTrashName) || place.parent == kTrashInode) {
    co_return EPERM;
  }
  if (!place.entry.has_value()) {
    co_return ENOENT;
  }
  if (place.entry->type != kTypeDirectory) {
    co_return ENOTDIR;
  }
  if (IsTrash(place.parent) && context->uid != 0) {
    co_return EPERM;
  }
  RemoveArguments arguments;
  arguments.parent = place.parent;
  arguments.name = place.name;
  arguments.skip_trash = skip_trash;
  if (!skip_trash) {
    error = co_await EnsureTrash(context, place.parent, &arguments.hour);
    if (error != 0) {
      co_return error;
    }
  }
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::RmdirBody, &arguments);
}

sim::Task<Status> Writer::RmdirBody(Attempt* attempt, RemoveArguments* arguments) {
  sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, arguments->parent, &arguments->name);
  Result<std::optional<Dentry>> entry = co_await std::move(find);
  if (!entry.ok()) {
    co_return entry.error();
  }
  if (!entry->has_value() || (*entry)->type != kTypeDirectory) {
    attempt->error = entry->has_value() ? ENOTDIR : ENOENT;
    co_return Status::Ok();
  }
  const Dentry dentry = **entry;
  Result<std::optional<Attr>> read_parent = co_await attempt->GetAttr(arguments->parent);
  if (!read_parent.ok()) {
    co_return read_parent.error();
  }
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(dentry.inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read_parent->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  Attr parent = **read_parent;
  if ((parent.flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  const Key first_entry = DentryKey(dentry.inode, "");
  Result<std::vector<std::pair<Key, Bytes>>> children = co_await attempt->ScanFamily(first_entry, 1);
  if (!children.ok()) {
    co_return children.error();
  }
  if (!children->empty()) {
    attempt->error = ENOTEMPTY;
    co_return Status::Ok();
  }
  if (read->has_value() && IsKeptBySticky(*attempt, parent, **read)) {
    attempt->error = EACCES;
    co_return Status::Ok();
  }
  attempt->RemoveDentry(arguments->parent, arguments->name, dentry.inode);
  attempt->DeleteRaw(DirStatKey(dentry.inode));
  if (read->has_value()) {
    const Attr attr = **read;
    sim::Task<Status> drop = DropDirectory(attempt, arguments->parent, &arguments->name, dentry, attr, arguments->hour);
    const Status dropped = co_await std::move(drop);
    CO_RETURN_IF_ERROR(dropped);
  }
  if (!IsTrash(arguments->parent)) {
    const bool nlink_changed = MayChangeNlink(*attempt);
    parent.nlink -= nlink_changed ? 1 : 0;
    if (TouchParent(*attempt, nlink_changed, &parent)) {
      attempt->PutAttr(arguments->parent, parent);
    }
  }
  const bool to_trash = read->has_value() && ((*read)->flags & kFlagSkipTrash) == 0;
  attempt->log = fmt::format("RMDIR({},{},{}):{}", arguments->parent.value(), ChangeLogText(arguments->name),
                             to_trash ? arguments->hour.value() : 0, dentry.inode.value());
  co_return Status::Ok();
}

sim::Task<Status> Writer::DropDirectory(Attempt* attempt, Inode parent, const Bytes* name, Dentry entry, Attr attr,
                                        Inode hour) {
  const Inode inode = entry.inode;
  if ((attr.flags & kFlagSkipTrash) != 0) {
    hour = Inode();
  }
  const Key quota = DirQuotaKey(inode);
  Result<std::optional<Bytes>> has_quota = co_await attempt->GetRaw(quota);
  if (!has_quota.ok()) {
    co_return has_quota.error();
  }
  if (has_quota->has_value()) {
    attempt->DeleteRaw(quota);
  }
  if (parent != kTrashInode) {  // an hour directory that expired: nobody keeps the trash's own statistics
    attempt->usage.AddEntry(parent, attr, -1);
  }
  if (hour.valid()) {
    SetChanged(&attr, options_.wall_ns());
    attr.parent = hour;
    const Bytes trash_name = TrashEntryName(parent, inode, *name);
    attempt->AddDentry(hour, trash_name, entry);
    attempt->PutAttr(inode, attr);
    attempt->usage.AddEntry(hour, attr, 1);
    co_return Status::Ok();
  }
  Result<std::vector<Bytes>> names = co_await attempt->ListXattrNames(inode);
  if (!names.ok()) {
    co_return names.error();
  }
  attempt->RemoveInode(inode, attr, *names);
  attempt->usage.AddInode(attr, -1);
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
