// statfs: the volume's numbers as the store counts them now, with what this session has not flushed; below a quota those of the quota as the
// session knows them, without what it has not flushed.
//
// Modelled: a mount without --fast-statfs, which reads both counters each time, one after the other (what cannot be read is as known last). Not
// modelled: the 150 ms after which a real mount no longer waits for them; what the kernel makes of the numbers (statfs.h, mounted_view).
// Source: JuiceFS 1.4, base metadata.
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

sim::Task<int> Writer::StatFsAt(Context* context, Bytes path) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  sim::Task<StatFs> ask = StatFsOfInode(context, entry.inode);
  context->result.statfs = co_await std::move(ask);
  co_return 0;
}

sim::Task<StatFs> Writer::StatFsOfInode(Context* context, Inode inode) {
  sim::Task<Result<int64_t>> read_space = PointReadCounter(context->label / "used-space", "usedSpace");
  const Result<int64_t> space = co_await std::move(read_space);
  sim::Task<Result<int64_t>> read_inodes = PointReadCounter(context->label / "total-inodes", "totalInodes");
  const Result<int64_t> inodes = co_await std::move(read_inodes);
  StatFs statfs = StatVolume(setting_, (space.ok() ? *space : used_space_) + pending_space_,
                             (inodes.ok() ? *inodes : used_inodes_) + pending_inodes_);
  if (quotas_.has_directories() && KeepsQuotas(QuotaKind::kDirectory)) {
    // Of a file the path's directories count: those of its attribute, none where it has several links.
    sim::Task<std::vector<Inode>> climb = DirectoriesUpFrom(inode);
    const std::vector<Inode> chain = co_await std::move(climb);
    const Quota* nearest = nullptr;
    for (const Inode directory : chain) {
      const QuotaBook::Entry* quota = quotas_.Find(QuotaKind::kDirectory, directory.value());
      if (quota != nullptr) {
        nearest = nearest == nullptr ? &quota->stored : nearest;
        LimitByQuota(quota->stored, &statfs);
      }
    }
    if (nearest != nullptr) {
      ShowQuota(*nearest, &statfs);
    }
  }
  co_return statfs;
}

}  // namespace kvjury::juicefs
