#include "fakes/tikv/backup_scan.h"

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

namespace {

constexpr size_t kStepsBeforeSeek = 8;

void Resettle(Iterator* iterator) {
  if (iterator->Valid()) {
    iterator->Seek(Bytes(iterator->key()));
  }
}

}  // namespace

bool LockBlocksRead(const LockRecord& lock, Timestamp ts) {
  return lock.start_ts <= ts && lock.min_commit_ts <= ts && lock.type != LockType::kLock &&
         lock.type != LockType::kPessimistic;
}

BackupScanner::BackupScanner(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Options options)
    : reader_(snapshot),
      writes_(snapshot.Scan(ColumnFamily::kWrite, lower, upper)),
      locks_(snapshot.Scan(ColumnFamily::kLock, lower, upper)),
      options_(options) {}

bool BackupScanner::Fill(BackupBatch* batch, size_t limit, size_t visits_max) {
  // Values under the iterators live only until the engine changes.
  Resettle(&writes_);
  Resettle(&locks_);
  for (size_t visits = 0; batch->entries.size() < limit; ++visits) {
    if (!writes_.Valid() && !locks_.Valid()) {
      batch->done = true;
      return true;
    }
    if (visits == visits_max) {
      return false;
    }
    Bytes key;
    if (writes_.Valid()) {
      key = Bytes(KeyOfVersion(writes_.key()));
    }
    if (locks_.Valid() && (!writes_.Valid() || locks_.key() <= key)) {
      key = locks_.key();
      const LockRecord lock = MvccReader::DecodeLock(locks_.value());
      if (LockBlocksRead(lock, options_.backup_ts) && !options_.ignore_locks) {
        batch->locked = LockedError(key, lock);
        return true;
      }
      locks_.Next();
    }
    std::optional<BackupEntry> entry = ReadKey(key, batch);
    if (batch->broken.has_value()) {
      return true;
    }
    if (entry.has_value()) {
      batch->entries.push_back(std::move(*entry));
    }
  }
  return true;
}

bool BackupScanner::IsOnKey(const Bytes& key) const { return writes_.Valid() && KeyOfVersion(writes_.key()) == key; }

void BackupScanner::SkipTo(const Bytes& key, Timestamp ts) {
  for (size_t steps = 0; IsOnKey(key) && TimestampOfVersion(writes_.key()) > ts; ++steps) {
    if (steps == kStepsBeforeSeek) {
      writes_.Seek(VersionKey(key, ts));
      return;
    }
    writes_.Next();
  }
}

void BackupScanner::LeaveKey(const Bytes& key) {
  for (size_t steps = 0; IsOnKey(key); ++steps) {
    if (steps == kStepsBeforeSeek) {
      writes_.Seek(VersionKey(key, Timestamp()) + Bytes(1, '\0'));
      return;
    }
    writes_.Next();
  }
}

std::optional<BackupEntry> BackupScanner::ReadKey(const Bytes& key, BackupBatch* batch) {
  std::optional<BackupEntry> found;
  for (SkipTo(key, options_.backup_ts); IsOnKey(key); writes_.Next()) {
    if (TimestampOfVersion(writes_.key()) <= options_.start_version) {
      break;
    }
    const WriteRecord write = MvccReader::DecodeWrite(writes_.value());
    if (write.type == WriteType::kPut || write.type == WriteType::kDelete) {
      found = ReadRecord(key, write, batch);
      break;
    }
  }
  LeaveKey(key);
  return found;
}

std::optional<BackupEntry> BackupScanner::ReadRecord(const Bytes& key, const WriteRecord& write, BackupBatch* batch) const {
  const bool put = write.type == WriteType::kPut;
  const bool fenced = write.gc_fence.has_value() && write.gc_fence->valid() && *write.gc_fence <= options_.backup_ts;
  if (fenced || (!put && !options_.start_version.valid())) {
    return std::nullopt;
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
  return entry;
}

bool RawBackupScanner::Fill(BackupBatch* batch, size_t limit, size_t visits_max) {
  Resettle(&records_);
  for (size_t visits = 0; batch->entries.size() < limit; ++visits) {
    if (!records_.Valid()) {
      batch->done = true;
      return true;
    }
    if (visits == visits_max) {
      return false;
    }
    BackupEntry entry;
    entry.user_key = records_.key();
    entry.default_key = records_.key();
    entry.value = records_.value();
    batch->entries.push_back(std::move(entry));
    records_.Next();
  }
  return true;
}

}  // namespace kvjury::tikv
