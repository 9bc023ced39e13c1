// setattr, xattrs, readdir and lookup.
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

void SetTime(int64_t time_ns, int64_t* seconds, uint32_t* nanoseconds) {
  // Rounded towards the past, so that the nanoseconds are never negative.
  *seconds = time_ns >= 0 ? time_ns / 1'000'000'000 : (time_ns - 999'999'999) / 1'000'000'000;
  *nanoseconds = static_cast<uint32_t>(time_ns - *seconds * 1'000'000'000);
}

}  // namespace

sim::Task<int> Writer::SetAttrAt(Context* context, const record::SetAttr* change) {
  Dentry entry;
  Bytes path = change->path();
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  if (IsTrash(entry.inode)) {
    co_return EPERM;
  }
  SetAttrArguments arguments;
  arguments.inode = entry.inode;
  arguments.change = change;
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::SetAttrBody, &arguments);
}

sim::Task<Status> Writer::SetAttrBody(Attempt* attempt, SetAttrArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  const Attr old = **read;
  const record::SetAttr& change = *arguments->change;
  const bool new_mode = change.has_mode() && (change.mode() & 07777) != old.mode;
  if (old.parent > kTrashInode || (old.flags & kFlagImmutable) != 0) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  if (new_mode && old.access_acl != 0) {
    attempt->error = ENOTSUP;  // see writer.h
    co_return Status::Ok();
  }
  Attr attr = old;
  if (change.has_mode()) {
    attr.mode = static_cast<uint16_t>(change.mode() & 07777);
  }
  if (change.has_uid()) {
    attr.uid = change.uid();
  }
  if (change.has_gid()) {
    attr.gid = change.gid();
  }
  if (change.has_atime_ns()) {
    SetTime(change.atime_ns(), &attr.atime_s, &attr.atime_ns);
  }
  if (change.has_mtime_ns()) {
    SetTime(change.mtime_ns(), &attr.mtime_s, &attr.mtime_ns);
  }
  if (attr == old) {
    co_return Status::Ok();
  }
  SetChanged(&attr, options_.wall_ns());
  attempt->PutAttr(arguments->inode, attr);
  co_return Status::Ok();
}

sim::Task<int> Writer::XattrAt(Context* context, Bytes path, Bytes name, std::optional<Bytes> value) {
  if (name.empty() || (value.has_value() && value->empty())) {
    co_return EINVAL;  // TiKV's client refuses empty values
  }
  if (name.size() > kNameBytesMax) {
    co_return ERANGE;
  }
  if (name.substr(0, 17) == "system.posix_acl_") {
    co_return ENOTSUP;  // becomes a rule, which is not modelled
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  XattrArguments arguments;
  arguments.inode = entry.inode;
  arguments.name = std::move(name);
  arguments.value = std::move(value);
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::XattrBody, &arguments);
}

sim::Task<Status> Writer::XattrBody(Attempt* attempt, XattrArguments* arguments) {
  const Key key = XattrKey(arguments->inode, arguments->name);
  Result<std::optional<Bytes>> old = co_await attempt->GetRaw(key);
  if (!old.ok()) {
    co_return old.error();
  }
  if (arguments->value.has_value()) {
    if (!old->has_value() || **old != *arguments->value) {
      attempt->PutXattr(arguments->inode, arguments->name, *arguments->value);
    }
  } else if (!old->has_value()) {
    attempt->error = ENODATA;
  } else {
    attempt->RemoveXattr(arguments->inode, arguments->name);
  }
  co_return Status::Ok();
}

sim::Task<int> Writer::ReaddirAt(Context* context, Bytes path) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  if (entry.type != kTypeDirectory) {
    co_return ENOTDIR;
  }
  ListArguments arguments;
  arguments.inode = entry.inode;
  error = co_await Run(context, TransactionKind::kOperation, &Writer::ListBody, &arguments);
  context->result.names = arguments.names;
  co_return error;
}

sim::Task<Status> Writer::ListBody(Attempt* attempt, ListArguments* arguments) {
  arguments->names.clear();
  arguments->entries.clear();
  const Key first = DentryKey(arguments->inode, "");
  Result<std::vector<std::pair<Key, Bytes>>> entries = co_await attempt->ScanFamily(first, 0);
  if (!entries.ok()) {
    co_return entries.error();
  }
  for (const auto& [key, value] : *entries) {
    Result<Dentry> entry = DecodeDentry(value);
    if (!entry.ok()) {
      co_return entry.error();
    }
    arguments->names.push_back(key.name);
    arguments->entries.push_back(*entry);
  }
  co_return Status::Ok();
}

sim::Task<int> Writer::LookupAt(Context* context, Bytes path) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  sim::Label label = context->label / "getattr";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  const Inode inode = entry.inode;
  Result<std::optional<Attr>> attr = co_await reader.GetAttr(inode);
  if (!attr.ok()) {
    co_return EIO;
  }
  context->result.attr = *attr;
  co_return 0;
}

}  // namespace kvjury::juicefs
