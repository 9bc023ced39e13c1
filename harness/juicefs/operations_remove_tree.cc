// `juicefs rmr`: a tree is emptied from below, files by batches of up to 1666 entries in one transaction each, then each directory.
//
// Entries of a batch follow the rules of unlink, with one difference: the attribute of a file with several names in the batch is
// written once. What others create meanwhile is listed again; a name that leads elsewhere by then is left alone.
// Not modelled: threads; a listing is one scan where JuiceFS takes 10,000 entries at a time.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr size_t kEntriesPerBatch = 1666;
constexpr int kRoundsMax = 50;  // of emptying one directory into which others write

}  // namespace

sim::Task<int> Writer::RemoveTreeAt(Context* context, Bytes path, bool skip_trash) {
  Place place;
  Bytes copy = path;
  sim::Task<int> resolve = Resolve(context, std::move(copy), &place);
  const int error = co_await std::move(resolve);
  if (error != 0) {
    co_return error;
  }
  if (place.name.empty()) {
    co_return EBUSY;
  }
  if (!place.entry.has_value()) {
    co_return ENOENT;
  }
  if (place.entry->type != kTypeDirectory) {
    co_return co_await UnlinkAt(context, std::move(path), skip_trash);
  }
  RemoveArguments entry;
  entry.parent = place.parent;
  entry.name = place.name;
  entry.inode = place.entry->inode;
  entry.skip_trash = skip_trash;
  sim::Task<int> remove = RemoveDirectoryTree(context, std::move(entry));
  co_return co_await std::move(remove);
}

sim::Task<int> Writer::RemoveDirectoryTree(Context* context, RemoveArguments entry) {
  int error = 0;
  for (int round = 0; round < kRoundsMax; ++round) {
    sim::Task<int> empty = EmptyDirectory(context, entry.inode, entry.skip_trash);
    error = co_await std::move(empty);
    if (error != 0 || IsTrash(entry.inode)) {
      co_return error;
    }
    if (!entry.skip_trash) {
      error = co_await EnsureTrash(context, entry.parent, &entry.hour);
      if (error != 0) {
        co_return error;
      }
    }
    error = co_await Run(context, context->kind, &Writer::RmdirBody, &entry);
    if (error != ENOTEMPTY) {
      co_return error;
    }
  }
  co_return error;
}

sim::Task<int> Writer::EmptyDirectory(Context* context, Inode directory, bool skip_trash) {
  for (int round = 0; round < kRoundsMax; ++round) {
    ListArguments list;
    list.inode = directory;
    int error = co_await Run(context, context->kind, &Writer::ListBody, &list);
    if (error != 0 || list.names.empty()) {
      co_return error;
    }
    std::vector<std::pair<Bytes, Inode>> files;
    for (size_t i = 0; i < list.names.size(); ++i) {
      if (list.entries[i].type != kTypeDirectory) {
        files.emplace_back(list.names[i], list.entries[i].inode);
        continue;
      }
      RemoveArguments child;
      child.parent = directory;
      child.name = list.names[i];
      child.inode = list.entries[i].inode;
      child.skip_trash = skip_trash;
      sim::Task<int> remove = RemoveDirectoryTree(context, std::move(child));
      error = co_await std::move(remove);
      if (error != 0 && error != ENOENT) {
        co_return error;
      }
    }
    sim::Task<int> unlink = BatchUnlink(context, directory, std::move(files), skip_trash);
    error = co_await std::move(unlink);
    if (error != 0 || directory == kTrashInode) {
      co_return error;  // the hour directories stay
    }
  }
  co_return ENOTEMPTY;
}

sim::Task<int> Writer::BatchUnlink(Context* context, Inode directory, std::vector<std::pair<Bytes, Inode>> names, bool skip_trash) {
  for (size_t begin = 0; begin < names.size(); begin += kEntriesPerBatch) {
    BatchUnlinkArguments arguments;
    arguments.directory = directory;
    const size_t end = std::min(names.size(), begin + kEntriesPerBatch);
    arguments.names.assign(names.begin() + static_cast<ptrdiff_t>(begin), names.begin() + static_cast<ptrdiff_t>(end));
    int error = 0;
    if (!skip_trash) {
      error = co_await EnsureTrash(context, directory, &arguments.hour);
    }
    if (error == 0) {
      error = co_await Run(context, context->kind, &Writer::BatchUnlinkBody, &arguments);
    }
    if (error != 0) {
      co_return error;
    }
    for (const RemoveArguments& dropped : arguments.dropped) {
      co_await AfterDrop(context, dropped);
    }
  }
  co_return 0;
}

sim::Task<Status> Writer::BatchUnlinkRead(Attempt* attempt, BatchUnlinkArguments* arguments) {
  BatchUnlinkArguments& a = *arguments;
  a.entries.clear();
  a.attrs.clear();
  a.dropped.clear();
  Result<std::optional<Attr>> parent = co_await attempt->GetAttr(a.directory);
  if (!parent.ok()) {
    co_return parent.error();
  }
  if (!parent->has_value() || (*parent)->type != kTypeDirectory) {
    attempt->error = parent->has_value() ? ENOTDIR : ENOENT;
    co_return Status::Ok();
  }
  a.parent = **parent;
  if ((a.parent.flags & (kFlagImmutable | kFlagAppend)) != 0) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  for (const auto& [name, listed] : a.names) {
    const Bytes entry_name = name;
    Result<std::optional<Dentry>> entry = co_await attempt->GetDentry(a.directory, entry_name);
    if (!entry.ok()) {
      co_return entry.error();
    }
    if (entry->has_value() && (*entry)->inode == listed && (*entry)->type != kTypeDirectory) {
      a.entries.push_back({entry_name, **entry, a.hour});
    }
  }
  for (BatchUnlinkArguments::Entry& entry : a.entries) {
    const Inode inode = entry.dentry.inode;
    Result<std::optional<Attr>> attr = co_await attempt->GetAttr(inode);
    if (!attr.ok()) {
      co_return attr.error();
    }
    if (!attr->has_value()) {
      continue;
    }
    if (((*attr)->flags & (kFlagImmutable | kFlagAppend)) != 0) {
      attempt->error = EPERM;
      co_return Status::Ok();
    }
    if (((*attr)->flags & kFlagSkipTrash) != 0) {
      entry.hour = Inode();
    }
    a.attrs.emplace(inode, **attr);
  }
  for (BatchUnlinkArguments::Entry& entry : a.entries) {
    const auto found = a.attrs.find(entry.dentry.inode);
    if (found == a.attrs.end()) {
      continue;
    }
    Attr& attr = found->second;
    if (entry.hour.valid() && attr.nlink > 1) {
      const Bytes trash_name = TrashEntryName(a.directory, entry.dentry.inode, entry.name);
      Result<std::optional<Dentry>> present = co_await attempt->GetDentry(entry.hour, trash_name);
      if (!present.ok()) {
        co_return present.error();
      }
      if (present->has_value()) {
        entry.hour = Inode();
      }
    }
    SetChanged(&attr, options_.wall_ns());
    if (entry.hour.valid() && attr.parent.valid()) {
      attr.parent = entry.hour;
    }
    if (!entry.hour.valid() && attr.nlink > 0) {
      attr.nlink -= 1;
    }
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::BatchUnlinkBody(Attempt* attempt, BatchUnlinkArguments* arguments) {
  sim::Task<Status> reading = BatchUnlinkRead(attempt, arguments);
  const Status read = co_await std::move(reading);
  CO_RETURN_IF_ERROR(read);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  BatchUnlinkArguments& a = *arguments;
  std::set<Inode> written;
  for (const BatchUnlinkArguments::Entry& entry : a.entries) {
    const Inode inode = entry.dentry.inode;
    attempt->RemoveDentry(a.directory, entry.name, inode);
    const auto found = a.attrs.find(inode);
    if (found == a.attrs.end()) {
      continue;  // a name without an inode
    }
    const Attr attr = found->second;
    attempt->usage.AddEntry(a.directory, attr, -1);
    if (written.insert(inode).second) {
      if (attr.nlink > 0) {
        attempt->PutAttr(inode, attr);
      } else {
        a.dropped.emplace_back();
        sim::Task<Status> drop = DropLastLink(attempt, inode, attr, &a.dropped.back());
        const Status dropped = co_await std::move(drop);
        CO_RETURN_IF_ERROR(dropped);
      }
    }
    if (entry.hour.valid()) {
      attempt->AddDentry(entry.hour, TrashEntryName(a.directory, inode, entry.name), entry.dentry);
      attempt->usage.AddEntry(entry.hour, attr, 1);
    }
    if (attr.parent.valid() || attr.nlink == 0) {
      continue;
    }
    if (entry.hour.valid()) {
      Result<int64_t> in_trash = co_await attempt->GetLinkCount(inode, entry.hour);
      if (!in_trash.ok()) {
        co_return in_trash.error();
      }
      attempt->PutLinkCount(inode, entry.hour, *in_trash + 1);
    }
    Result<int64_t> here = co_await attempt->GetLinkCount(inode, a.directory);
    if (!here.ok()) {
      co_return here.error();
    }
    attempt->PutLinkCount(inode, a.directory, *here - 1);
  }
  if (a.entries.empty()) {
    co_return Status::Ok();
  }
  const bool parent_changed = !IsTrash(a.directory) && TouchParent(*attempt, false, &a.parent);
  if (parent_changed) {
    attempt->PutAttr(a.directory, a.parent);
  }
  std::vector<std::string> names;
  std::vector<uint64_t> inodes;
  for (const BatchUnlinkArguments::Entry& entry : a.entries) {
    names.push_back(ChangeLogText(entry.name));
    inodes.push_back(entry.dentry.inode.value());
  }
  attempt->log = fmt::format("UNLINKBATCH({},{},{},{}):{}", a.directory.value(), fmt::join(names, ","), a.hour.value(), parent_changed,
                             fmt::join(inodes, ","));
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
