#include "fakes/tikv/settled_read.h"

#include <algorithm>
#include <map>
#include <optional>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

namespace {

struct Fate {
  bool undecided = false;
  std::optional<Timestamp> commit_ts;  // none: not committed
};

std::optional<LockRecord> OwnLock(const MvccReader& reader, const Bytes& user_key, Timestamp start_ts) {
  std::optional<LockRecord> lock = reader.LoadLock(EncodeKey(user_key));
  const bool is_own = lock.has_value() && lock->start_ts == start_ts && lock->type != LockType::kPessimistic;
  return is_own ? lock : std::nullopt;
}

std::optional<Timestamp> CommitOn(const MvccReader& reader, const Bytes& user_key, Timestamp start_ts) {
  const CommitRecord record = reader.FindCommitRecord(EncodeKey(user_key), start_ts);
  return record.is_commit() ? std::optional(record.record->commit_ts) : std::nullopt;
}

Fate FateOf(const MvccReader& reader, const Bytes& primary, Timestamp start_ts) {
  Fate fate;
  const std::optional<LockRecord> lock = OwnLock(reader, primary, start_ts);
  if (!lock.has_value()) {
    fate.commit_ts = CommitOn(reader, primary, start_ts);
    return fate;
  }
  if (!lock->use_async_commit) {
    fate.undecided = true;
    return fate;
  }
  Timestamp commit_ts = lock->min_commit_ts;
  for (const Bytes& secondary : lock->secondaries) {
    const std::optional<LockRecord> other = OwnLock(reader, secondary, start_ts);
    if (!other.has_value()) {
      fate.commit_ts = CommitOn(reader, secondary, start_ts);
      return fate;
    }
    if (!other->use_async_commit) {  // it fell back to two phases
      fate.undecided = true;
      return fate;
    }
    commit_ts = std::max(commit_ts, other->min_commit_ts);
  }
  fate.commit_ts = commit_ts;
  return fate;
}

// The key's version in place of what the committed records say; none for a deletion.
using Overlay = std::map<Bytes, std::optional<UserVersion>>;

Status Settle(const MvccReader& reader, const MvccReader::KeyAndLock& found, Timestamp commit_ts, Overlay* overlay) {
  Bytes key = UserKey(found.key);
  if (found.lock.type == LockType::kDelete) {
    (*overlay)[std::move(key)] = std::nullopt;
    return Status::Ok();
  }
  WriteRecord write;
  write.start_ts = found.lock.start_ts;
  write.short_value = found.lock.short_value;
  std::optional<Bytes> value = reader.LoadValue(found.key, write);
  if (!value.has_value()) {
    return Status::DataLoss("the value that the lock of the key 0x" + ToHex(key) + " stands for is missing");
  }
  UserVersion version{key, *std::move(value), found.lock.start_ts, commit_ts};
  (*overlay)[std::move(key)] = std::move(version);
  return Status::Ok();
}

std::vector<UserVersion> Merge(std::vector<UserVersion> versions, Overlay overlay) {
  if (overlay.empty()) {
    return versions;
  }
  std::vector<UserVersion> merged;
  auto next = overlay.begin();
  const auto take_overlay = [&]() {
    if (next->second.has_value()) {
      merged.push_back(*std::move(next->second));
    }
    ++next;
  };
  for (UserVersion& version : versions) {
    while (next != overlay.end() && next->first < version.key) {
      take_overlay();
    }
    if (next != overlay.end() && next->first == version.key) {
      take_overlay();
    } else {
      merged.push_back(std::move(version));
    }
  }
  while (next != overlay.end()) {
    take_overlay();
  }
  return merged;
}

}  // namespace

Result<SettledRead> ReadSettledAt(const Snapshot& snapshot, Timestamp ts) {
  SettledRead read;
  Status damage;
  VisitRangeAt(snapshot, {}, {}, ts, [&](Bytes key, VersionedValue found) {
    if (found.is_value_missing) {
      damage = Status::DataLoss("the value of the key 0x" + ToHex(key) + ", written at " + std::to_string(found.start_ts.value()) +
                                " and committed, is missing");
      return false;
    }
    read.versions.push_back({std::move(key), std::move(found.value), found.start_ts, found.commit_ts});
    return true;
  });
  RETURN_IF_ERROR(damage);
  const MvccReader reader(snapshot);
  Overlay overlay;
  const auto may_be_visible = [ts](const LockRecord& lock) {
    return (lock.type == LockType::kPut || lock.type == LockType::kDelete) && lock.start_ts <= ts && lock.min_commit_ts <= ts;
  };
  for (const MvccReader::KeyAndLock& found : reader.FindLocks({}, {}, 0, may_be_visible)) {
    const Fate fate = FateOf(reader, found.lock.primary, found.lock.start_ts);
    if (fate.commit_ts.has_value() && *fate.commit_ts <= ts) {
      ++read.committed_locks;
      RETURN_IF_ERROR(Settle(reader, found, *fate.commit_ts, &overlay));
      continue;
    }
    ++read.other_locks;
    if (fate.undecided && read.undecided_locks++ == 0) {
      read.first_undecided = "the key 0x" + ToHex(UserKey(found.key)) + " is locked by the transaction that began at " +
                             std::to_string(found.lock.start_ts.value()) + " (primary 0x" + ToHex(found.lock.primary) + ")";
    }
  }
  read.versions = Merge(std::move(read.versions), std::move(overlay));
  return read;
}

namespace {

Status MissingValue(const Bytes& key) {
  return Status::DataLoss("the value of a committed change of the key 0x" + ToHex(key) + " is missing");
}

bool ChangesKey(WriteType type) { return type == WriteType::kPut || type == WriteType::kDelete; }

}  // namespace

Result<std::vector<UserChange>> ReadSettledChanges(const Snapshot& snapshot, Timestamp from, Timestamp to) {
  std::vector<UserChange> changes;
  const MvccReader reader(snapshot);
  for (Iterator at = snapshot.Scan(ColumnFamily::kWrite, {}, {}); at.Valid(); at.Next()) {
    const Timestamp commit_ts = TimestampOfVersion(at.key());
    const WriteRecord write = MvccReader::DecodeWrite(at.value());
    if (!ChangesKey(write.type) || commit_ts <= from || commit_ts > to) {
      continue;
    }
    UserChange change{UserKey(KeyOfVersion(at.key())), std::nullopt, commit_ts};
    if (write.type == WriteType::kPut) {
      change.value = reader.LoadValue(KeyOfVersion(at.key()), write);
      if (!change.value.has_value()) {
        return MissingValue(change.key);
      }
    }
    changes.push_back(std::move(change));
  }
  const auto may_be_committed = [to](const LockRecord& lock) {
    return (lock.type == LockType::kPut || lock.type == LockType::kDelete) && lock.start_ts <= to;
  };
  for (const MvccReader::KeyAndLock& found : reader.FindLocks({}, {}, 0, may_be_committed)) {
    const Fate fate = FateOf(reader, found.lock.primary, found.lock.start_ts);
    if (!fate.commit_ts.has_value() || *fate.commit_ts <= from || *fate.commit_ts > to) {
      continue;
    }
    Overlay overlay;
    RETURN_IF_ERROR(Settle(reader, found, *fate.commit_ts, &overlay));
    for (auto& [key, version] : overlay) {
      changes.push_back({key, version.has_value() ? std::optional(std::move(version->value)) : std::nullopt, *fate.commit_ts});
    }
  }
  std::stable_sort(changes.begin(), changes.end(), [](const UserChange& a, const UserChange& b) {
    return a.commit_ts != b.commit_ts ? a.commit_ts < b.commit_ts : a.key < b.key;
  });
  return changes;
}

}  // namespace kvjury::tikv
