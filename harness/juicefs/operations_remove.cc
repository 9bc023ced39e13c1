// unlink and rmdir, with and without trash, and the deletion of a removed file's data.
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

DirStat StatOf(const Attr& attr, int64_t sign) {
  const uint64_t length = attr.type == kTypeFile ? attr.length : 0;
  return {sign * static_cast<int64_t>(length), sign * static_cast<int64_t>(SpaceOf(length)), sign};
}

}  // namespace

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
  if (error == 0 && arguments.data_deleted) {
    // In the background on a real mount; its failure is left to the hourly job and is not the user's.
    co_await DeleteFileData(context, arguments.inode, arguments.length);
  }
  co_return error;
}

sim::Task<Status> Writer::UnlinkBody(Attempt* attempt, RemoveArguments* arguments) {
  arguments->data_deleted = false;
  Result<std::optional<Dentry>> entry = co_await attempt->GetDentry(arguments->parent, arguments->name);
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
  const uint8_t flags = read->has_value() ? (*read)->flags : 0;
  if ((parent.flags & (kFlagImmutable | kFlagAppend)) != 0 || (flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
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
  if (!IsTrash(arguments->parent) && TouchParent(*attempt, false, &parent)) {
    attempt->PutAttr(arguments->parent, parent);
  }
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
  const bool several_links = !attr.parent.valid();
  attempt->usage.directories.push_back({parent, StatOf(attr, -1)});
  SetChanged(&attr, options_.wall_ns());
  const bool gone = !hour.valid() && attr.nlink <= 1;
  if (gone) {
    const Key first_xattr = XattrKey(inode, "");
    Result<std::vector<std::pair<Key, Bytes>>> xattrs = co_await attempt->ScanFamily(first_xattr, 0);
    if (!xattrs.ok()) {
      co_return xattrs.error();
    }
    std::vector<Bytes> names;
    for (const auto& [key, value] : *xattrs) {
      names.push_back(key.name);
    }
    attempt->RemoveInode(inode, attr, names);
    if (several_links) {
      const Key first_count = LinkCountKey(inode, Inode());
      Result<std::vector<std::pair<Key, Bytes>>> counts = co_await attempt->ScanFamily(first_count, 0);
      if (!counts.ok()) {
        co_return counts.error();
      }
      for (const auto& [key, value] : *counts) {
        attempt->DeleteRaw(key);
      }
    }
    if (attr.type == kTypeFile) {
      attempt->PutRaw(DeletedFileKey(inode, attr.length), EncodeInt64Be(WallSeconds()));
      outcome->data_deleted = true;
      outcome->inode = inode;
      outcome->length = attr.length;
    }
    attempt->usage.space -= attr.type == kTypeFile ? static_cast<int64_t>(SpaceOf(attr.length)) : 4096;
    attempt->usage.inodes -= 1;
    co_return Status::Ok();
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
    attempt->usage.directories.push_back({hour, StatOf(attr, 1)});
  } else {
    attr.nlink -= 1;
  }
  attempt->PutAttr(inode, attr);
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
  Result<std::optional<Dentry>> entry = co_await attempt->GetDentry(arguments->parent, arguments->name);
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
  attempt->usage.directories.push_back({parent, StatOf(attr, -1)});
  if (hour.valid()) {
    SetChanged(&attr, options_.wall_ns());
    attr.parent = hour;
    const Bytes trash_name = TrashEntryName(parent, inode, *name);
    attempt->AddDentry(hour, trash_name, entry);
    attempt->PutAttr(inode, attr);
    attempt->usage.directories.push_back({hour, StatOf(attr, 1)});
    co_return Status::Ok();
  }
  const Key first_xattr = XattrKey(inode, "");
  Result<std::vector<std::pair<Key, Bytes>>> xattrs = co_await attempt->ScanFamily(first_xattr, 0);
  if (!xattrs.ok()) {
    co_return xattrs.error();
  }
  std::vector<Bytes> names;
  for (const auto& [key, value] : *xattrs) {
    names.push_back(key.name);
  }
  attempt->RemoveInode(inode, attr, names);
  attempt->usage.space -= 4096;
  attempt->usage.inodes -= 1;
  co_return Status::Ok();
}

sim::Task<int> Writer::DeleteFileData(Context* context, Inode inode, uint64_t length) {
  ChunkDeletionArguments arguments;
  arguments.inode = inode;
  arguments.length = length;
  int error = co_await Run(context, TransactionKind::kDataDeletion, &Writer::ListChunks, &arguments);
  if (error != 0) {
    co_return error;
  }
  const std::vector<uint32_t> chunks = arguments.chunks;
  for (const uint32_t chunk : chunks) {
    arguments.chunk = chunk;
    error = co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteChunk, &arguments);
    for (const SliceName& slice : arguments.dropped) {
      if (error == 0 && options_.blocks != nullptr) {
        sim::Task<Status> remove = options_.blocks->Remove(context->label.Numbered("remove", slice.id), slice.id, slice.size);
        static_cast<void>(co_await std::move(remove));  // what stays behind is leaked, and found by the cleaner
      }
    }
    if (error == 0 && !arguments.dropped.empty()) {
      error = co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteMarker, &arguments);
    }
    if (error != 0) {
      co_return error;
    }
  }
  arguments.dropped.clear();
  co_return co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteMarker, &arguments);
}

sim::Task<Status> Writer::ListChunks(Attempt* attempt, ChunkDeletionArguments* arguments) {
  arguments->chunks.clear();
  const Key first = ChunkKey(arguments->inode, 0);
  Result<std::vector<std::pair<Key, Bytes>>> chunks = co_await attempt->ScanFamily(first, 0);
  if (!chunks.ok()) {
    co_return chunks.error();
  }
  for (const auto& [key, value] : *chunks) {
    arguments->chunks.push_back(static_cast<uint32_t>(key.number));
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::DeleteChunk(Attempt* attempt, ChunkDeletionArguments* arguments) {
  arguments->dropped.clear();
  Result<std::vector<SliceRecord>> records = co_await attempt->GetChunk(arguments->inode, arguments->chunk);
  if (!records.ok()) {
    co_return records.error();
  }
  std::map<SliceName, int64_t> references;
  for (const SliceRecord& record : *records) {
    if (record.id == 0) {
      continue;
    }
    const SliceName slice{record.id, record.size};
    if (references.find(slice) == references.end()) {
      const Key key = SliceReferencesKey(slice.id, slice.size);
      Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
      if (!value.ok()) {
        co_return value.error();
      }
      int64_t count = 0;
      if (value->has_value()) {
        Result<int64_t> decoded = DecodeInt64Le(**value);
        if (!decoded.ok()) {
          co_return decoded.error();
        }
        count = *decoded;
      }
      references[slice] = count;
    }
    references[slice] -= 1;
  }
  attempt->DeleteRaw(ChunkKey(arguments->inode, arguments->chunk));
  for (const auto& [slice, count] : references) {
    attempt->PutRaw(SliceReferencesKey(slice.id, slice.size), EncodeInt64Le(count));
    if (count < 0) {
      arguments->dropped.push_back(slice);
    }
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::DeleteMarker(Attempt* attempt, ChunkDeletionArguments* arguments) {
  for (const SliceName& slice : arguments->dropped) {
    attempt->DeleteRaw(SliceReferencesKey(slice.id, slice.size));
  }
  if (arguments->dropped.empty()) {
    attempt->DeleteRaw(DeletedFileKey(arguments->inode, arguments->length));
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
