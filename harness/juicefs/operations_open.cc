// open and close: handles of this session, and files that live on without a name until their last close.
//
// Open files are known to the client alone: another session that drops the last link deletes the data. What the kernel does with O_TRUNC
// (a truncation right after the open) and with O_APPEND (each write begins at the length that a look-up shows) is done here.
#include <fmt/format.h>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kWriteOnly = 1;
constexpr uint32_t kAccessBits = 3;
constexpr uint32_t kTruncateFlag = 512;
constexpr uint32_t kAppendFlag = 1024;

/// The errno with which JuiceFS refuses to open this file so; 0: allowed.
int CheckOpen(const Attr& attr, uint32_t flags) {
  const bool writes = (flags & kAccessBits) != 0;
  if (writes && ((attr.flags & kFlagImmutable) != 0 || attr.parent > kTrashInode)) {
    return EPERM;
  }
  const bool append_only = (attr.flags & kFlagAppend) != 0;
  return append_only && ((writes && (flags & kAppendFlag) == 0) || (flags & kTruncateFlag) != 0) ? EPERM : 0;
}

}  // namespace

sim::Task<int> Writer::OpenAt(Context* context, Bytes path, uint32_t handle, uint32_t flags) {
  if (handle == 0 || open_files_.count(handle) != 0 || (flags & kAccessBits) == kAccessBits ||
      (flags & ~(kAccessBits | kTruncateFlag | kAppendFlag)) != 0) {
    co_return EINVAL;
  }
  Inode inode;
  sim::Task<int> find = FindFile(context, std::move(path), 0, FileUse::kOpen, &inode);
  int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  Attr attr;
  error = co_await ReadAttr(context, inode, &attr);
  error = error != 0 ? error : CheckOpen(attr, flags);
  if (error == 0 && options_.mount.read_only && flags != 0) {
    error = EROFS;
  }
  if (error == 0 && (flags & kTruncateFlag) != 0 && (flags & kAccessBits) == 0) {
    error = EACCES;
  }
  if (error != 0) {
    co_return error;
  }
  open_files_[handle] = OpenFile{inode, flags};
  sim::Task<void> touch = TouchAccessTime(context, inode, attr);
  co_await std::move(touch);
  if ((flags & kTruncateFlag) != 0) {
    TruncateArguments truncate;  // to nothing; not by the handle, as the kernel asks for it
    truncate.inode = inode;
    error = co_await Run(context, TransactionKind::kOperation, &Writer::TruncateBody, &truncate);
    if (error != 0) {
      co_await CloseHandle(context, handle);
    }
  }
  co_return error;
}

sim::Task<int> Writer::CloseHandle(Context* context, uint32_t handle) {
  const auto open = open_files_.find(handle);
  if (open == open_files_.end()) {
    co_return EBADF;
  }
  const Inode inode = open->second.inode;
  open_files_.erase(open);
  if (!IsOpen(inode) && removed_open_files_.erase(inode) != 0) {
    co_await DropSustained(context, session_id_, inode);  // a failure is left to the clean-up of this session
  }
  co_return 0;
}

sim::Task<int> Writer::FindFile(Context* context, Bytes path, uint32_t handle, FileUse use, Inode* file) {
  if (handle != 0) {
    const auto open = open_files_.find(handle);
    if (open == open_files_.end()) {
      co_return EBADF;
    }
    const uint32_t access = open->second.flags & kAccessBits;
    if (use == FileUse::kRead ? access == kWriteOnly : access == 0) {
      co_return use == FileUse::kTruncate ? EINVAL : EBADF;  // as the kernel answers
    }
    *file = open->second.inode;
    co_return 0;
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  *file = entry.inode;
  if (entry.type != kTypeFile) {
    co_return entry.type == kTypeDirectory ? EISDIR : EINVAL;
  }
  if (KeepsAccessTimes() && (use == FileUse::kRead || use == FileUse::kWrite)) {
    // A mount opens it for this; where it may not, what follows says so.
    Attr attr;
    const int read = co_await ReadAttr(context, *file, &attr);
    if (read == 0 && CheckOpen(attr, use == FileUse::kWrite ? kWriteOnly : 0) == 0) {
      sim::Task<void> touch = TouchAccessTime(context, *file, attr);
      co_await std::move(touch);
    }
  }
  co_return 0;
}

sim::Task<int> Writer::RefuseAfterOpen(Context* context, Inode inode, uint32_t handle, int error) {
  if (handle != 0) {
    co_return error;
  }
  Attr attr;
  const int read = co_await ReadAttr(context, inode, &attr);
  const int refused = read != 0 ? read : CheckOpen(attr, kWriteOnly);
  co_return refused != 0 ? refused : error;
}

bool Writer::IsOpen(Inode inode) const {
  return std::any_of(open_files_.begin(), open_files_.end(), [inode](const auto& open) { return open.second.inode == inode; });
}

sim::Task<int> Writer::DropSustained(Context* context, uint64_t session, Inode inode) {
  SustainedArguments arguments;
  arguments.session = session;
  arguments.inode = inode;
  const int error = co_await Run(context, context->kind, &Writer::DropSustainedBody, &arguments);
  if (error == 0 && arguments.data_deleted) {
    co_await DeleteFileData(context, inode, arguments.length);
  }
  co_return error;
}

sim::Task<Status> Writer::DropSustainedBody(Attempt* attempt, SustainedArguments* arguments) {
  arguments->data_deleted = false;
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    co_return Status::Ok();  // its SS key stays
  }
  const Attr attr = **read;
  attempt->PutRaw(DeletedFileKey(arguments->inode, attr.length), EncodeInt64Be(WallSeconds()));
  attempt->RemoveInode(arguments->inode, attr, {});
  attempt->DeleteRaw(SustainedKey(arguments->session, arguments->inode));
  attempt->log = fmt::format("DELSUSTAINED({},{})", arguments->session, arguments->inode.value());
  attempt->usage.AddInode(attr, -1);
  arguments->data_deleted = true;
  arguments->length = attr.length;
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
