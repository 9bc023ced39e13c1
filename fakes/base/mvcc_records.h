// The values of TiKV's write and lock column families, byte for byte. The default column family holds bare values.
//
// Decoding keeps parts that are known; an unknown part behind the known ones ends the parse, as in TiKV, and its bytes are
// kept in `unknown_tail` so that re-encoding gives the same bytes.
// Not modelled: shared lock records ('H'), which JuiceFS and br never make: decoding one is kUnsupported.
// Source: the write and lock records of TiKV 8.5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"

namespace kvjury {

enum class WriteType : char { kPut = 'P', kDelete = 'D', kLock = 'L', kRollback = 'R' };
enum class LockType : char { kPut = 'P', kDelete = 'D', kLock = 'L', kPessimistic = 'S' };

/// Values of at most this many bytes travel inside the lock and the write record.
inline constexpr size_t kShortValueBytesMax = 255;

/// When the last change of the value was, if known: (ts 0, versions 1) means "the key did not exist before".
struct LastChange {
  Timestamp ts;
  uint64_t versions = 0;
  friend bool operator==(const LastChange&, const LastChange&) = default;
};

struct WriteRecord {
  WriteType type = WriteType::kPut;
  Timestamp start_ts;
  std::optional<Bytes> short_value;
  bool has_overlapped_rollback = false;
  std::optional<Timestamp> gc_fence;
  std::optional<LastChange> last_change;
  uint64_t txn_source = 0;
  Bytes unknown_tail;

  [[nodiscard]] Bytes Encode() const;
  /// Errors: kDataLoss.
  static Result<WriteRecord> Decode(std::string_view bytes);
  /// The marker "p" that a rollback record carries when it must not be collapsed.
  [[nodiscard]] bool is_protected_rollback() const {
    return type == WriteType::kRollback && short_value.has_value() && *short_value == "p";
  }
  friend bool operator==(const WriteRecord&, const WriteRecord&) = default;
};

struct LockRecord {
  LockType type = LockType::kPut;
  Bytes primary;
  Timestamp start_ts;
  uint64_t ttl_ms = 0;
  std::optional<Bytes> short_value;
  Timestamp for_update_ts;
  uint64_t txn_size = 0;
  Timestamp min_commit_ts;
  bool use_async_commit = false;
  std::vector<Bytes> secondaries;
  std::vector<Timestamp> rollback_ts;
  std::optional<LastChange> last_change;
  uint64_t txn_source = 0;
  bool is_locked_with_conflict = false;
  uint64_t generation = 0;
  Bytes unknown_tail;

  [[nodiscard]] Bytes Encode() const;
  /// Errors: kDataLoss, kUnsupported.
  static Result<LockRecord> Decode(std::string_view bytes);
  friend bool operator==(const LockRecord&, const LockRecord&) = default;
};

}  // namespace kvjury
