#include "fakes/tikv/mvcc_reader.h"

#include "fakes/base/check.h"
#include "fakes/base/memcomparable.h"

namespace kvjury::tikv {

namespace {

constexpr size_t kTimestampBytes = 8;

// A record may be followed for a reader at `ts` only if no fence at or below `ts` cuts it off.
bool IsFenced(const WriteRecord& write, Timestamp ts) {
  return write.gc_fence.has_value() && write.gc_fence->valid() && *write.gc_fence <= ts;
}

}  // namespace

std::string_view KeyOfVersion(std::string_view versioned_key) {
  CHECK_GE(versioned_key.size(), kTimestampBytes);
  return versioned_key.substr(0, versioned_key.size() - kTimestampBytes);
}

Timestamp TimestampOfVersion(std::string_view versioned_key) {
  CHECK_GE(versioned_key.size(), kTimestampBytes);
  ByteReader reader(versioned_key.substr(versioned_key.size() - kTimestampBytes));
  return Timestamp(~reader.Be64());
}

Bytes VersionKey(std::string_view key, Timestamp ts) {
  Bytes out;
  out.reserve(key.size() + kTimestampBytes);
  out.append(key);
  AppendInvertedTimestamp(&out, ts);
  return out;
}

LockRecord MvccReader::DecodeLock(std::string_view bytes) {
  Result<LockRecord> lock = LockRecord::Decode(bytes);
  CHECK(lock.has_value()) << lock.status().ToString() << " in a lock record " << ToHex(bytes);
  return std::move(lock).value();
}

WriteRecord MvccReader::DecodeWrite(std::string_view bytes) {
  Result<WriteRecord> write = WriteRecord::Decode(bytes);
  CHECK(write.has_value()) << write.status().ToString() << " in a write record " << ToHex(bytes);
  return std::move(write).value();
}

std::optional<LockRecord> MvccReader::LoadLock(std::string_view key) const {
  const Bytes* value = snapshot_.Get(ColumnFamily::kLock, key);
  if (value == nullptr) {
    return std::nullopt;
  }
  return DecodeLock(*value);
}

std::optional<CommittedWrite> MvccReader::SeekWrite(std::string_view key, Timestamp ts) const {
  // A memcomparable key with the smallest timestamp is the last of its versions; one more byte ends the
  // range.
  const Iterator at =
      snapshot_.Scan(ColumnFamily::kWrite, VersionKey(key, ts), NextKey(VersionKey(key, Timestamp(0))));
  if (!at.Valid()) {
    return std::nullopt;
  }
  return CommittedWrite{TimestampOfVersion(at.key()), DecodeWrite(at.value())};
}

std::vector<CommittedWrite> MvccReader::AllWrites(std::string_view key) const {
  std::vector<CommittedWrite> writes;
  for (Iterator at = snapshot_.Scan(ColumnFamily::kWrite, VersionKey(key, Timestamp::Max()),
                                    NextKey(VersionKey(key, Timestamp(0))));
       at.Valid(); at.Next()) {
    writes.push_back(CommittedWrite{TimestampOfVersion(at.key()), DecodeWrite(at.value())});
  }
  return writes;
}

std::vector<std::pair<Timestamp, Bytes>> MvccReader::AllValues(std::string_view key) const {
  std::vector<std::pair<Timestamp, Bytes>> values;
  for (Iterator at = snapshot_.Scan(ColumnFamily::kDefault, VersionKey(key, Timestamp::Max()),
                                    NextKey(VersionKey(key, Timestamp(0))));
       at.Valid(); at.Next()) {
    values.emplace_back(TimestampOfVersion(at.key()), at.value());
  }
  return values;
}

CommitRecord MvccReader::FindCommitRecord(std::string_view key, Timestamp start_ts) const {
  // From the oldest on: a transaction commits soon after its start, and there may be many newer versions.
  Timestamp newer_change;  // the next newer Put or Delete
  CommitRecord result;
  for (Iterator at = snapshot_.ReverseScan(ColumnFamily::kWrite, VersionKey(key, Timestamp::Max()),
                                           NextKey(VersionKey(key, start_ts)));
       at.Valid(); at.Next()) {
    CommittedWrite found{TimestampOfVersion(at.key()), DecodeWrite(at.value())};
    if (found.write.start_ts == start_ts) {
      result.kind = CommitRecord::Kind::kSingle;
      result.record = std::move(found);
      return result;
    }
    if (found.commit_ts == start_ts) {
      if (found.write.has_overlapped_rollback) {
        result.kind = CommitRecord::Kind::kOverlappedRollback;
      }
      result.record = std::move(found);
    } else if (!newer_change.valid() && (found.write.type == WriteType::kPut || found.write.type == WriteType::kDelete)) {
      newer_change = found.commit_ts;
    }
  }
  if (result.record.has_value() && result.kind != CommitRecord::Kind::kOverlappedRollback) {
    result.gc_fence = newer_change;
  }
  return result;
}

std::optional<CommittedWrite> MvccReader::FindVisiblePut(std::string_view key, Timestamp ts) const {
  for (Iterator at = snapshot_.Scan(ColumnFamily::kWrite, VersionKey(key, ts), NextKey(VersionKey(key, Timestamp(0))));
       at.Valid(); at.Next()) {
    WriteRecord write = DecodeWrite(at.value());
    if (write.type == WriteType::kLock || write.type == WriteType::kRollback) {
      continue;
    }
    if (write.type == WriteType::kDelete || IsFenced(write, ts)) {
      return std::nullopt;
    }
    return CommittedWrite{TimestampOfVersion(at.key()), std::move(write)};
  }
  return std::nullopt;
}

std::optional<VersionedValue> MvccReader::ReadAt(std::string_view key, Timestamp ts) const {
  const std::optional<CommittedWrite> found = FindVisiblePut(key, ts);
  if (!found.has_value()) {
    return std::nullopt;
  }
  std::optional<Bytes> value = LoadValue(key, found->write);
  VersionedValue result;
  result.is_value_missing = !value.has_value();
  result.value = std::move(value).value_or(Bytes());
  result.start_ts = found->write.start_ts;
  result.commit_ts = found->commit_ts;
  return result;
}

std::optional<Bytes> MvccReader::LoadValue(std::string_view key, const WriteRecord& write) const {
  CHECK(write.type == WriteType::kPut) << "only a Put has a value";
  if (write.short_value.has_value()) {
    return *write.short_value;
  }
  const Bytes* value = snapshot_.Get(ColumnFamily::kDefault, VersionKey(key, write.start_ts));
  return value == nullptr ? std::nullopt : std::optional<Bytes>(*value);
}

std::optional<LastChange> LastChangeAfter(const std::optional<CommittedWrite>& newest) {
  if (!newest.has_value()) {
    return LastChange{Timestamp(), 1};
  }
  if (newest->write.type == WriteType::kPut || newest->write.type == WriteType::kDelete) {
    return LastChange{newest->commit_ts, 1};
  }
  std::optional<LastChange> change = newest->write.last_change;
  if (change.has_value() && change->ts.valid()) {
    ++change->versions;
  }
  return change;
}

void VisitRangeAt(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Timestamp ts,
                  const std::function<bool(Bytes user_key, VersionedValue found)>& visit) {
  const MvccReader reader(snapshot);
  Iterator at = snapshot.Scan(ColumnFamily::kWrite, lower, upper);
  while (at.Valid()) {
    const Bytes key(KeyOfVersion(at.key()));
    std::optional<VersionedValue> found = reader.ReadAt(key, ts);
    if (found.has_value()) {
      Result<Bytes> user_key = DecodeKey(key);
      CHECK(user_key.has_value()) << "a key that is not memcomparable: " << ToHex(key);
      if (!visit(std::move(user_key).value(), *std::move(found))) {
        return;
      }
    }
    at.Seek(NextKey(VersionKey(key, Timestamp(0))));
  }
}

std::vector<UserVersion> ReadRangeAt(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Timestamp ts,
                                     size_t limit) {
  std::vector<UserVersion> versions;
  VisitRangeAt(snapshot, lower, upper, ts, [&versions, limit](Bytes key, VersionedValue found) {
    versions.push_back({std::move(key), std::move(found.value), found.start_ts, found.commit_ts});
    return limit == 0 || versions.size() < limit;
  });
  return versions;
}

}  // namespace kvjury::tikv
