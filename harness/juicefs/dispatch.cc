// Which method carries out which operation of a case; one function for each group of operations.
#include "harness/juicefs/writer_arguments.h"

namespace kvjury::juicefs {

namespace {

sim::Task<int> Answer(int error) { co_return error; }

}  // namespace

sim::Task<int> Writer::Dispatch(Context* context, const record::Operation* operation) {
  for (const auto group : {&Writer::DispatchNames, &Writer::DispatchData, &Writer::DispatchAttributes}) {
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
      return XattrAt(context, operation.setxattr().path(), operation.setxattr().name(), operation.setxattr().value());
    case record::Operation::kRemovexattr:
      return XattrAt(context, operation.removexattr().path(), operation.removexattr().name(), std::nullopt);
    case record::Operation::kReaddir:
      return ReaddirAt(context, operation.readdir().path());
    case record::Operation::kLookup:
      return LookupAt(context, operation.lookup().path());
    default:
      return std::nullopt;
  }
}

}  // namespace kvjury::juicefs
