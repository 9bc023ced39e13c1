// `juicefs clone`: copies of records that share the slices.
//
// A file is one transaction. A directory is first made without a name, marked by an N record; its children follow in further transactions
// (directories one by one, all else in batches), and the last transaction gives the top its name. A client that dies in between leaves the
// unreachable tree and its mark; one that fails removes both. Directory statistics are copied as they are at that moment and stay wrong
// if they were late; directory link counts, too, are those of the moment.
// Unlike JuiceFS 1.4.1: every record counts a reference (there, a slice that one cloned file uses twice is counted once), and links of
// anything but directories start anew (there, only those of files), and a tree whose last transaction may have given it its name is not
// taken away (there it is, which leaves a name without an inode).
// Quotas above the target are charged with the summary of the source, and once more for each copy below it that is no directory: JuiceFS 1.4.2
// does so, and the quota says too much until it is repaired.
// Not modelled: threads; a listing is one scan where JuiceFS takes pages. The umask is 022.
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kUmask = 022;
constexpr int kPreserveMode = 2;  // in the change log
constexpr size_t kEntriesPerBatch = 4096;

}  // namespace

sim::Task<int> Writer::CloneAt(Context* context, const record::Clone* clone) {
  Place source;
  Bytes from = clone->from();
  sim::Task<int> find_source = Resolve(context, std::move(from), &source);
  int error = co_await std::move(find_source);
  if (error != 0) {
    co_return error;
  }
  Place target;
  Bytes to = clone->to();
  sim::Task<int> find_target = Resolve(context, std::move(to), &target);
  error = co_await std::move(find_target);
  if (error != 0) {
    co_return error;
  }
  if (!source.entry.has_value()) {
    co_return ENOENT;
  }
  if (IsTrash(source.entry->inode) || IsTrash(source.parent) || IsTrash(target.parent) ||
      (target.parent == kRootInode && target.name == kTrashName)) {
    co_return EPERM;
  }
  if (target.entry.has_value()) {
    co_return EEXIST;
  }
  Attr attr;
  error = co_await ReadAttr(context, source.entry->inode, &attr);
  if (error != 0) {
    co_return error;
  }
  TreeSize size;
  sim::Task<int> summarize = Summarize(context, source.entry->inode, true, &size);
  error = co_await std::move(summarize);
  if (error != 0) {
    co_return error;
  }
  std::vector<Inode> parents(1, target.parent);
  sim::Task<int> check = CheckQuota(size.space, size.inodes, context->uid, context->gid, std::move(parents));
  error = co_await std::move(check);
  if (error != 0) {
    co_return error;
  }
  CloneArguments arguments;
  arguments.source = source.entry->inode;
  arguments.parent = target.parent;
  arguments.name = target.name;
  arguments.top = true;
  arguments.preserve = clone->preserve();
  arguments.uid = context->uid;
  arguments.gid = context->gid;
  Inode made;
  sim::Task<int> copy = CloneEntry(context, arguments, &made);
  error = co_await std::move(copy);
  if (attr.type == kTypeDirectory) {
    arguments.made = made;
    if (error == 0) {
      error = co_await Run(context, TransactionKind::kOperation, &Writer::AttachBody, &arguments);
    }
    if (error != 0 && made.valid() && !context->result.undetermined) {
      sim::Task<int> empty = EmptyDirectory(context, made, true);
      const int emptied = co_await std::move(empty);
      if (emptied == 0) {
        co_await Run(context, TransactionKind::kOperation, &Writer::RemoveDetachedBody, &arguments);
      }
    }
  }
  if (error == 0) {
    UsageDelta entry;
    const auto space = static_cast<int64_t>(SpaceOf(attr.length));
    entry.directories.push_back({target.parent, DirStat{static_cast<int64_t>(attr.length), space, 1}});  // of a directory, 4096, too
    AddUsage(entry);
    std::vector<TreeUsage> trees(1, TreeUsage{target.parent, size.space, size.inodes});
    co_await ChargeTrees(std::move(trees));
  }
  co_return error;
}

Attr Writer::ClonedAttr(const CloneArguments& arguments, const Attr& source, Inode parent) const {
  Attr attr = source;
  attr.parent = parent;
  if (!arguments.preserve) {
    attr.uid = arguments.uid;
    attr.gid = arguments.gid;
    attr.mode = static_cast<uint16_t>(attr.mode & ~kUmask);
    SetModified(&attr, options_.wall_ns());
    attr.atime_s = attr.mtime_s;
    attr.atime_ns = attr.mtime_ns;
  }
  if (attr.type != kTypeDirectory) {
    attr.nlink = 1;
  }
  return attr;
}

sim::Task<int> Writer::CloneEntry(Context* context, CloneArguments arguments, Inode* made) {
  int error = co_await TakeInode(context, &arguments.made);
  if (error != 0) {
    co_return error;
  }
  *made = arguments.made;
  error = co_await Run(context, TransactionKind::kOperation, &Writer::CloneBody, &arguments);
  if (error != 0 || arguments.source_attr.type != kTypeDirectory) {
    co_return error;
  }
  sim::Task<int> children = CloneChildren(context, &arguments, arguments.made);
  co_return co_await std::move(children);
}

sim::Task<int> Writer::CloneChildren(Context* context, const CloneArguments* directory, Inode made) {
  ListArguments list;
  list.inode = directory->source;
  int error = co_await Run(context, TransactionKind::kOperation, &Writer::ListBody, &list);
  if (error != 0) {
    co_return error;
  }
  CloneArguments child;
  child.parent = made;
  child.preserve = directory->preserve;
  child.uid = directory->uid;
  child.gid = directory->gid;
  bool skipped = false;
  for (size_t begin = 0; begin < list.names.size(); begin += kEntriesPerBatch) {
    CloneArguments batch = child;
    for (size_t i = begin; i < std::min(list.names.size(), begin + kEntriesPerBatch); ++i) {
      if (list.entries[i].type != kTypeDirectory) {
        batch.children.emplace_back(list.names[i], list.entries[i].inode);
        continue;
      }
      child.source = list.entries[i].inode;
      child.name = list.names[i];
      Inode below;
      sim::Task<int> copy = CloneEntry(context, child, &below);
      error = co_await std::move(copy);
      if (error == ENOENT) {
        skipped = true;  // gone meanwhile
      } else if (error != 0) {
        co_return error;
      }
    }
    for (size_t i = 0; i < batch.children.size(); ++i) {
      Inode number;
      error = co_await TakeInode(context, &number);
      if (error != 0) {
        co_return error;
      }
      batch.children_made.push_back(number);
    }
    if (!batch.children.empty()) {
      error = co_await Run(context, TransactionKind::kOperation, &Writer::CloneBatchBody, &batch);
      if (error != 0) {
        co_return error;
      }
    }
  }
  if (skipped) {
    child.made = made;
    co_await Run(context, TransactionKind::kOperation, &Writer::RepairNlinkBody, &child);
  }
  co_return 0;
}

sim::Task<Status> Writer::CloneBody(Attempt* attempt, CloneArguments* arguments) {
  CloneArguments& a = *arguments;
  Result<std::optional<Attr>> source = co_await attempt->GetAttr(a.source);
  if (!source.ok()) {
    co_return source.error();
  }
  if (!source->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  a.source_attr = **source;
  const Attr attr = ClonedAttr(a, a.source_attr, a.parent);
  const bool directory = attr.type == kTypeDirectory;
  if (a.top) {
    Result<std::optional<Attr>> read_parent = co_await attempt->GetAttr(a.parent);
    if (!read_parent.ok()) {
      co_return read_parent.error();
    }
    if (!read_parent->has_value() || (*read_parent)->type != kTypeDirectory) {
      attempt->error = read_parent->has_value() ? ENOTDIR : ENOENT;
      co_return Status::Ok();
    }
    Attr parent = **read_parent;
    Result<std::optional<Dentry>> present = co_await attempt->GetDentry(a.parent, a.name);
    if (!present.ok()) {
      co_return present.error();
    }
    if ((parent.flags & kFlagImmutable) != 0 || present->has_value()) {
      attempt->error = present->has_value() ? EEXIST : EPERM;
      co_return Status::Ok();
    }
    if (!directory) {
      SetModified(&parent, options_.wall_ns());
      attempt->PutAttr(a.parent, parent);
    }
  }
  attempt->PutAttr(a.made, attr);
  sim::Task<Status> copy = CopyRecords(attempt, a.source, a.made, &a.source_attr);
  const Status copied = co_await std::move(copy);
  CO_RETURN_IF_ERROR(copied);
  if (directory && a.top) {
    attempt->PutRaw(DetachedKey(a.made), EncodeInt64Be(WallSeconds()));
  } else {
    attempt->AddDentry(a.parent, a.name, Dentry{attr.type, a.made});
  }
  attempt->usage.AddInode(attr, 1);
  attempt->log = fmt::format("CLONE({},{},{},{},{},{},{}):{}", a.source.value(), a.parent.value(), ChangeLogText(a.name), a.made.value(),
                             a.preserve ? kPreserveMode : 0, kUmask, a.top, a.made.value());
  co_return Status::Ok();
}

// Has no text in the change log, as in JuiceFS.
sim::Task<Status> Writer::CloneBatchBody(Attempt* attempt, CloneArguments* arguments) {
  const CloneArguments& a = *arguments;
  Result<std::optional<Attr>> parent = co_await attempt->GetAttr(a.parent);
  if (!parent.ok()) {
    co_return parent.error();
  }
  if (!parent->has_value() || (*parent)->type != kTypeDirectory) {
    attempt->error = parent->has_value() ? ENOTDIR : ENOENT;
  } else if (((*parent)->flags & kFlagImmutable) != 0) {
    attempt->error = EPERM;
  }
  for (size_t i = 0; attempt->error == 0 && i < a.children.size(); ++i) {
    Bytes name = a.children[i].first;
    const Inode from = a.children[i].second;
    Result<std::optional<Attr>> source = co_await attempt->GetAttr(from);
    if (!source.ok()) {
      co_return source.error();
    }
    sim::Task<Result<std::optional<Dentry>>> find = FindEntry(attempt, a.parent, &name);
    Result<std::optional<Dentry>> present = co_await std::move(find);
    if (!present.ok()) {
      co_return present.error();
    }
    if (!source->has_value() || (*source)->type == kTypeDirectory || present->has_value()) {
      attempt->error = !source->has_value() ? ENOENT : present->has_value() ? EEXIST : EINVAL;
      continue;
    }
    const Attr source_attr = **source;
    const Attr attr = ClonedAttr(a, source_attr, a.parent);
    const Inode made = a.children_made[i];
    attempt->PutAttr(made, attr);
    attempt->AddDentry(a.parent, name, Dentry{attr.type, made});
    sim::Task<Status> copy = CopyRecords(attempt, from, made, &source_attr);
    const Status copied = co_await std::move(copy);
    CO_RETURN_IF_ERROR(copied);
    attempt->usage.AddInode(attr, 1);
    attempt->usage.trees.push_back({a.parent, static_cast<int64_t>(SpaceOf(attr.length)), 1});
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::CopyRecords(Attempt* attempt, Inode from, Inode to, const Attr* attr) {
  const Key first_xattr = XattrKey(from, "");
  Result<std::vector<std::pair<Key, Bytes>>> xattrs = co_await attempt->ScanFamily(first_xattr, 0);
  if (!xattrs.ok()) {
    co_return xattrs.error();
  }
  for (const auto& [key, value] : *xattrs) {
    attempt->PutXattr(to, key.name, value);
  }
  if (attr->type == kTypeDirectory) {
    const Key key = DirStatKey(from);
    Result<std::optional<Bytes>> stat = co_await attempt->GetRaw(key);
    if (!stat.ok()) {
      co_return stat.error();
    }
    if (!stat->has_value()) {
      attempt->error = EIO;  // an empty value, which TiKV's client refuses
      co_return Status::Ok();
    }
    attempt->PutRaw(DirStatKey(to), **stat);
  } else if (attr->type == kTypeSymlink) {
    const Key key = SymlinkKey(from);
    Result<std::optional<Bytes>> target = co_await attempt->GetRaw(key);
    if (!target.ok()) {
      co_return target.error();
    }
    if (!target->has_value()) {
      attempt->error = ENOENT;
      co_return Status::Ok();
    }
    attempt->PutSymlink(to, **target);
  } else if (attr->type == kTypeFile && attr->length > 0) {
    Result<std::map<uint32_t, std::vector<SliceRecord>>> chunks =
        co_await attempt->ScanChunks(from, 0, static_cast<uint32_t>(attr->length / kChunkBytes));
    if (!chunks.ok()) {
      co_return chunks.error();
    }
    std::map<SliceName, int64_t> references;
    for (const auto& [index, records] : *chunks) {
      attempt->AppendSlices(to, index, {}, records);
      for (const SliceRecord& record : records) {
        if (record.id != 0) {
          references[{record.id, record.size}] += 1;
        }
      }
    }
    sim::Task<Status> count = attempt->AddReferences(std::move(references));
    co_return co_await std::move(count);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::AttachBody(Attempt* attempt, CloneArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->parent);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value() || (*read)->parent > kTrashInode) {
    attempt->error = ENOENT;
  } else if ((*read)->type != kTypeDirectory) {
    attempt->error = ENOTDIR;
  } else if (((*read)->flags & kFlagImmutable) != 0) {
    attempt->error = EPERM;
  }
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  Result<std::optional<Dentry>> present = co_await attempt->GetDentry(arguments->parent, arguments->name);
  if (!present.ok()) {
    co_return present.error();
  }
  if (present->has_value()) {
    attempt->error = EEXIST;
    co_return Status::Ok();
  }
  Attr parent = **read;
  parent.nlink += 1;
  SetModified(&parent, options_.wall_ns());
  attempt->PutAttr(arguments->parent, parent);
  attempt->AddDentry(arguments->parent, arguments->name, Dentry{kTypeDirectory, arguments->made});
  attempt->DeleteRaw(DetachedKey(arguments->made));
  attempt->log = fmt::format("ATTACH({},{},{})", arguments->made.value(), arguments->parent.value(), ChangeLogText(arguments->name));
  co_return Status::Ok();
}

sim::Task<Status> Writer::RemoveDetachedBody(Attempt* attempt, CloneArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->made);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    co_return Status::Ok();
  }
  const Attr attr = **read;
  Result<std::vector<Bytes>> names = co_await attempt->ListXattrNames(arguments->made);
  if (!names.ok()) {
    co_return names.error();
  }
  attempt->RemoveInode(arguments->made, attr, *names);
  attempt->DeleteRaw(DirStatKey(arguments->made));
  attempt->DeleteRaw(DetachedKey(arguments->made));
  attempt->log = fmt::format("CLEANUP({})", arguments->made.value());
  attempt->usage.AddInode(attr, -1);
  co_return Status::Ok();
}

sim::Task<Status> Writer::RepairNlinkBody(Attempt* attempt, CloneArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->made);
  if (!read.ok()) {
    co_return read.error();
  }
  ListArguments list;
  list.inode = arguments->made;
  sim::Task<Status> listing = ListBody(attempt, &list);
  const Status listed = co_await std::move(listing);
  CO_RETURN_IF_ERROR(listed);
  if (!read->has_value()) {
    co_return Status::Ok();
  }
  Attr attr = **read;
  attr.nlink = 2 + static_cast<uint32_t>(std::count_if(list.entries.begin(), list.entries.end(),
                                                       [](const Dentry& entry) { return entry.type == kTypeDirectory; }));
  attempt->PutAttr(arguments->made, attr);
  attempt->log = fmt::format("REPAIRDIR({})", arguments->made.value());
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
