// The trash's hours that are over, and trees that are emptied past the trash: batches of names in one transaction each.
#include <algorithm>
#include <cstdio>

#include "fakes/base/civil_time.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr size_t kEntriesPerTransaction = 10'000 / 6;  // of one batch unlink

/// The time of an hour directory; nullopt for a name of another form.
std::optional<int64_t> SecondsOfHour(const Bytes& name) {
  CivilTime at;
  int used = 0;
  if (std::sscanf(name.c_str(), "%4d-%2d-%2d-%2d%n", &at.year, &at.month, &at.day, &at.hour, &used) != 4 ||
      static_cast<size_t>(used) != name.size()) {
    return std::nullopt;
  }
  return ToUnixSeconds(at);
}

}  // namespace

sim::Task<void> Writer::ExpireHours(Context* context, int64_t edge_s) {
  const Bytes first = EncodeKey(DentryKey(kTrashInode, ""));
  sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, first, PrefixEnd(first));
  std::vector<std::pair<Key, Bytes>> found = co_await std::move(find);
  std::vector<std::pair<Inode, Bytes>> hours;
  for (const auto& [key, value] : found) {
    const Result<Dentry> hour = DecodeDentry(value);
    if (hour.ok()) {
      hours.emplace_back(hour->inode, key.name);
    }
  }
  std::sort(hours.begin(), hours.end());
  for (const auto& [inode, name] : hours) {
    const std::optional<int64_t> hour_s = SecondsOfHour(name);
    if (!hour_s.has_value()) {
      continue;
    }
    if (*hour_s >= edge_s || dead_) {
      break;
    }
    const int emptied = co_await EmptyDirectory(context, inode);
    if (emptied != 0) {
      break;  // a real client tries this one again and again until its time is over
    }
    RemoveArguments remove;
    remove.parent = kTrashInode;
    remove.name = name;
    co_await Run(context, TransactionKind::kCleanup, &Writer::RmdirBody, &remove);
  }
}

sim::Task<int> Writer::EmptyDirectory(Context* context, Inode directory) {
  while (!dead_) {
    const Bytes first = EncodeKey(DentryKey(directory, ""));
    FindArguments arguments;
    arguments.start = first;
    arguments.end = PrefixEnd(first);
    int error = co_await Run(context, TransactionKind::kCleanup, &Writer::FindRecords, &arguments);
    if (error != 0 || arguments.records.empty()) {
      co_return error;
    }
    BatchArguments batch;
    batch.parent = directory;
    const std::vector<std::pair<Key, Bytes>> entries = std::move(arguments.records);
    for (const auto& [key, value] : entries) {
      const Result<Dentry> entry = DecodeDentry(value);
      if (!entry.ok()) {
        co_return EIO;
      }
      if (entry->type != kTypeDirectory) {
        batch.entries.emplace_back(key.name, *entry);
        continue;
      }
      sim::Task<int> below = EmptyDirectory(context, entry->inode);
      error = co_await std::move(below);
      if (error == 0) {
        RemoveArguments remove;
        remove.parent = directory;
        remove.name = key.name;
        error = co_await Run(context, TransactionKind::kCleanup, &Writer::RmdirBody, &remove);
      }
      if (error != 0 && error != ENOENT && error != ENOTEMPTY) {  // not empty: somebody came in between, and it is emptied again
        co_return error;
      }
    }
    sim::Task<int> unlink = UnlinkBatches(context, std::move(batch));
    error = co_await std::move(unlink);
    if (error != 0) {
      co_return error;
    }
  }
  co_return EIO;
}

sim::Task<int> Writer::UnlinkBatches(Context* context, BatchArguments all) {
  for (size_t begin = 0; begin < all.entries.size(); begin += kEntriesPerTransaction) {
    const size_t end = std::min(begin + kEntriesPerTransaction, all.entries.size());
    BatchArguments batch;
    batch.parent = all.parent;
    batch.entries.assign(all.entries.begin() + static_cast<std::ptrdiff_t>(begin), all.entries.begin() + static_cast<std::ptrdiff_t>(end));
    const int error = co_await Run(context, TransactionKind::kCleanup, &Writer::UnlinkBatch, &batch);
    if (error != 0) {
      co_return error;
    }
    const std::vector<std::pair<Inode, uint64_t>> deleted = batch.deleted;
    for (const auto& [inode, length] : deleted) {
      co_await DeleteFileData(context, inode, length);
    }
  }
  co_return 0;
}

sim::Task<Status> Writer::UnlinkBatch(Attempt* attempt, BatchArguments* arguments) {
  arguments->deleted.clear();
  Result<std::optional<Attr>> parent = co_await attempt->GetAttr(arguments->parent);
  if (!parent.ok()) {
    co_return parent.error();
  }
  if (!parent->has_value() || (*parent)->type != kTypeDirectory) {
    attempt->error = parent->has_value() ? ENOTDIR : ENOENT;
    co_return Status::Ok();
  }
  if (((*parent)->flags & (kFlagAppend | kFlagImmutable)) != 0) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  std::vector<std::pair<Bytes, Inode>> present;
  std::map<Inode, Attr> attrs;
  for (const auto& [name, listed] : arguments->entries) {
    Result<std::optional<Dentry>> entry = co_await attempt->GetDentry(arguments->parent, name);
    if (!entry.ok()) {
      co_return entry.error();
    }
    if (*entry != listed) {
      continue;  // gone, or another one
    }
    present.emplace_back(name, listed.inode);
    const Inode inode = listed.inode;
    if (attrs.count(inode) == 0) {
      Result<std::optional<Attr>> attr = co_await attempt->GetAttr(inode);
      if (!attr.ok()) {
        co_return attr.error();
      }
      if (attr->has_value()) {
        attrs[inode] = **attr;
      }
    }
  }
  for (auto& [inode, attr] : attrs) {
    if ((attr.flags & (kFlagAppend | kFlagImmutable)) != 0) {
      attempt->error = EPERM;
      co_return Status::Ok();
    }
    SetChanged(&attr, options_.wall_ns());
  }
  for (const auto& [name, inode] : present) {
    attempt->RemoveDentry(arguments->parent, name, inode);
    const auto found = attrs.find(inode);
    if (found != attrs.end()) {
      found->second.nlink -= found->second.nlink > 0 ? 1 : 0;
      attempt->usage.AddEntry(arguments->parent, found->second, -1);
    }
  }
  sim::Task<Status> write = WriteUnlinked(attempt, arguments, &present, &attrs);
  const Status written = co_await std::move(write);
  CO_RETURN_IF_ERROR(written);
  Attr touched = **parent;
  if (!present.empty() && !IsTrash(arguments->parent) && TouchParent(*attempt, false, &touched)) {
    attempt->PutAttr(arguments->parent, touched);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::WriteUnlinked(Attempt* attempt, BatchArguments* arguments, const std::vector<std::pair<Bytes, Inode>>* present,
                                        const std::map<Inode, Attr>* attrs) {
  for (const auto& [inode, attr] : *attrs) {
    if (attr.nlink > 0) {
      attempt->PutAttr(inode, attr);
      const auto names = std::count_if(present->begin(), present->end(), [&of = inode](const auto& entry) { return entry.second == of; });
      if (!attr.parent.valid()) {
        Result<int64_t> count = co_await attempt->GetLinkCount(inode, arguments->parent);
        if (!count.ok()) {
          co_return count.error();
        }
        attempt->PutLinkCount(inode, arguments->parent, *count - names);
      }
      continue;
    }
    sim::Task<Status> remove = RemoveUnlinked(attempt, inode, attr);
    const Status removed = co_await std::move(remove);
    CO_RETURN_IF_ERROR(removed);
    if (attr.type == kTypeFile) {
      attempt->PutRaw(DeletedFileKey(inode, attr.length), EncodeInt64Be(WallSeconds()));
      arguments->deleted.emplace_back(inode, attr.length);
    }
    attempt->usage.AddInode(attr, -1);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::RemoveUnlinked(Attempt* attempt, Inode inode, Attr attr) {
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
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
