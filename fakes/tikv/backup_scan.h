// BackupScanner: the entries of a range that belong into a backup at a timestamp.
//
// For each user key at most one version: the newest Put with start_version < commit_ts <= backup_ts, its write record byte for
// byte as it stands in the store, with its value from the default family when it has one there. Deletes only when
// start_version is not zero. A lock that could commit at or below backup_ts stops the scan.
// Source: TiKV 8.5, the entry scanner of its backup.
#pragma once

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
  Bytes write_key;    // without the data prefix
  Bytes write_value;  // verbatim
  Bytes default_key;  // empty: the value is inside the write record, or there is none
  Bytes value;        // the user's value
};

struct BackupScanOptions {
  Timestamp start_version;
  Timestamp backup_ts;
  /// Planted bug: locks are passed by.
  bool ignore_locks = false;
};

class BackupScanner {
 public:
  using Options = BackupScanOptions;
  /// Over the encoded range [lower, upper); the snapshot must be pinned for the scanner's life.
  BackupScanner(const Snapshot& snapshot, std::string_view lower, std::string_view upper, Options options);

  struct Batch {
    std::vector<BackupEntry> entries;
    bool done = false;
    /// The scan ends here.
    std::optional<kvrpcpb::KeyError> locked;
    /// Likewise: a write record names a value that is not there (a restore brought only one family).
    std::optional<kvrpcpb::KeyError> broken;
  };
  /// The next entries, at most `limit`. Does not suspend.
  Batch Next(size_t limit);

 private:
  std::optional<BackupEntry> ReadKey(const Bytes& key, Batch* batch);

  MvccReader reader_;
  Iterator writes_;
  Iterator locks_;
  Options options_;
};

}  // namespace kvjury::tikv
