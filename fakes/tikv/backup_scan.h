// Scanners of a backup: the entries of a range that belong into it, as of a snapshot, in batches.
//
// BackupScanner reads a transactional range at a timestamp. For each user key at most one version: the newest Put with start_version < commit_ts <= backup_ts, its write record byte for
// byte as it stands in the store, with its value from the default family when it has one there. Deletes only when
// start_version is not zero. A lock that could commit at or below backup_ts stops the scan.
// RawBackupScanner copies the records of one family as they are: no timestamps, no locks.
// Between two calls anything may happen to the engine; the snapshot must stay pinned.
// Not modelled: raw keys with a time to live, raw keys of API version 2.
// Source: TiKV 8.5, the entry scanner of its backup and components/backup/src/endpoint.rs.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "fakes/tikv/engine.h"
#include "fakes/tikv/mvcc_reader.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::tikv {

/// True if a reader at `ts` must not pass this lock.
bool LockBlocksRead(const LockRecord& lock, Timestamp ts);

struct BackupEntry {
  Bytes user_key;
  Bytes write_key;    // without the data prefix; empty in a raw backup
  Bytes write_value;  // verbatim
  Bytes default_key;  // empty: the value is inside the write record, or there is none
  Bytes value;        // the user's value
};

struct BackupBatch {
  std::vector<BackupEntry> entries;
  bool done = false;
  /// The scan ends here.
  std::optional<kvrpcpb::KeyError> locked;
  /// Likewise: a write record names a value that is not there (a restore brought only one family).
  std::optional<kvrpcpb::KeyError> broken;
};

class BackupEntryScanner {
 public:
  virtual ~BackupEntryScanner() = default;
  /// Goes on filling `batch` up to `limit` entries. True when it is full or the scan is over; false when `visits_max` keys were
  /// looked at: call again, perhaps after giving way to others. Does not suspend.
  virtual bool Fill(BackupBatch* batch, size_t limit, size_t visits_max) = 0;
};

struct BackupScanOptions {
  Timestamp start_version;
  Timestamp backup_ts;
  /// Planted bug: locks are passed by.
  bool ignore_locks = false;
};

class BackupScanner final : public BackupEntryScanner {
 public:
  using Options = BackupScanOptions;
  /// Over the encoded range [lower, upper); the snapshot must be pinned for the scanner's life.
  BackupScanner(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Options options);

  bool Fill(BackupBatch* batch, size_t limit, size_t visits_max) override;

 private:
  /// The entry of the key, if it has one, and the iterator behind all its versions.
  std::optional<BackupEntry> ReadKey(const Bytes& key, BackupBatch* batch);
  [[nodiscard]] bool IsOnKey(const Bytes& key) const;
  /// To the first version of the key at or below `ts`; a few steps, then a seek.
  void SkipTo(const Bytes& key, Timestamp ts);
  void LeaveKey(const Bytes& key);
  /// What an entry holds of the record under the iterator; nothing if the record says "absent".
  std::optional<BackupEntry> ReadRecord(const Bytes& key, const WriteRecord& write, BackupBatch* batch) const;

  MvccReader reader_;
  Iterator writes_;
  Iterator locks_;
  Options options_;
};

class RawBackupScanner final : public BackupEntryScanner {
 public:
  /// Over [lower, upper) of the family's keys as they are stored.
  RawBackupScanner(const Snapshot& snapshot, ColumnFamily family, std::string_view lower, std::string_view upper)
      : records_(snapshot.Scan(family, lower, upper)) {}

  bool Fill(BackupBatch* batch, size_t limit, size_t visits_max) override;

 private:
  Iterator records_;
};

}  // namespace kvjury::tikv
