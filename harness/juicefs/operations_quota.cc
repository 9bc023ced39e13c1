// Quotas: reading, checking, charging and flushing them, setting and deleting them, and statfs.
//
// Set and delete are programs of their own (`juicefs quota`): the session learns of them with its next heartbeat. A quota that is set on a
// directory takes effect with a second transaction, which writes what is used, from the directories' statistics.
// A rename from below one quota to below another moves what the source held when the rename began, as the session knew it; where the target is
// exchanged, only its own numbers go back, not what is below it (as in JuiceFS 1.4: such quotas stay wrong until they are repaired).
// Not modelled: user and group quotas on a volume whose setting has none (the program would change the setting): EOPNOTSUPP.
#include <fmt/format.h>

#include <algorithm>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr const char* LettersOf(QuotaKind kind) {
  return kind == QuotaKind::kDirectory ? "QD" : kind == QuotaKind::kUser ? "QU" : "QG";
}

/// In the change log.
constexpr int NumberOf(QuotaKind kind) { return kind == QuotaKind::kDirectory ? 0 : kind == QuotaKind::kUser ? 1 : 2; }

}  // namespace

bool Writer::KeepsQuotas(QuotaKind kind) const {
  return kind == QuotaKind::kDirectory ? setting_.dir_stats : setting_.user_group_quota;
}

sim::Task<void> Writer::LoadQuotas(Context* context) {
  std::map<QuotaKind, std::map<uint64_t, Quota>> read;
  for (const QuotaKind kind : kQuotaKinds) {
    if (!KeepsQuotas(kind)) {
      continue;
    }
    FindArguments arguments;
    arguments.start = LettersOf(kind);
    arguments.end = PrefixEnd(arguments.start);
    const int error = co_await Run(context, TransactionKind::kSession, &Writer::FindRecords, &arguments);
    if (error != 0) {
      co_return;  // a warning; what was known stays
    }
    std::map<uint64_t, Quota>& stored = read[kind];
    for (const auto& [key, value] : arguments.records) {
      const Result<Quota> quota = DecodeQuota(value);
      if (quota.ok()) {
        stored[kind == QuotaKind::kDirectory ? key.inode.value() : key.id] = *quota;
      }
    }
  }
  for (const auto& [kind, stored] : read) {
    quotas_.Reload(kind, stored);
  }
}

sim::Task<std::vector<Inode>> Writer::DirectoriesUpFrom(Inode directory) {
  std::vector<Inode> chain;
  while (directory.valid() && chain.size() < kDirectoryDepthMax) {
    chain.push_back(directory);
    if (directory == kRootInode) {
      break;
    }
    const Inode at = directory;
    parent_reads_ += 1;
    sim::Label label = label_.Numbered("parent", parent_reads_);
    sim::Task<Result<std::optional<Bytes>>> read = PointRead(std::move(label), AttrKey(at));
    const Result<std::optional<Bytes>> value = co_await std::move(read);
    const Result<Attr> attr = value.ok() && value->has_value() ? DecodeAttr(**value) : Result<Attr>(Status::NotFound("no attribute"));
    if (!attr.ok()) {
      break;
    }
    directory = attr->parent;
  }
  co_return chain;
}

sim::Task<int> Writer::CheckQuota(int64_t space, int64_t inodes, uint32_t uid, uint32_t gid, std::vector<Inode> parents) {
  if (space <= 0 && inodes <= 0) {
    co_return 0;
  }
  if (OwnerExceeds(QuotaKind::kUser, uid, space, inodes) || OwnerExceeds(QuotaKind::kGroup, gid, space, inodes)) {
    co_return EDQUOT;
  }
  const auto capacity = static_cast<int64_t>(setting_.capacity_bytes);
  const auto inodes_max = static_cast<int64_t>(setting_.inodes);
  if ((space > 0 && capacity > 0 && used_space_ + pending_space_ + space > capacity) ||
      (inodes > 0 && inodes_max > 0 && used_inodes_ + pending_inodes_ + inodes > inodes_max)) {
    co_return ENOSPC;
  }
  for (const Inode parent : parents) {
    sim::Task<bool> check = TreeExceeds(parent, space, inodes);
    const bool exceeded = co_await std::move(check);
    if (exceeded) {
      co_return EDQUOT;
    }
  }
  co_return 0;
}

sim::Task<bool> Writer::TreeExceeds(Inode directory, int64_t space, int64_t inodes) {
  if (!KeepsQuotas(QuotaKind::kDirectory) || !quotas_.has_directories()) {
    co_return false;
  }
  sim::Task<std::vector<Inode>> find = DirectoriesUpFrom(directory);
  const std::vector<Inode> chain = co_await std::move(find);
  for (const Inode above : chain) {
    const QuotaBook::Entry* entry = quotas_.Find(QuotaKind::kDirectory, above.value());
    if (entry != nullptr && entry->ExceededBy(space, inodes)) {
      co_return true;
    }
  }
  co_return false;
}

sim::Task<Status> Writer::ChargeLength(Attempt* attempt, Inode inode, Attr attr, uint64_t new_length) {
  const int64_t more = static_cast<int64_t>(SpaceOf(new_length)) - static_cast<int64_t>(SpaceOf(attr.length));
  sim::Task<Result<std::vector<Inode>>> find = ParentsOf(attempt, inode, attr.parent);
  const Result<std::vector<Inode>> parents = co_await std::move(find);
  if (!parents.ok()) {
    co_return parents.error();
  }
  sim::Task<int> check = CheckQuota(more, 0, attr.uid, attr.gid, *parents);
  attempt->error = co_await std::move(check);
  if (attempt->error == 0) {
    attempt->usage.AddLengthChange(inode, attr, new_length);
  }
  co_return Status::Ok();
}

bool Writer::OwnerExceeds(QuotaKind kind, uint32_t id, int64_t space, int64_t inodes) const {
  const QuotaBook::Entry* entry = KeepsQuotas(kind) ? quotas_.Find(kind, id) : nullptr;
  return entry != nullptr && entry->ExceededBy(space, inodes);
}

sim::Task<Result<std::vector<Inode>>> Writer::ParentsOf(Attempt* attempt, Inode inode, Inode parent) {
  if (parent.valid()) {
    co_return std::vector<Inode>{parent};
  }
  LinkCountsArguments arguments;
  arguments.inode = inode;
  sim::Task<Status> read = ReadLinkCounts(attempt, &arguments);
  const Status status = co_await std::move(read);
  CO_RETURN_IF_ERROR(status);
  std::vector<Inode> parents;
  for (const auto& [directory, count] : arguments.counts) {
    parents.push_back(directory);
  }
  co_return parents;
}

sim::Task<Inode> Writer::QuotaDirectoryOf(Inode directory) {
  if (!quotas_.has_directories() || !KeepsQuotas(QuotaKind::kDirectory) || IsTrash(directory)) {
    co_return Inode();
  }
  sim::Task<std::vector<Inode>> find = DirectoriesUpFrom(directory);
  const std::vector<Inode> chain = co_await std::move(find);
  for (const Inode above : chain) {
    if (quotas_.Find(QuotaKind::kDirectory, above.value()) != nullptr) {
      co_return above;
    }
  }
  co_return Inode();
}

sim::Task<int> Writer::PlanQuotaMove(Context* context, RenameArguments* arguments) {
  QuotaMove& move = arguments->move;
  move = QuotaMove();
  sim::Task<Inode> find_from = QuotaDirectoryOf(arguments->from_parent);
  move.from = co_await std::move(find_from);
  move.to = move.from;
  if (arguments->from_parent != arguments->to_parent) {
    sim::Task<Inode> find_to = QuotaDirectoryOf(arguments->to_parent);
    move.to = co_await std::move(find_to);
  }
  if (move.from == move.to) {
    co_return 0;
  }
  const std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), context->label / "moved");
  Attempt reader(transaction.get(), &prefix_, 0);
  Result<std::optional<Dentry>> entry = co_await reader.GetDentry(arguments->from_parent, arguments->from_name);
  if (!entry.ok() || !entry->has_value()) {
    co_return entry.ok() ? ENOENT : EIO;
  }
  const Inode inode = (*entry)->inode;
  const QuotaBook::Entry* own = quotas_.Find(QuotaKind::kDirectory, inode.value());
  if (own != nullptr) {
    // As last read: what was added since is not in it, and not the directory itself.
    move.size = {own->stored.used_space + static_cast<int64_t>(SpaceOf(0)), own->stored.used_inodes + 1};
  } else {
    sim::Task<int> summarize = Summarize(context, inode, true, &move.size);
    const int error = co_await std::move(summarize);
    if (error != 0) {
      co_return error;
    }
  }
  if (!move.to.valid()) {
    co_return 0;
  }
  sim::Task<bool> check = TreeExceeds(arguments->to_parent, move.size.space, move.size.inodes);
  const bool exceeded = co_await std::move(check);
  co_return exceeded ? EDQUOT : 0;
}

sim::Task<void> Writer::ChargeTrees(std::vector<TreeUsage> trees) {
  for (const TreeUsage& tree : trees) {
    if (!quotas_.has_directories() || !KeepsQuotas(QuotaKind::kDirectory)) {
      co_return;
    }
    sim::Task<std::vector<Inode>> find = DirectoriesUpFrom(tree.directory);
    const std::vector<Inode> chain = co_await std::move(find);
    for (const Inode directory : chain) {
      quotas_.AddToDirectory(directory, tree.space, tree.inodes);
    }
  }
}

sim::Task<int> Writer::FlushQuotas(Context* context) {
  QuotaArguments arguments;
  arguments.pending = quotas_.Pending();
  if (arguments.pending.empty()) {
    co_return 0;
  }
  const int error = co_await Run(context, TransactionKind::kUsageFlush, &Writer::AddToQuotas, &arguments);
  if (error == 0) {
    quotas_.Flushed(arguments.pending);
  }
  co_return error;
}

sim::Task<Status> Writer::AddToQuotas(Attempt* attempt, QuotaArguments* arguments) {
  for (const PendingQuota& pending : arguments->pending) {
    const Key key = QuotaKey(pending.kind, pending.id);
    Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
    if (!value.ok()) {
      co_return value.error();
    }
    Quota quota{-1, -1, 0, 0};
    if (value->has_value()) {
      const Result<Quota> stored = DecodeQuota(**value);
      if (!stored.ok()) {
        co_return stored.error();
      }
      quota = *stored;
    } else if (pending.kind == QuotaKind::kDirectory) {
      continue;  // it was deleted
    }
    quota.used_space += pending.space;
    quota.used_inodes += pending.inodes;
    attempt->PutRaw(key, EncodeQuota(quota));
  }
  co_return Status::Ok();
}

sim::Task<void> Writer::QuotaFlushLoop() {
  for (uint64_t number = 1; !stopped_; ++number) {
    if (quotas_.Pending().empty()) {
      co_await changed_.Wait();
      continue;
    }
    sim::Label label = label_.Numbered("quota-flush", number);
    sim::Task<bool> sleep = SleepUntil(store_->scheduler()->now_us() + 3'000'000, label.text());
    const bool due = co_await std::move(sleep);
    if (!due) {
      break;
    }
    Context context = MakeContext(std::move(label));
    co_await FlushQuotas(&context);
  }
}

sim::Task<int> Writer::SetQuotaOf(Context* context, QuotaKind kind, Bytes path, uint64_t id, const Quota* limits) {
  QuotaArguments arguments;
  arguments.kind = kind;
  arguments.id = id;
  if (kind == QuotaKind::kDirectory) {
    Dentry entry;
    sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
    const int error = co_await std::move(find);
    if (error != 0 || entry.type != kTypeDirectory || IsTrash(entry.inode)) {
      co_return error != 0 ? error : entry.type != kTypeDirectory ? ENOTDIR : EPERM;
    }
    arguments.id = entry.inode.value();
  } else if (!KeepsQuotas(kind)) {
    co_return EOPNOTSUPP;
  }
  if (limits == nullptr) {
    co_return co_await Run(context, TransactionKind::kOperation, &Writer::DeleteQuotaBody, &arguments);
  }
  arguments.quota = *limits;
  int error = co_await Run(context, TransactionKind::kOperation, &Writer::SetQuotaBody, &arguments);
  if (error != 0 || kind != QuotaKind::kDirectory || !arguments.created) {
    co_return error;
  }
  TreeSize size;  // the program's own, which has nothing pending
  error = co_await Summarize(context, Inode(arguments.id), false, &size);
  if (error != 0) {
    co_return error;
  }
  arguments.quota = Quota{-1, -1, size.space - static_cast<int64_t>(SpaceOf(0)), size.inodes - 1};
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::SetQuotaBody, &arguments);
}

sim::Task<Status> Writer::SetQuotaBody(Attempt* attempt, QuotaArguments* arguments) {
  const Key key = QuotaKey(arguments->kind, arguments->id);
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  const Result<Quota> stored = value->has_value() ? DecodeQuota(**value) : Result<Quota>(Quota{-1, -1, 0, 0});
  if (!stored.ok()) {
    co_return stored.error();
  }
  arguments->created = !value->has_value();
  Quota quota = *stored;
  const Quota& given = arguments->quota;  // below 0: left alone
  quota.max_space = given.max_space >= 0 ? given.max_space : quota.max_space;
  quota.max_inodes = given.max_inodes >= 0 ? given.max_inodes : quota.max_inodes;
  quota.used_space = given.used_space >= 0 ? given.used_space : quota.used_space;
  quota.used_inodes = given.used_inodes >= 0 ? given.used_inodes : quota.used_inodes;
  attempt->PutRaw(key, EncodeQuota(quota));
  attempt->log = fmt::format("SETQUOTA({},{},{},{})", NumberOf(arguments->kind), arguments->id, given.max_space, given.max_inodes);
  co_return Status::Ok();
}

sim::Task<Status> Writer::DeleteQuotaBody(Attempt* attempt, QuotaArguments* arguments) {
  const Key key = QuotaKey(arguments->kind, arguments->id);
  if (arguments->kind == QuotaKind::kDirectory) {
    attempt->DeleteRaw(key);
    co_return Status::Ok();
  }
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  const Result<Quota> stored = value->has_value() ? DecodeQuota(**value) : Result<Quota>(Quota{});
  if (!stored.ok()) {
    co_return stored.error();
  }
  Quota quota = *stored;
  quota.max_space = -1;
  quota.max_inodes = -1;
  attempt->PutRaw(key, EncodeQuota(quota));
  attempt->log = fmt::format("DELQUOTA({},{})", NumberOf(arguments->kind), arguments->id);
  co_return Status::Ok();
}

std::optional<sim::Task<int>> Writer::DispatchQuota(Context* context, const record::Operation& operation) {
  const Quota limits{static_cast<int64_t>(operation.set_quota().space_max()), static_cast<int64_t>(operation.set_quota().inodes_max()), -1, -1};
  quota_limits_ = limits;
  if (operation.kind_case() == record::Operation::kSetQuota) {
    const record::SetQuota& set = operation.set_quota();
    const QuotaKind kind = set.of_case() == record::SetQuota::kUid   ? QuotaKind::kUser
                           : set.of_case() == record::SetQuota::kGid ? QuotaKind::kGroup
                                                                     : QuotaKind::kDirectory;
    return SetQuotaOf(context, kind, set.path(), kind == QuotaKind::kUser ? set.uid() : set.gid(), &quota_limits_);
  }
  if (operation.kind_case() == record::Operation::kDeleteQuota) {
    const record::DeleteQuota& remove = operation.delete_quota();
    const QuotaKind kind = remove.of_case() == record::DeleteQuota::kUid   ? QuotaKind::kUser
                           : remove.of_case() == record::DeleteQuota::kGid ? QuotaKind::kGroup
                                                                           : QuotaKind::kDirectory;
    return SetQuotaOf(context, kind, remove.path(), kind == QuotaKind::kUser ? remove.uid() : remove.gid(), nullptr);
  }
  return std::nullopt;
}

}  // namespace kvjury::juicefs
