// setattr, xattrs, readdir and lookup.
#include "harness/juicefs/change_log.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint16_t kSetIdBits = kSetUserIdBit | kSetGroupIdBit;
constexpr uint32_t kFlagsOfIoctl = kFlagImmutable | kFlagAppend | kFlagSkipTrash;
constexpr uint16_t kGroupMayExecute = 010;

/// Any other user than the owner and root.
bool IsStranger(const Attempt& attempt, const Attr& attr) { return attempt.uid != 0 && attempt.uid != attr.uid; }

/// Which set-id bits a chown leaves: what ext4 does.
uint16_t SetIdBitsLeft(const Attempt& attempt, const Attr& old) {
  if (old.type == kTypeDirectory) {
    return kSetIdBits;
  }
  return attempt.uid != 0 || (old.mode & kGroupMayExecute) != 0 ? 0 : kSetGroupIdBit;
}

/// A time before 1970 is taken for "now". Returns the errno; sets `changed` if the time is another one.
int MergeTime(const Attempt& attempt, const Attr& old, int64_t asked_ns, int64_t now_ns, int64_t* seconds, uint32_t* nanoseconds,
              bool* changed) {
  const bool now = asked_ns < 0;
  const int64_t time_ns = now ? now_ns : asked_ns;
  const int64_t time_s = time_ns / 1'000'000'000;
  const auto rest_ns = static_cast<uint32_t>(time_ns % 1'000'000'000);
  if (!now && time_s == *seconds && rest_ns == *nanoseconds) {
    return 0;
  }
  if (!now && old.uid == 0 && attempt.uid != 0) {
    return EPERM;
  }
  *seconds = time_s;
  *nanoseconds = rest_ns;
  *changed = true;
  return 0;
}

/// Owner, group and mode. `rule`: the access ACL, changed with the mode. Returns the errno.
int MergeOwnerAndMode(const Attempt& attempt, const Attr& old, const record::SetAttr& change, std::optional<AclRule>* rule, Attr* attr,
                      bool* changed) {
  const bool owner = change.has_uid() || change.has_gid();
  auto mode = static_cast<uint16_t>(change.mode() & 07777);
  if (owner && change.has_mode()) {
    mode = static_cast<uint16_t>(mode | (old.mode & kSetIdBits));
  }
  if (owner && (old.mode & kSetIdBits) != 0) {
    const auto kept = static_cast<uint16_t>(01777 | SetIdBitsLeft(attempt, old));
    attr->mode &= kept;
    mode &= kept;
    *changed = true;
  }
  if (change.has_gid()) {
    if (IsStranger(attempt, old)) {
      return EPERM;
    }
    *changed = *changed || change.gid() != old.gid;
    attr->gid = change.gid();
  }
  if (change.has_uid()) {
    *changed = *changed || change.uid() != old.uid;
    attr->uid = change.uid();
  }
  if (!change.has_mode()) {
    return 0;
  }
  if (rule->has_value()) {
    SetAclMode(mode, &**rule);
    attr->mode = static_cast<uint16_t>((mode & 07000) | ModeOfAcl(**rule));
    *changed = true;
  } else if (mode != old.mode) {
    if (IsStranger(attempt, old) && ((old.mode & 01777) != (mode & 01777) || (mode & kSetIdBits & ~old.mode) != 0)) {
      return EPERM;
    }
    attr->mode = mode;
    *changed = true;
  }
  return 0;
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
  if (change->has_mode() && entry.type == kTypeSymlink) {
    co_return ENOTSUP;  // as the kernel answers
  }
  if (change->has_flags() && entry.type != kTypeFile && entry.type != kTypeDirectory) {
    co_return EINVAL;  // JuiceFS is asked for them through an open file
  }
  if (IsTrash(entry.inode)) {
    co_return EPERM;
  }
  if (change->has_flags() && (change->flags() & ~kFlagsOfIoctl) != 0) {
    co_return ENOTSUP;
  }
  const bool known_tier = change->tier() == 0 || (setting_.tiers.has_value() && setting_.tiers->count(std::to_string(change->tier())) > 0);
  if (change->has_tier() && (change->tier() > UINT8_MAX || !known_tier)) {
    co_return EINVAL;  // `juicefs tier` refuses it
  }
  SetAttrArguments arguments;
  arguments.context = context;
  arguments.inode = entry.inode;
  arguments.change = change;
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::SetAttrBody, &arguments);
}

sim::Task<Status> Writer::SetAttrBody(Attempt* attempt, SetAttrArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value() || (*read)->parent > kTrashInode) {
    attempt->error = read->has_value() ? EPERM : ENOENT;
    co_return Status::Ok();
  }
  const Attr old = **read;
  std::optional<AclRule> rule;
  sim::Task<Status> get = GetAclRule(attempt, old.access_acl, &rule);
  const Status got = co_await std::move(get);
  CO_RETURN_IF_ERROR(got);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  const record::SetAttr& change = *arguments->change;
  const int64_t now_ns = options_.wall_ns();
  Attr attr = old;
  bool changed = change.has_flags() || change.has_tier();
  attempt->error = MergeOwnerAndMode(*attempt, old, change, &rule, &attr, &changed);
  if (attempt->error == 0 && change.has_atime_ns()) {
    attempt->error = MergeTime(*attempt, old, change.atime_ns(), now_ns, &attr.atime_s, &attr.atime_ns, &changed);
  }
  if (attempt->error == 0 && change.has_mtime_ns()) {
    attempt->error = MergeTime(*attempt, old, change.mtime_ns(), now_ns, &attr.mtime_s, &attr.mtime_ns, &changed);
  }
  if (attempt->error != 0 || !changed) {
    co_return Status::Ok();
  }
  attr.flags = change.has_flags() ? static_cast<uint8_t>(change.flags()) : old.flags;
  attr.tier = change.has_tier() ? static_cast<uint8_t>(change.tier()) : old.tier;
  if (rule.has_value()) {
    sim::Task<Status> insert = InsertAclRule(arguments->context, attempt, &*rule, &attr.access_acl);
    const Status inserted = co_await std::move(insert);
    CO_RETURN_IF_ERROR(inserted);
    if (attempt->error != 0) {
      co_return Status::Ok();
    }
  }
  SetChanged(&attr, now_ns);
  attempt->PutAttr(arguments->inode, attr);
  attempt->usage.AddNewOwner(old, attr);
  attempt->log = SetAttrLog(arguments->inode, change, attr);
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
  if (KeepsAccessTimes()) {
    sim::Task<void> touch = TouchAccessTime(context, arguments.inode, std::nullopt);
    co_await std::move(touch);
  }
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
