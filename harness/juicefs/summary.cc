// How much lies at an inode and below it: what `juicefs info`, a new quota, a clone and a rename between quotas ask for.
//
// Modelled: directories are counted by their statistics where the volume keeps them (a missing record is counted anew and written), with what
// this session has not flushed yet on top; one with at most two links is not listed. Without statistics entries are listed and their attributes
// read. What other sessions have not flushed is not in it, and what changes meanwhile is counted half: the numbers that come of it stay a
// little wrong. Not modelled: the threads. Source: JuiceFS 1.4, summary of base metadata.
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

/// Of the attribute alone: whole pages, also of a link's target and of what has no content.
int64_t SpaceOfInode(const Attr& attr) { return static_cast<int64_t>(attr.type == kTypeDirectory ? SpaceOf(0) : SpaceOf(attr.length)); }

}  // namespace

sim::Task<int> Writer::Summarize(Context* context, Inode inode, bool with_own, TreeSize* size) {
  *size = TreeSize();
  Attr attr;
  sim::Task<int> read = ReadAttrAt(context->label.Numbered("summary", inode.value()), inode, &attr);
  int error = co_await std::move(read);
  if (error != 0) {
    co_return error;
  }
  *size = {SpaceOfInode(attr), 1};
  std::vector<Inode> left;
  if (attr.type == kTypeDirectory) {
    left.push_back(inode);
  }
  std::set<Inode> seen;  // two sessions may have made a cycle
  while (!left.empty()) {
    const Inode directory = left.back();
    left.pop_back();
    if (!seen.insert(directory).second) {
      continue;
    }
    sim::Task<int> add = AddDirectory(context, directory, with_own, size, &left);
    error = co_await std::move(add);
    if (error != 0 && (error != ENOENT || directory == inode)) {
      co_return error;
    }
  }
  co_return 0;
}

sim::Task<int> Writer::AddDirectory(Context* context, Inode directory, bool with_own, TreeSize* size, std::vector<Inode>* below) {
  DirStat stat;
  if (setting_.dir_stats) {
    sim::Task<int> read_stat = ReadDirStat(context, directory, &stat);
    int error = co_await std::move(read_stat);
    if (error != 0) {
      co_return error;
    }
    if (const auto own = pending_directories_.find(directory); with_own && own != pending_directories_.end()) {
      stat.space += own->second.space;
      stat.inodes += own->second.inodes;
    }
    size->space += stat.space;
    Attr attr;
    sim::Task<int> read = ReadAttrAt(context->label.Numbered("summary", directory.value()) / "links", directory, &attr);
    error = co_await std::move(read);
    if (error != 0) {
      co_return error;
    }
    if (attr.nlink <= 2) {
      size->inodes += stat.inodes;
      co_return 0;
    }
  }
  ListArguments list;
  list.inode = directory;
  const int error = co_await Run(context, TransactionKind::kOperation, &Writer::ListBody, &list);
  if (error != 0) {
    co_return error;
  }
  for (const Dentry& entry : list.entries) {
    size->inodes += 1;
    if (entry.type == kTypeDirectory) {
      below->push_back(entry.inode);
    }
    if (!setting_.dir_stats) {
      Attr attr;
      sim::Task<int> read = ReadAttrAt(context->label.Numbered("summary", entry.inode.value()), entry.inode, &attr);
      const int failed = co_await std::move(read);
      if (failed == EIO) {
        co_return EIO;
      }
      size->space += failed == 0 ? SpaceOfInode(attr) : static_cast<int64_t>(SpaceOf(0));
    }
  }
  co_return 0;
}

sim::Task<int> Writer::ReadDirStat(Context* context, Inode directory, DirStat* stat) {
  sim::Task<Result<std::optional<Bytes>>> read = PointRead(context->label.Numbered("statistics", directory.value()), DirStatKey(directory));
  const Result<std::optional<Bytes>> value = co_await std::move(read);
  if (!value.ok()) {
    co_return EIO;
  }
  if (!value->has_value()) {
    FlushArguments recount;
    recount.directory = directory;
    const int error = co_await Run(context, TransactionKind::kUsageFlush, &Writer::RecountDirectory, &recount);
    *stat = recount.counted;
    co_return error;
  }
  const Result<DirStat> stored = DecodeDirStat(**value);
  *stat = stored.ok() ? *stored : DirStat();
  co_return stored.ok() ? 0 : EIO;
}

sim::Task<int> Writer::ReadAttrAt(sim::Label label, Inode inode, Attr* attr) {
  sim::Task<Result<std::optional<Bytes>>> read = PointRead(std::move(label), AttrKey(inode));
  const Result<std::optional<Bytes>> value = co_await std::move(read);
  if (!value.ok() || !value->has_value()) {
    co_return value.ok() ? ENOENT : EIO;
  }
  const Result<Attr> decoded = DecodeAttr(**value);
  *attr = decoded.ok() ? *decoded : Attr();
  co_return decoded.ok() ? 0 : EIO;
}

}  // namespace kvjury::juicefs
