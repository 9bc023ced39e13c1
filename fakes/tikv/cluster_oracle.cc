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
  const Timestamp start_ts = commit_ts.Previous();
  WriteBatch batch;
  const Bytes* former = nullptr;
  for (const auto& [key, value] : pairs) {
    CHECK(former == nullptr || *former < key) << "pairs must ascend";
    former = &key;
    WriteRecord write;
    write.type = WriteType::kPut;
    write.start_ts = start_ts;
    if (value.size() <= kShortValueBytesMax) {
      write.short_value = value;
    } else {
      batch.Put(ColumnFamily::kDefault, EncodeVersionedKey(key, start_ts), value);
    }
    batch.Put(ColumnFamily::kWrite, EncodeVersionedKey(key, commit_ts), write.Encode());
    if (batch.operations.size() >= kLoadBatchPairs) {
      ApplyBatch(std::exchange(batch, {}));
    }
  }
  if (!batch.empty()) {
    ApplyBatch(std::move(batch));
  }
  world_->log().Add(component_, "load", pairs.size(), commit_ts.value());
}

std::vector<std::pair<Bytes, Bytes>> Cluster::OracleRead(std::string_view start, std::string_view end,
                                                         Timestamp ts) const {
  std::vector<std::pair<Bytes, Bytes>> pairs;
  const Snapshot snapshot = engine_.Latest().IncludingCollected();
  for (UserPair& pair : ReadRangeAt(snapshot, EncodeBoundary(start), EncodeBoundary(end), ts, 0)) {
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
