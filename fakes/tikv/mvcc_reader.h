// MvccReader: the records of a snapshot as locks, versions and commit records, by TiKV's rules.
//
// Keys are memcomparable keys. Not here: which locks block a read (commands_read.h), and every change.
// Records that do not decode are a broken invariant: whoever brings foreign records into the engine validates
// them first. Source: TiKV 8.5, storage/mvcc/reader.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/engine.h"

namespace kvjury::tikv {

/// A write record and the timestamp at which it stands.
struct CommittedWrite {
  Timestamp commit_ts;
  WriteRecord write;
};

/// What became of a transaction on one key.
struct CommitRecord {
  enum class Kind {
    kNone,                // no trace of the transaction
    kSingle,              // its own record: a commit, or a rollback
    kOverlappedRollback,  // rolled back, noted on another transaction's record that has the same timestamp
  };
  Kind kind = Kind::kNone;
  /// kSingle: its own record. kNone: another transaction's record at its start timestamp, on which a rollback
  /// would have to be noted.
  std::optional<CommittedWrite> record;
  /// kNone with a record: commit_ts of the next newer Put or Delete, or zero: the fence of a rewritten
  /// record.
  Timestamp gc_fence;

  [[nodiscard]] bool is_commit() const {
    return kind == Kind::kSingle && record->write.type != WriteType::kRollback;
  }
  [[nodiscard]] bool is_rollback() const {
    return kind == Kind::kOverlappedRollback || (kind == Kind::kSingle && record->write.type == WriteType::kRollback);
  }
};

/// A value as a reader sees it.
struct VersionedValue {
  Bytes value;
  /// The write record is there and its value in the default column family is not: damaged data. TiKV answers
  /// an error.
  bool is_value_missing = false;
  Timestamp start_ts;
  Timestamp commit_ts;
};

class MvccReader {
 public:
  explicit MvccReader(const Snapshot& snapshot) : snapshot_(snapshot) {}
  [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }

  [[nodiscard]] std::optional<LockRecord> LoadLock(std::string_view key) const;

  /// The newest write record with commit_ts <= ts, of any type.
  [[nodiscard]] std::optional<CommittedWrite> SeekWrite(std::string_view key, Timestamp ts) const;
  /// All write records, newest first.
  [[nodiscard]] std::vector<CommittedWrite> AllWrites(std::string_view key) const;
  /// All values of the default column family, newest start timestamp first.
  [[nodiscard]] std::vector<std::pair<Timestamp, Bytes>> AllValues(std::string_view key) const;

  [[nodiscard]] CommitRecord FindCommitRecord(std::string_view key, Timestamp start_ts) const;

  /// The Put that a reader at `ts` sees: Lock and Rollback records are looked through, a Delete or a record
  /// that its gc_fence has cut off means absent. Locks are not looked at.
  [[nodiscard]] std::optional<CommittedWrite> FindVisiblePut(std::string_view key, Timestamp ts) const;
  /// The same with its value.
  [[nodiscard]] std::optional<VersionedValue> ReadAt(std::string_view key, Timestamp ts) const;
  /// The value of a Put record of the key; nothing when the default column family lacks it (damaged data).
  [[nodiscard]] std::optional<Bytes> LoadValue(std::string_view key, const WriteRecord& write) const;

  struct KeyAndLock {
    Bytes key;
    LockRecord lock;
  };
  /// Locks in [lower, upper) for which `keep(lock)` holds, ascending, at most `limit` (zero: no limit).
  template <class Keep>
  [[nodiscard]] std::vector<KeyAndLock> FindLocks(std::string_view lower, std::string_view upper, size_t limit,
                                                  const Keep& keep) const {
    std::vector<KeyAndLock> found;
    for (Iterator at = snapshot_.Scan(ColumnFamily::kLock, lower, upper); at.Valid(); at.Next()) {
      LockRecord lock = DecodeLock(at.value());
      if (keep(lock)) {
        found.push_back(KeyAndLock{at.key(), std::move(lock)});
        if (found.size() == limit) {
          break;
        }
      }
    }
    return found;
  }

  static LockRecord DecodeLock(std::string_view bytes);
  static WriteRecord DecodeWrite(std::string_view bytes);

 private:
  Snapshot snapshot_;
};

/// One committed version of a user key. Timestamps are invalid where they are not known.
struct UserVersion {
  Bytes key;
  Bytes value;
  Timestamp start_ts;
  Timestamp commit_ts;
  friend bool operator==(const UserVersion&, const UserVersion&) = default;
};
/// The truth without locks: every key of [lower, upper) that is visible at `ts`, ascending by key. `snapshot`
/// may be one IncludingCollected. Keys are decoded user keys. `limit` zero: no limit.
std::vector<UserVersion> ReadRangeAt(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Timestamp ts,
                                     size_t limit);
/// The same one by one, also where the value is missing, until `visit` returns false.
void VisitRangeAt(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Timestamp ts,
                  const std::function<bool(Bytes user_key, VersionedValue found)>& visit);

/// What a new Lock or pessimistic lock on top of `newest` (nothing: the key has no records) knows about the
/// last change.
std::optional<LastChange> LastChangeAfter(const std::optional<CommittedWrite>& newest);

/// The memcomparable part of a key of the write or default column family.
std::string_view KeyOfVersion(std::string_view versioned_key);
/// Its timestamp.
Timestamp TimestampOfVersion(std::string_view versioned_key);
/// Key and inverted timestamp.
Bytes VersionKey(std::string_view key, Timestamp ts);

}  // namespace kvjury::tikv
