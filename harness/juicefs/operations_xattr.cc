// Extended attributes and the target of a symbolic link.
//
// Setting and removing read and write nothing but the attribute: they work on an inode that is gone and change no time. The two names of POSIX
// ACLs are rules of the inode (operations_acl.cc).
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr char kAccessAclName[] = "system.posix_acl_access";
constexpr char kDefaultAclName[] = "system.posix_acl_default";
constexpr size_t kXattrBytesMax = 65536;
constexpr uint32_t kCreate = 1;
constexpr uint32_t kReplace = 2;

bool IsAclName(const Bytes& name) { return name == kAccessAclName || name == kDefaultAclName; }

int CheckName(const Bytes& name) { return name.empty() ? EINVAL : name.size() > kNameBytesMax ? ERANGE : 0; }

}  // namespace

sim::Task<int> Writer::SetXattrAt(Context* context, const record::SetXattr* change) {
  int error = CheckName(change->name());
  if (error != 0 || change->value().size() > kXattrBytesMax) {
    co_return error != 0 ? error : E2BIG;
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, change->path(), &entry);
  error = co_await std::move(find);
  if (error != 0 || IsTrash(entry.inode)) {
    co_return error != 0 ? error : EPERM;
  }
  if (IsAclName(change->name())) {
    const std::optional<AclRule> rule = ParsePosixAclXattr(change->value());
    if (!rule.has_value() || !setting_.enable_acl) {
      co_return setting_.enable_acl ? EINVAL : ENOTSUP;
    }
    sim::Task<int> set = SetAclOf(context, entry, change->name() == kDefaultAclName, *rule);
    co_return co_await std::move(set);
  }
  if (change->flags() > kReplace || change->value().empty()) {
    co_return EINVAL;  // TiKV's client refuses empty values
  }
  XattrArguments arguments;
  arguments.inode = entry.inode;
  arguments.name = change->name();
  arguments.value = change->value();
  arguments.flags = change->flags();
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::XattrBody, &arguments);
}

sim::Task<int> Writer::RemoveXattrAt(Context* context, const record::RemoveXattr* change) {
  int error = CheckName(change->name());
  if (error != 0) {
    co_return error;
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, change->path(), &entry);
  error = co_await std::move(find);
  if (error != 0 || IsTrash(entry.inode)) {
    co_return error != 0 ? error : EPERM;
  }
  if (IsAclName(change->name())) {
    sim::Task<int> remove = SetAclOf(context, entry, change->name() == kDefaultAclName, AclRule());
    co_return co_await std::move(remove);
  }
  XattrArguments arguments;
  arguments.inode = entry.inode;
  arguments.name = change->name();
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::XattrBody, &arguments);
}

sim::Task<Status> Writer::XattrBody(Attempt* attempt, XattrArguments* arguments) {
  const Key key = XattrKey(arguments->inode, arguments->name);
  Result<std::optional<Bytes>> old = co_await attempt->GetRaw(key);
  if (!old.ok()) {
    co_return old.error();
  }
  const bool present = old->has_value();
  if (!arguments->value.has_value()) {
    if (!present) {
      attempt->error = ENODATA;
      co_return Status::Ok();
    }
    attempt->RemoveXattr(arguments->inode, arguments->name);
    attempt->log = fmt::format("REMOVEXATTR({},{})", arguments->inode.value(), ChangeLogText(arguments->name));
    co_return Status::Ok();
  }
  if (present ? arguments->flags == kCreate : arguments->flags == kReplace) {
    attempt->error = present ? EEXIST : ENODATA;
    co_return Status::Ok();
  }
  if (!present || **old != *arguments->value) {
    attempt->PutXattr(arguments->inode, arguments->name, *arguments->value);
  }
  attempt->log = fmt::format("SETXATTR({},{},{},{})", arguments->inode.value(), ChangeLogText(arguments->name),
                             ChangeLogText(*arguments->value), arguments->flags);
  co_return Status::Ok();
}

sim::Task<int> Writer::GetXattrAt(Context* context, Bytes path, Bytes name) {
  int error = CheckName(name);
  if (error != 0) {
    co_return error;
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  error = co_await std::move(find);
  if (error != 0 || IsTrash(entry.inode)) {
    co_return error != 0 ? error : ENODATA;
  }
  if (IsAclName(name)) {
    sim::Task<int> get = GetAclOf(context, entry, name == kDefaultAclName);
    co_return co_await std::move(get);
  }
  sim::Label label = context->label / "getxattr";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  const Key key = XattrKey(entry.inode, name);
  Result<std::optional<Bytes>> value = co_await reader.GetRaw(key);
  if (!value.ok()) {
    co_return EIO;
  }
  context->result.value = *value;
  co_return value->has_value() ? 0 : ENODATA;
}

sim::Task<int> Writer::ListXattrAt(Context* context, Bytes path) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  int error = co_await std::move(find);
  if (error != 0 || IsTrash(entry.inode)) {
    co_return error != 0 ? error : ENODATA;
  }
  ListArguments arguments;
  arguments.inode = entry.inode;
  error = co_await Run(context, TransactionKind::kOperation, &Writer::ListXattrBody, &arguments);
  if (error != 0) {
    co_return error;
  }
  // The inode is read on its own, after the names.
  sim::Label label = context->label / "getattr";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  Result<std::optional<Attr>> attr = co_await reader.GetAttr(arguments.inode);
  if (!attr.ok() || !attr->has_value()) {
    co_return attr.ok() ? ENOENT : EIO;
  }
  context->result.names = arguments.names;
  if ((*attr)->access_acl != 0) {
    context->result.names.push_back(kAccessAclName);
  }
  if ((*attr)->default_acl != 0) {
    context->result.names.push_back(kDefaultAclName);
  }
  co_return 0;
}

sim::Task<Status> Writer::ListXattrBody(Attempt* attempt, ListArguments* arguments) {
  Result<std::vector<Bytes>> names = co_await attempt->ListXattrNames(arguments->inode);
  if (!names.ok()) {
    co_return names.error();
  }
  arguments->names = *std::move(names);
  co_return Status::Ok();
}

sim::Task<int> Writer::ReadlinkAt(Context* context, Bytes path) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0 || entry.type != kTypeSymlink) {
    co_return error != 0 ? error : EINVAL;
  }
  ReadlinkArguments arguments;
  arguments.inode = entry.inode;
  if (options_.mount.atime != AtimeMode::kNoAtime && !options_.mount.read_only) {
    const int read = co_await Run(context, TransactionKind::kOperation, &Writer::ReadlinkBody, &arguments);
    context->result.value = read == 0 ? arguments.target : std::nullopt;
    co_return read;
  }
  sim::Label label = context->label / "readlink";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  const Key key = SymlinkKey(entry.inode);
  Result<std::optional<Bytes>> target = co_await reader.GetRaw(key);
  if (!target.ok()) {
    co_return EIO;
  }
  if (!target->has_value()) {
    Result<std::optional<Attr>> attr = co_await reader.GetAttr(arguments.inode);
    co_return attr.ok() && !attr->has_value() ? ENOENT : EIO;
  }
  context->result.value = **target;
  co_return 0;
}

// With access times the target and the inode are read in one transaction, which writes the time where it is due.
sim::Task<Status> Writer::ReadlinkBody(Attempt* attempt, ReadlinkArguments* arguments) {
  arguments->target.reset();
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  const Key key = SymlinkKey(arguments->inode);
  Result<std::optional<Bytes>> target = co_await attempt->GetRaw(key);
  if (!target.ok()) {
    co_return target.error();
  }
  if (!read->has_value() || !target->has_value()) {
    attempt->error = read->has_value() ? EIO : ENOENT;
    co_return Status::Ok();
  }
  arguments->target = **target;
  const Attr attr = **read;
  WriteAccessTime(attempt, arguments->inode, attr);
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
