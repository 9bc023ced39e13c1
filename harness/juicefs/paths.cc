// Look-ups of paths by point reads, and the hour directories of the trash.
#include <fmt/format.h>

#include "harness/juicefs/case_folding.h"
#include "harness/juicefs/change_log.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

sim::Task<int> Writer::Resolve(Context* context, Bytes path, Place* place) {
  sim::Label label = context->label / "lookup";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  Inode directory = kRootInode;
  place->parent = kRootInode;
  place->name.clear();
  place->entry = Dentry{kTypeDirectory, kRootInode};
  place->attr.reset();
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    Bytes name = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (name.empty() || name == ".") {
      continue;
    }
    if (!place->entry.has_value()) {
      co_return ENOENT;  // a directory on the way is missing
    }
    if (place->entry->type != kTypeDirectory) {
      co_return ENOTDIR;
    }
    if (name == ".." || name.find('\0') != Bytes::npos) {
      co_return EINVAL;
    }
    if (name.size() > kNameBytesMax) {
      co_return ENAMETOOLONG;
    }
    directory = place->entry->inode;
    place->parent = directory;
    place->name = name;
    place->attr.reset();
    if (directory == kRootInode && name == kTrashName) {
      place->entry = Dentry{kTypeDirectory, kTrashInode};  // answered without a record
      continue;
    }
    // place->name stays as it was asked for: on a case-insensitive mount each operation looks for its case again.
    sim::Task<Result<std::optional<Dentry>>> find = FindEntry(&reader, directory, &name);
    Result<std::optional<Dentry>> entry = co_await std::move(find);
    if (!entry.ok()) {
      co_return EIO;
    }
    place->entry = *entry;
    if (entry->has_value()) {
      // The real look-up reads the attribute too; a missing one leaves the type only.
      const Inode inode = (*entry)->inode;
      Result<std::optional<Attr>> attr = co_await reader.GetAttr(inode);
      if (!attr.ok()) {
        co_return EIO;
      }
      place->attr = *attr;
    }
  }
  co_return 0;
}

sim::Task<Result<std::optional<Dentry>>> Writer::FindEntry(Attempt* attempt, Inode directory, Bytes* name) {
  const Bytes exact = *name;
  Result<std::optional<Dentry>> entry = co_await attempt->GetDentry(directory, exact);
  if (!entry.ok() || entry->has_value() || !options_.mount.case_insensitive) {
    co_return entry;
  }
  Context context = MakeContext(label_.Numbered("case", ++case_reads_));
  ListArguments list;
  list.inode = directory;
  const int error = co_await Run(&context, TransactionKind::kOperation, &Writer::ListBody, &list);
  const Bytes folded = FoldCase(*name);
  for (size_t i = 0; error == 0 && i < list.names.size(); ++i) {
    if (FoldCase(list.names[i]) == folded) {
      *name = list.names[i];
      co_return std::optional<Dentry>(list.entries[i]);
    }
  }
  co_return std::optional<Dentry>();
}

sim::Task<int> Writer::ResolveExisting(Context* context, Bytes path, Dentry* entry) {
  Place place;
  sim::Task<int> resolve = Resolve(context, std::move(path), &place);
  const int error = co_await std::move(resolve);
  if (error != 0) {
    co_return error;
  }
  if (!place.entry.has_value()) {
    co_return ENOENT;
  }
  *entry = *place.entry;
  co_return 0;
}

sim::Task<int> Writer::EnsureTrash(Context* context, Inode parent, Inode* hour) {
  *hour = Inode();
  if (setting_.trash_days == 0 || IsTrash(parent)) {
    co_return 0;
  }
  TrashArguments arguments;
  arguments.name = TrashHourName(options_.wall_ns());
  if (arguments.name == trash_hour_name_) {
    *hour = trash_hour_;
    co_return 0;
  }
  sim::Label label = context->label / "trash";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  Result<std::optional<Dentry>> present = co_await reader.GetDentry(kTrashInode, arguments.name);
  if (!present.ok()) {
    co_return EIO;
  }
  if (present->has_value()) {
    arguments.hour = (*present)->inode;
  } else {
    const int error = co_await Run(context, TransactionKind::kTrashDirectory, &Writer::MakeTrashDirectory, &arguments);
    if (error != 0) {
      co_return error;
    }
  }
  trash_hour_name_ = arguments.name;
  trash_hour_ = arguments.hour;
  *hour = arguments.hour;
  co_return 0;
}

sim::Task<Status> Writer::MakeTrashDirectory(Attempt* attempt, TrashArguments* arguments) {
  Result<std::optional<Attr>> trash = co_await attempt->GetAttr(kTrashInode);
  if (!trash.ok()) {
    co_return trash.error();
  }
  Result<std::optional<Dentry>> present = co_await attempt->GetDentry(kTrashInode, arguments->name);
  if (!present.ok()) {
    co_return present.error();
  }
  if (present->has_value()) {
    arguments->hour = (*present)->inode;
    co_return Status::Ok();
  }
  if (!trash->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  Result<int64_t> number = co_await attempt->GetCounter("nextTrash");
  if (!number.ok()) {
    co_return number.error();
  }
  arguments->hour = Inode(kTrashInode.value() + static_cast<uint64_t>(*number + 1));
  Attr attr;
  attr.type = kTypeDirectory;
  attr.mode = 0555;
  attr.nlink = 2;
  attr.length = kDirectoryBytes;
  attr.parent = kTrashInode;
  SetModified(&attr, options_.wall_ns());
  attr.atime_s = attr.mtime_s;
  attr.atime_ns = attr.mtime_ns;
  attempt->PutCounter("nextTrash", *number + 1);
  attempt->AddDentry(kTrashInode, arguments->name, Dentry{kTypeDirectory, arguments->hour});
  attempt->PutAttr(arguments->hour, attr);
  attempt->PutRaw(DirStatKey(arguments->hour), EncodeDirStat({}));
  attempt->usage.space = 4096;
  attempt->usage.inodes = 1;
  attempt->log = fmt::format("CREATE({},{},0,0,{},{},0,,linux,false):{}", kTrashInode.value(), ChangeLogText(arguments->name), kTypeDirectory,
                             attr.mode, arguments->hour.value());
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
