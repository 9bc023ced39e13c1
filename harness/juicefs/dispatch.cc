// Which method carries out which operation of a case; one function for each group of operations.
#include "harness/juicefs/writer_arguments.h"

namespace kvjury::juicefs {

namespace {

sim::Task<int> Answer(int error) { co_return error; }

sim::Task<int> SleepFor(sim::Scheduler* scheduler, Micros duration_us, uint64_t order) {
  co_await scheduler->Sleep(duration_us, order);
  co_return 0;
}

/// What the kernel lets through to a mount that is read-only.
bool OnlyReads(const record::Operation& operation) {
  switch (operation.kind_case()) {
    case record::Operation::kReaddir:
    case record::Operation::kLookup:
    case record::Operation::kRead:
    case record::Operation::kClose:
    case record::Operation::kGetLock:
    case record::Operation::kGetAcl:
    case record::Operation::kGetXattr:
    case record::Operation::kListXattr:
    case record::Operation::kReadlink:
    case record::Operation::kStatFs:
    case record::Operation::kSleep:
    case record::Operation::kDie:
    case record::Operation::KIND_NOT_SET:
      return true;
    case record::Operation::kOpen:
      return operation.open().flags() == 0;
    default:
      return false;
  }
}

}  // namespace

sim::Task<int> Writer::Dispatch(Context* context, const record::Operation* operation) {
  if (options_.mount.read_only && !OnlyReads(*operation)) {
    co_return EROFS;
  }
  for (const auto group : {&Writer::DispatchNames, &Writer::DispatchData, &Writer::DispatchAttributes, &Writer::DispatchQuota,
                           &Writer::DispatchLocks, &Writer::DispatchSession}) {
    std::optional<sim::Task<int>> run = (this->*group)(context, *operation);
    if (run.has_value()) {
      co_return co_await *std::move(run);
    }
  }
  co_return operation->kind_case() == record::Operation::KIND_NOT_SET ? EINVAL : ENOSYS;
}

// Names: what is created, linked, moved and removed.
std::optional<sim::Task<int>> Writer::DispatchNames(Context* context, const record::Operation& operation) {
  CreateArguments create;
  switch (operation.kind_case()) {
    case record::Operation::kMkdir:
      create.type = kTypeDirectory;
      create.mode = operation.mkdir().mode();
      return CreateAt(context, operation.mkdir().path(), std::move(create));
    case record::Operation::kCreate:
      create.type = kTypeFile;
      create.mode = operation.create().mode();
      return CreateAt(context, operation.create().path(), std::move(create));
    case record::Operation::kMknod:
      if (operation.mknod().type() < kTypeFifo || operation.mknod().type() > kTypeSocket) {
        return Answer(EINVAL);
      }
      create.type = static_cast<uint8_t>(operation.mknod().type());
      create.mode = operation.mknod().mode();
      create.rdev = operation.mknod().rdev();
      return CreateAt(context, operation.mknod().path(), std::move(create));
    case record::Operation::kSymlink:
      create.type = kTypeSymlink;
      create.mode = 0777;
      create.target = operation.symlink().target();
      return CreateAt(context, operation.symlink().path(), std::move(create));
    case record::Operation::kLink:
      return LinkAt(context, operation.link().from(), operation.link().to());
    case record::Operation::kUnlink:
      return UnlinkAt(context, operation.unlink().path(), operation.unlink().skip_trash());
    case record::Operation::kRmdir:
      return RmdirAt(context, operation.rmdir().path(), operation.rmdir().skip_trash());
    case record::Operation::kRestoreTrash:
      return RestoreTrashAt(context, &operation.restore_trash());
    case record::Operation::kRename:
      return RenameAt(context, operation.rename().from(), operation.rename().to(), operation.rename().flags());
    default:
      return std::nullopt;
  }
}

// Contents of files.
std::optional<sim::Task<int>> Writer::DispatchData(Context* context, const record::Operation& operation) {
  switch (operation.kind_case()) {
    case record::Operation::kWrite:
      return WriteAt(context, &operation.write());
    case record::Operation::kTruncate:
      return TruncateAt(context, operation.truncate().path(), operation.truncate().handle(), operation.truncate().length());
    case record::Operation::kRead:
      return ReadAt(context, &operation.read());
    case record::Operation::kOpen:
      return OpenAt(context, operation.open().path(), operation.open().handle(), operation.open().flags());
    case record::Operation::kClose:
      return CloseHandle(context, operation.close().handle());
    case record::Operation::kFallocate:
      return FallocateAt(context, &operation.fallocate());
    case record::Operation::kCopyFileRange:
      return CopyFileRangeAt(context, &operation.copy_file_range());
    case record::Operation::kClone:
      return CloneAt(context, &operation.clone());
    case record::Operation::kCompact:
      return CompactAt(context, operation.compact().path());
    case record::Operation::kRemoveTree:
      return RemoveTreeAt(context, operation.remove_tree().path(), operation.remove_tree().skip_trash());
    default:
      return std::nullopt;
  }
}

// Attributes, xattrs and what only reads.
std::optional<sim::Task<int>> Writer::DispatchAttributes(Context* context, const record::Operation& operation) {
  switch (operation.kind_case()) {
    case record::Operation::kSetattr:
      return SetAttrAt(context, &operation.setattr());
    case record::Operation::kSetxattr:
      return SetXattrAt(context, &operation.setxattr());
    case record::Operation::kRemovexattr:
      return RemoveXattrAt(context, &operation.removexattr());
    case record::Operation::kGetXattr:
      return GetXattrAt(context, operation.get_xattr().path(), operation.get_xattr().name());
    case record::Operation::kListXattr:
      return ListXattrAt(context, operation.list_xattr().path());
    case record::Operation::kReadlink:
      return ReadlinkAt(context, operation.readlink().path());
    case record::Operation::kSetAcl:
      return SetAclAt(context, &operation.set_acl());
    case record::Operation::kGetAcl:
      return GetAclAt(context, operation.get_acl().path(), operation.get_acl().is_default());
    case record::Operation::kReaddir:
      return ReaddirAt(context, operation.readdir().path());
    case record::Operation::kLookup:
      return LookupAt(context, operation.lookup().path());
    case record::Operation::kStatFs:
      return StatFsAt(context, operation.stat_fs().path());
    default:
      return std::nullopt;
  }
}

// The client itself.
std::optional<sim::Task<int>> Writer::DispatchSession(Context* context, const record::Operation& operation) {
  switch (operation.kind_case()) {
    case record::Operation::kSleep:
      if (operation.sleep().duration_us() < 0) {
        return Answer(EINVAL);
      }
      return SleepFor(store_->scheduler(), operation.sleep().duration_us(), context->label.hash());
    case record::Operation::kDie:
      Die();
      return Answer(0);
    default:
      return std::nullopt;
  }
}

// Locks, which no mount shows.
std::optional<sim::Task<int>> Writer::DispatchLocks(Context* context, const record::Operation& operation) {
  LockArguments lock;
  switch (operation.kind_case()) {
    case record::Operation::kFlock:
      lock.owner = operation.flock().owner();
      lock.bsd = true;
      lock.range.type = operation.flock().kind();
      return LockAt(context, operation.flock().path(), lock, operation.flock().block());
    case record::Operation::kSetLock:
      lock.owner = operation.set_lock().owner();
      lock.range = {operation.set_lock().kind(), operation.set_lock().pid(), operation.set_lock().start(), operation.set_lock().end()};
      return LockAt(context, operation.set_lock().path(), lock, operation.set_lock().block());
    case record::Operation::kGetLock:
      lock.owner = operation.get_lock().owner();
      lock.range = {operation.get_lock().kind(), 0, operation.get_lock().start(), operation.get_lock().end()};
      return GetLockAt(context, operation.get_lock().path(), lock);
    default:
      return std::nullopt;
  }
}

}  // namespace kvjury::juicefs
