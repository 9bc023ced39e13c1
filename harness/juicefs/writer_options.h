// What a session is given, and what one operation of it gives back. The session: writer.h.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "harness/client/history_collector.h"
#include "harness/juicefs/block_store.h"
#include "harness/juicefs/effects.h"
#include "harness/juicefs/metadata_backup.h"
#include "harness/juicefs/mount_options.h"
#include "harness/juicefs/statfs.h"

namespace kvjury::juicefs {

struct WriterOptions {
  uint32_t id = 1;    // labels begin with "w<id>"
  Bytes volume_name;  // its keys begin with this name and byte 0xFD
  /// Wall time now, nanoseconds since the epoch: the cluster clock's start plus virtual time.
  std::function<int64_t()> wall_ns;
  MountOptions mount;
  /// Where slices are written to before they are committed; nullptr: no block is written or read. Must outlive the writer.
  BlockStore* blocks = nullptr;
  /// How the hourly job ends the cluster's history; nullptr: it does not. Must outlive the writer.
  client::HistoryCollector* history = nullptr;
  /// How the automatic backup of the metadata is made when it is due; nullptr: it is not. Must outlive the writer.
  MetadataBackup* backup = nullptr;
};

/// An upper bound of tries of one transaction.
inline constexpr uint32_t kTransactionTriesMax = 50;

/// Who waits for a lock for so long is interrupted by a signal.
inline constexpr Micros kLockWaitUsMax = 2'000'000;

struct OperationResult {
  int error = 0;              // an errno of Linux; 0: done. EIO may stand for a commit whose fate is unknown
  bool acknowledged = false;  // the user was told that it is done: error is 0
  bool undetermined = false;  // some transaction's answer was lost
  Micros invoked_us = 0;
  Micros completed_us = 0;
  std::vector<DeclaredTransaction> transactions;  // in commit order of this writer
  // What reading operations saw.
  std::vector<Bytes> names;          // readdir and listxattr, byte order
  std::optional<Bytes> value;        // getxattr, an ACL in the kernel's form, the target of readlink
  std::optional<PlockRange> lock;    // get_lock: what is in the way; absent: nothing
  std::optional<Attr> attr;          // lookup and read
  std::map<uint32_t, std::vector<SliceRecord>> extents;  // read: records of the chunks touched
  std::optional<Bytes> data;                             // read, of a writer with blocks: the bytes up to the file's end
  uint64_t copied_bytes = 0;                             // copy_file_range
  std::optional<StatFs> statfs;
  uint64_t restored = 0;                                 // restore_trash: names that left their hour
};

}  // namespace kvjury::juicefs
