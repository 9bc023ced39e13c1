// The parts of Cluster that work on data in bulk: GC, loading, and what the judge may know.
#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/gc.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

constexpr size_t kLoadBatchPairs = 4096;

}  // namespace

void Cluster::PollGcSoon() {
  timers_.After(options_.gc_poll_us, "gc poll", [this]() {
    if (pd_.available()) {
      CompactNow();
    }
    PollGcSoon();
  });
}

uint64_t Cluster::CompactNow() {
  const Timestamp safe_point = pd_.gc_safe_point();
  if (safe_point <= gc_done_) {
    return 0;
  }
  gc_done_ = safe_point;
  WriteBatch batch = CollectGarbage(engine_.Latest(), "", "", safe_point);
  const uint64_t removed = batch.operations.size();
  if (removed > 0) {
    ApplyBatch(std::move(batch));
  }
  world_->log().Add(component_, "gc", safe_point.value(), removed);
  return removed;
}

bool Cluster::GcNow() {
  Result<Timestamp> now = pd_.AllocateTimestamp();
  if (!now.ok()) {
    return false;
  }
  // A collector resolves all older locks first; instead of waiting for that, stay below the oldest one.
  Timestamp safe_point = *now;
  const Snapshot snapshot = engine_.Latest();
  for (Iterator at = snapshot.Scan(ColumnFamily::kLock, "", ""); at.Valid(); at.Next()) {
    safe_point = std::min(safe_point, MvccReader::DecodeLock(at.value()).start_ts.Previous());
  }
  if (safe_point <= pd_.gc_safe_point()) {
    return false;
  }
  pd_.MoveGcSafePoint(safe_point);
  CompactNow();
  return true;
}

Timestamp Cluster::Resolved(std::string_view start, std::string_view end, Timestamp now) const {
  Timestamp resolved = now;
  const Snapshot snapshot = engine_.Latest();
  for (Iterator at = snapshot.Scan(ColumnFamily::kLock, start, end); at.Valid(); at.Next()) {
    const LockRecord lock = MvccReader::DecodeLock(at.value());
    if (lock.type == LockType::kPut || lock.type == LockType::kDelete) {
      resolved = std::min(resolved, lock.start_ts.Previous());
    }
  }
  // Whatever stands in memory may commit right after what its store has promised to readers.
  for (const auto& [id, store] : stores_) {
    for (const MemoryLock* memory : store.run->memory.concurrency.FindInRange(start, end)) {
      resolved = std::min(resolved, memory->lock.start_ts.Previous());
    }
  }
  return resolved;
}

size_t Cluster::LockCount() const {
  size_t count = 0;
  const Snapshot snapshot = engine_.Latest();
  for (Iterator at = snapshot.Scan(ColumnFamily::kLock, "", ""); at.Valid(); at.Next()) {
    ++count;
  }
  return count;
}

void Cluster::LoadPairs(const std::vector<std::pair<Bytes, Bytes>>& pairs, Timestamp commit_ts) {
  CHECK_GT(commit_ts.value(), 1U);
  Load(pairs.size(), commit_ts, [&](size_t i) {
    return UserVersion{pairs[i].first, pairs[i].second, commit_ts.Previous(), commit_ts};
  });
}

void Cluster::LoadVersions(const std::vector<UserVersion>& versions) {
  Timestamp newest;
  for (const UserVersion& version : versions) {
    newest = std::max(newest, version.commit_ts);
  }
  Load(versions.size(), newest, [&](size_t i) { return versions[i]; });
}

void Cluster::Load(size_t count, Timestamp newest, const std::function<UserVersion(size_t)>& version_at) {
  WriteBatch batch;
  Bytes former;
  for (size_t i = 0; i < count; ++i) {
    UserVersion version = version_at(i);
    CHECK(i == 0 || former < version.key) << "keys must ascend";
    CHECK(version.start_ts.valid());
    CHECK_LT(version.start_ts, version.commit_ts);
    WriteRecord write;
    write.type = WriteType::kPut;
    write.start_ts = version.start_ts;
    if (version.value.size() <= kShortValueBytesMax) {
      write.short_value = std::move(version.value);
    } else {
      batch.Put(ColumnFamily::kDefault, EncodeVersionedKey(version.key, version.start_ts), std::move(version.value));
    }
    batch.Put(ColumnFamily::kWrite, EncodeVersionedKey(version.key, version.commit_ts), write.Encode());
    former = std::move(version.key);
    if (batch.operations.size() >= kLoadBatchPairs) {
      ApplyBatch(std::exchange(batch, {}));
    }
  }
  if (!batch.empty()) {
    ApplyBatch(std::move(batch));
  }
  world_->log().Add(component_, "load", count, newest.value());
}

std::vector<std::pair<Bytes, Bytes>> Cluster::OracleRead(std::string_view start, std::string_view end,
                                                         Timestamp ts) const {
  std::vector<std::pair<Bytes, Bytes>> pairs;
  const Snapshot snapshot = engine_.Latest().IncludingCollected();
  for (UserVersion& pair : ReadRangeAt(snapshot, EncodeBoundary(start), EncodeBoundary(end), ts, 0)) {
    pairs.emplace_back(std::move(pair.key), std::move(pair.value));
  }
  return pairs;
}

Cluster::TransactionFate Cluster::OracleTransaction(Timestamp start_ts, std::string_view primary_key) const {
  const Bytes key = EncodeKey(primary_key);
  const MvccReader reader(engine_.Latest().IncludingCollected());
  TransactionFate fate;
  const CommitRecord record = reader.FindCommitRecord(key, start_ts);
  if (record.is_commit()) {
    fate.fate = Fate::kCommitted;
    fate.commit_ts = record.record->commit_ts;
    return fate;
  }
  if (record.is_rollback()) {
    fate.fate = Fate::kRolledBack;
    return fate;
  }
  const std::optional<LockRecord> lock = reader.LoadLock(key);
  if (lock.has_value() && lock->start_ts == start_ts) {
    fate.fate = Fate::kPending;
  }
  return fate;
}

}  // namespace kvjury::tikv
