// ACLs: the rules' cache, setting, getting and removing an ACL, and what a new inode inherits.
//
// A rule that the client does not know gets its id by a transaction of its own (aclMaxId + 1) in the middle of the one that stores it. The cache
// learns the rule only when that one commits; the real client's learns it at once, and after a write conflict stores an id without a rule.
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint16_t kPermissionsMax = 7;

/// As the kernel checks it before a client sees it.
bool IsValidRule(const AclRule& rule) {
  const auto valid = [](const AclEntry& entry) { return entry.permission <= kPermissionsMax; };
  const bool named = !rule.users.empty() || !rule.groups.empty();
  return rule.owner <= kPermissionsMax && rule.group <= kPermissionsMax && rule.other <= kPermissionsMax &&
         (rule.mask <= kPermissionsMax || (rule.mask == kAclUndefined && !named)) &&
         std::all_of(rule.users.begin(), rule.users.end(), valid) && std::all_of(rule.groups.begin(), rule.groups.end(), valid);
}

AclRule RuleOf(const record::SetAcl& acl) {
  AclRule rule;
  if (acl.remove()) {
    return rule;
  }
  rule.owner = static_cast<uint16_t>(acl.owner());
  rule.group = static_cast<uint16_t>(acl.group());
  rule.other = static_cast<uint16_t>(acl.other());
  rule.mask = static_cast<uint16_t>(acl.mask());
  for (const record::AclEntry& entry : acl.user()) {
    rule.users.push_back({entry.id(), static_cast<uint16_t>(entry.permissions())});
  }
  for (const record::AclEntry& entry : acl.named_group()) {
    rule.groups.push_back({entry.id(), static_cast<uint16_t>(entry.permissions())});
  }
  return rule;
}

}  // namespace

sim::Task<Status> Writer::ReadAclRules() {
  sim::Label label = label_ / "acl-rules";
  sim::Task<Result<std::unique_ptr<client::Transaction>>> begin = store_->Begin(std::move(label));
  Result<std::unique_ptr<client::Transaction>> transaction = co_await std::move(begin);
  if (!transaction.ok()) {
    co_return transaction.error();
  }
  Attempt reader(transaction->get(), &prefix_, 0);
  const Key first = AclRuleKey(0);
  Result<std::vector<std::pair<Key, Bytes>>> rules = co_await reader.ScanFamily(first, 0);
  if (!rules.ok()) {
    co_return rules.error();
  }
  for (const auto& [key, value] : *rules) {
    Result<AclRule> rule = DecodeAclRule(value);
    if (!rule.ok()) {
      co_return rule.error();
    }
    acl_cache_.Put(static_cast<uint32_t>(key.id), *rule);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::GetAclRule(Attempt* attempt, uint32_t id, std::optional<AclRule>* rule) {
  rule->reset();
  if (id == 0) {
    co_return Status::Ok();
  }
  if (const AclRule* known = acl_cache_.Find(id)) {
    *rule = *known;
    co_return Status::Ok();
  }
  const Key key = AclRuleKey(id);
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    attempt->error = EIO;
    co_return Status::Ok();
  }
  Result<AclRule> decoded = DecodeAclRule(**value);
  if (!decoded.ok()) {
    co_return decoded.error();
  }
  acl_cache_.Put(id, *decoded);
  *rule = *decoded;
  co_return Status::Ok();
}

sim::Task<Status> Writer::InsertAclRule(Context* context, Attempt* attempt, const AclRule* rule, uint32_t* id) {
  *id = 0;
  if (IsEmptyAcl(*rule)) {
    co_return Status::Ok();
  }
  const std::vector<uint32_t> missing = acl_cache_.MissingIds();
  for (const uint32_t absent : missing) {
    const Key key = AclRuleKey(absent);
    Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
    if (!value.ok()) {
      co_return value.error();
    }
    // An id that was burnt is remembered as a rule without any permission.
    AclRule found{0, 0, 0, 0, {}, {}};
    if (value->has_value()) {
      Result<AclRule> decoded = DecodeAclRule(**value);
      if (!decoded.ok()) {
        co_return decoded.error();
      }
      found = *decoded;
    }
    acl_cache_.Put(absent, found);
  }
  *id = acl_cache_.IdOf(*rule);
  if (*id != 0) {
    co_return Status::Ok();
  }
  IdArguments number{"aclMaxId", 1, 0};
  const int error = co_await Run(context, TransactionKind::kIdBatch, &Writer::IncrementCounter, &number);
  if (error != 0) {
    attempt->error = error;
    co_return Status::Ok();
  }
  *id = static_cast<uint32_t>(number.value);
  attempt->PutAclRule(*id, *rule);
  co_return Status::Ok();
}

sim::Task<Status> Writer::InheritAcl(Context* context, Attempt* attempt, const Attr* parent, uint16_t mode, Attr* attr) {
  std::optional<AclRule> rule;
  sim::Task<Status> get = GetAclRule(attempt, parent->default_acl, &rule);
  const Status got = co_await std::move(get);
  CO_RETURN_IF_ERROR(got);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  attr->default_acl = attr->type == kTypeDirectory ? parent->default_acl : 0;
  if (IsMinimalAcl(*rule)) {
    attr->mode = mode & (07000 | ModeOfAcl(*rule));
    co_return Status::Ok();
  }
  const AclRule child = ChildAccessAcl(*rule, mode);
  attr->mode = static_cast<uint16_t>((mode & 07000) | ModeOfAcl(child));
  sim::Task<Status> insert = InsertAclRule(context, attempt, &child, &attr->access_acl);
  co_return co_await std::move(insert);
}

sim::Task<int> Writer::SetAclAt(Context* context, const record::SetAcl* acl) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, acl->path(), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  AclRule rule = RuleOf(*acl);
  sim::Task<int> set = SetAclOf(context, entry, acl->is_default(), std::move(rule));
  co_return co_await std::move(set);
}

sim::Task<int> Writer::SetAclOf(Context* context, Dentry entry, bool is_default, AclRule rule) {
  const bool removes = IsEmptyAcl(rule);
  if (entry.type == kTypeSymlink) {
    co_return ENOTSUP;  // here and in what follows, up to the trash, the kernel answers
  }
  if (is_default && entry.type != kTypeDirectory) {
    co_return removes ? 0 : EACCES;
  }
  if (!removes && !IsValidRule(rule)) {
    co_return EINVAL;
  }
  if (IsTrash(entry.inode) || !setting_.enable_acl) {
    co_return IsTrash(entry.inode) ? EPERM : ENOTSUP;
  }
  AclArguments arguments;
  arguments.context = context;
  arguments.inode = entry.inode;
  arguments.is_default = is_default;
  arguments.rule = std::move(rule);
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::SetAclBody, &arguments);
}

sim::Task<Status> Writer::SetAclBody(Attempt* attempt, AclArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  const Attr old = **read;
  if ((attempt->uid != 0 && attempt->uid != old.uid) || (old.flags & kFlagImmutable) != 0) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  Attr attr = old;
  if (attempt->uid != 0 && attempt->gid != old.gid) {
    attr.mode = static_cast<uint16_t>(attr.mode & ~kSetGroupIdBit);
  }
  uint32_t* id = arguments->is_default ? &attr.default_acl : &attr.access_acl;
  AclRule rule = arguments->rule;
  if (IsEmptyAcl(rule)) {
    *id = 0;
  } else if (IsMinimalAcl(rule) && !arguments->is_default) {
    *id = 0;
    attr.mode = static_cast<uint16_t>((attr.mode & 07000) | ModeOfAcl(rule));
  } else {
    FillAclFromMode(attr.mode, &rule);
    sim::Task<Status> insert = InsertAclRule(arguments->context, attempt, &rule, id);
    const Status inserted = co_await std::move(insert);
    CO_RETURN_IF_ERROR(inserted);
    if (!arguments->is_default) {
      attr.mode = static_cast<uint16_t>((attr.mode & 07000) | (rule.owner & 7) << 6 | (rule.mask & 7) << 3 | (rule.other & 7));
    }
  }
  if (attempt->error != 0 || attr == old) {
    co_return Status::Ok();
  }
  SetChanged(&attr, options_.wall_ns());
  attempt->PutAttr(arguments->inode, attr);
  attempt->log = fmt::format("SETFACL({},{},{})", arguments->inode.value(), arguments->is_default ? 2 : 1, ChangeLogText(EncodeAclRule(rule)));
  co_return Status::Ok();
}

sim::Task<int> Writer::GetAclAt(Context* context, Bytes path, bool is_default) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  sim::Task<int> get = GetAclOf(context, entry, is_default);
  co_return co_await std::move(get);
}

sim::Task<int> Writer::GetAclOf(Context* context, Dentry entry, bool is_default) {
  if (entry.type == kTypeSymlink) {
    co_return ENOTSUP;  // the kernel answers
  }
  if (!setting_.enable_acl || IsTrash(entry.inode)) {
    co_return ENODATA;
  }
  AclArguments arguments;
  arguments.inode = entry.inode;
  arguments.is_default = is_default;
  const int error = co_await Run(context, TransactionKind::kOperation, &Writer::GetAclBody, &arguments);
  if (error == 0) {
    context->result.value = PosixAclXattr(arguments.rule);
  }
  co_return error;
}

sim::Task<Status> Writer::GetAclBody(Attempt* attempt, AclArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  std::optional<AclRule> rule;
  sim::Task<Status> get = GetAclRule(attempt, arguments->is_default ? (*read)->default_acl : (*read)->access_acl, &rule);
  const Status got = co_await std::move(get);
  CO_RETURN_IF_ERROR(got);
  if (attempt->error == 0 && !rule.has_value()) {
    attempt->error = ENODATA;
  }
  arguments->rule = rule.value_or(AclRule());
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
