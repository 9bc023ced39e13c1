#include "fakes/tikv/backup_scan.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

bool LockBlocksRead(const LockRecord& lock, Timestamp ts) {
  return lock.start_ts <= ts && lock.min_commit_ts <= ts && lock.type != LockType::kLock &&
         lock.type != LockType::kPessimistic;
}

BackupScanner::BackupScanner(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Options options)
    : reader_(snapshot),
      writes_(snapshot.Scan(ColumnFamily::kWrite, lower, upper)),
      locks_(snapshot.Scan(ColumnFamily::kLock, lower, upper)),
      options_(options) {}

BackupScanner::Batch BackupScanner::Next(size_t limit) {
  Batch batch;
  while (batch.entries.size() < limit) {
    if (!writes_.Valid() && !locks_.Valid()) {
      batch.done = true;
      return batch;
    }
    Bytes key;
    if (writes_.Valid()) {
      key = Bytes(KeyOfVersion(writes_.key()));
    }
    if (locks_.Valid() && (!writes_.Valid() || locks_.key() <= key)) {
      key = locks_.key();
      const LockRecord lock = MvccReader::DecodeLock(locks_.value());
      if (LockBlocksRead(lock, options_.backup_ts) && !options_.ignore_locks) {
        batch.locked = LockedError(key, lock);
        return batch;
      }
      locks_.Next();
    }
    std::optional<BackupEntry> entry = ReadKey(key, &batch);
    if (batch.broken.has_value()) {
      return batch;
    }
    if (entry.has_value()) {
      batch.entries.push_back(std::move(*entry));
    }
  }
  return batch;
}

std::optional<BackupEntry> BackupScanner::ReadKey(const Bytes& key, Batch* batch) {
  std::optional<BackupEntry> found;
  bool decided = false;
  for (; writes_.Valid() && KeyOfVersion(writes_.key()) == key; writes_.Next()) {
    const Timestamp commit_ts = TimestampOfVersion(writes_.key());
    if (decided || commit_ts > options_.backup_ts) {
      continue;
    }
    const WriteRecord write = MvccReader::DecodeWrite(writes_.value());
    const bool put = write.type == WriteType::kPut;
    if (commit_ts <= options_.start_version) {
      decided = true;
      continue;
    }
    if (!put && write.type != WriteType::kDelete) {
      continue;
    }
    decided = true;
    const bool fenced = write.gc_fence.has_value() && write.gc_fence->valid() && *write.gc_fence <= options_.backup_ts;
    if (fenced || (!put && !options_.start_version.valid())) {
      continue;
    }
    BackupEntry entry;
    entry.user_key = UserKey(key);
    entry.write_key = writes_.key();
    entry.write_value = writes_.value();
    if (put && write.short_value.has_value()) {
      entry.value = *write.short_value;
    } else if (put) {
      entry.default_key = VersionKey(key, write.start_ts);
      const Bytes* value = reader_.snapshot().Get(ColumnFamily::kDefault, entry.default_key);
      if (value == nullptr) {
        batch->broken = DefaultNotFoundError(key, write.start_ts);
        return std::nullopt;
      }
      entry.value = *value;
    }
    found = std::move(entry);
  }
  return found;
}

}  // namespace kvjury::tikv
