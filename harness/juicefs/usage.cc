// Usage counters and directory statistics, flushed late: their own transactions, lost if the session dies before.
#include <fmt/format.h>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr size_t kDirectoriesPerFlush = 20;

void AddTo(const DirStat& delta, DirStat* stat) {
  stat->length += delta.length;
  stat->space += delta.space;
  stat->inodes += delta.inodes;
}

}  // namespace

void UsageDelta::AddInode(const Attr& attr, int64_t sign) {
  const int64_t bytes = sign * static_cast<int64_t>(SpaceOf(attr.type == kTypeFile ? attr.length : 0));
  space += bytes;
  inodes += sign;
  owners.push_back({attr.uid, attr.gid, bytes, sign});
}

void UsageDelta::AddEntry(Inode directory, const Attr& attr, int64_t sign) {
  const DirStat change = StatOf(attr, sign);
  directories.push_back({directory, change});
  if (!IsTrash(directory)) {
    trees.push_back({directory, change.space, change.inodes});
  }
}

void UsageDelta::AddNewOwner(const Attr& old, const Attr& attr) {
  if (attr.type != kTypeFile && attr.type != kTypeDirectory) {
    return;
  }
  const DirStat size = StatOf(attr, 1);
  if (old.uid != attr.uid) {
    owners.push_back({old.uid, 0, -size.space, -1});
    owners.push_back({attr.uid, 0, size.space, 1});
  }
  if (old.gid != attr.gid) {
    owners.push_back({0, old.gid, -size.space, -1});
    owners.push_back({0, attr.gid, size.space, 1});
  }
}

void UsageDelta::AddLengthChange(Inode inode, const Attr& attr, uint64_t new_length) {
  const int64_t more_length = static_cast<int64_t>(new_length) - static_cast<int64_t>(attr.length);
  const int64_t more_space = static_cast<int64_t>(SpaceOf(new_length)) - static_cast<int64_t>(SpaceOf(attr.length));
  if (more_length == 0 && more_space == 0) {
    return;
  }
  space += more_space;
  owners.push_back({attr.uid, attr.gid, more_space, 0});
  if (attr.parent.valid()) {
    directories.push_back({attr.parent, DirStat{more_length, more_space, 0}});
    trees.push_back({attr.parent, more_space, 0});
  } else {
    links.push_back({inode, more_length, more_space});
  }
}

void Writer::AddUsage(const UsageDelta& delta) {
  pending_space_ += delta.space;
  pending_inodes_ += delta.inodes;
  if (setting_.dir_stats) {
    for (const auto& [directory, change] : delta.directories) {
      AddTo(change, &pending_directories_[directory]);
    }
  }
  if (setting_.user_group_quota) {
    for (const OwnerUsage& owner : delta.owners) {
      if (owner.space != 0 || owner.inodes != 0) {
        quotas_.AddToOwner(owner.uid, owner.gid, owner.space, owner.inodes);
      }
    }
  }
  if (HasPendingUsage()) {
    changed_.NotifyAll();
  }
}

sim::Task<void> Writer::ChargeLinks(Context* context, std::vector<LinksUsage> links) {
  for (const LinksUsage& change : links) {
    if (!setting_.dir_stats) {
      co_return;
    }
    LinkCountsArguments arguments;
    arguments.inode = change.inode;
    if (co_await Run(context, TransactionKind::kOperation, &Writer::ReadLinkCounts, &arguments) != 0) {
      continue;  // a warning: the directories stay wrong
    }
    UsageDelta delta;
    for (const auto& [directory, count] : arguments.counts) {
      delta.directories.push_back({directory, DirStat{change.length * count, change.space * count, 0}});
      delta.trees.push_back({directory, change.space * count, 0});
    }
    AddUsage(delta);
    co_await ChargeTrees(delta.trees);
  }
}

sim::Task<Status> Writer::ReadLinkCounts(Attempt* attempt, LinkCountsArguments* arguments) {
  arguments->counts.clear();
  const Key first = LinkCountKey(arguments->inode, Inode());
  Result<std::vector<std::pair<Key, Bytes>>> counts = co_await attempt->ScanFamily(first, 0);
  if (!counts.ok()) {
    co_return counts.error();
  }
  for (const auto& [key, value] : *counts) {
    const Result<int64_t> count = DecodeInt64Le(value);
    if (count.ok() && *count > 0) {
      arguments->counts[key.parent] = *count;
    }
  }
  co_return Status::Ok();
}

sim::Task<int> Writer::Flush(Context* context) {
  while (flushing_) {
    co_await changed_.Wait();
  }
  flushing_ = true;
  // What operations add while the flush runs belongs to the next one. A counter that failed is tried again by the next flush, even if its
  // transaction was undetermined and did commit; directory statistics that failed are lost. Both are eventual.
  int first_error = 0;
  IdArguments space{"usedSpace", pending_space_, 0};
  if (space.step != 0) {
    first_error = co_await Run(context, TransactionKind::kUsageFlush, &Writer::IncrementCounter, &space);
    if (first_error == 0) {
      pending_space_ -= space.step;
      used_space_ = space.value;
    }
  }
  IdArguments inodes{"totalInodes", pending_inodes_, 0};
  if (inodes.step != 0) {
    const int error = co_await Run(context, TransactionKind::kUsageFlush, &Writer::IncrementCounter, &inodes);
    if (error == 0) {
      pending_inodes_ -= inodes.step;
      used_inodes_ = inodes.value;
    }
    first_error = first_error != 0 ? first_error : error;
  }
  std::map<Inode, DirStat> directories = std::exchange(pending_directories_, {});
  while (!directories.empty()) {
    FlushArguments arguments;
    while (!directories.empty() && arguments.directories.size() < kDirectoriesPerFlush) {
      arguments.directories.push_back(*directories.begin());
      directories.erase(directories.begin());
    }
    int error = co_await Run(context, TransactionKind::kUsageFlush, &Writer::FlushDirectories, &arguments);
    first_error = first_error != 0 ? first_error : error;
    const std::vector<Inode> recount = arguments.recount;
    for (const Inode directory : recount) {
      arguments.directory = directory;
      error = co_await Run(context, TransactionKind::kUsageFlush, &Writer::RecountDirectory, &arguments);
      first_error = first_error != 0 ? first_error : error;
    }
  }
  flushing_ = false;
  changed_.NotifyAll();
  co_return first_error;
}

sim::Task<Status> Writer::FlushDirectories(Attempt* attempt, FlushArguments* arguments) {
  arguments->recount.clear();
  for (const auto& [directory, delta] : arguments->directories) {
    const Key key = DirStatKey(directory);
    Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
    if (!value.ok()) {
      co_return value.error();
    }
    if (!value->has_value()) {
      arguments->recount.push_back(directory);
      continue;
    }
    Result<DirStat> stat = DecodeDirStat(**value);
    if (!stat.ok()) {
      co_return stat.error();
    }
    AddTo(delta, &*stat);
    if (stat->length < 0 || stat->space < 0 || stat->inodes < 0) {
      arguments->recount.push_back(directory);
    } else {
      attempt->PutRaw(key, EncodeDirStat(*stat));
    }
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::RecountDirectory(Attempt* attempt, FlushArguments* arguments) {
  arguments->counted = DirStat();
  Result<std::optional<Attr>> directory = co_await attempt->GetAttr(arguments->directory);
  if (!directory.ok()) {
    co_return directory.error();
  }
  if (!directory->has_value()) {
    co_return Status::Ok();
  }
  const Key first = DentryKey(arguments->directory, "");
  Result<std::vector<std::pair<Key, Bytes>>> entries = co_await attempt->ScanFamily(first, 0);
  if (!entries.ok()) {
    co_return entries.error();
  }
  DirStat stat;
  for (const auto& [key, value] : *entries) {
    Result<Dentry> dentry = DecodeDentry(value);
    if (!dentry.ok()) {
      co_return dentry.error();
    }
    const Inode inode = dentry->inode;
    Result<std::optional<Attr>> attr = co_await attempt->GetAttr(inode);
    if (!attr.ok()) {
      co_return attr.error();
    }
    const uint64_t length = attr->has_value() && (*attr)->type == kTypeFile ? (*attr)->length : 0;
    AddTo({static_cast<int64_t>(length), static_cast<int64_t>(SpaceOf(length)), 1}, &stat);
  }
  attempt->PutRaw(DirStatKey(arguments->directory), EncodeDirStat(stat));
  arguments->counted = stat;
  attempt->log = fmt::format("DIRSTAT({},{},{},{})", arguments->directory.value(), stat.length, stat.space, stat.inodes);
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
