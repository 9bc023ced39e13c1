// What the transaction commands share: results, errors in TiKV's own words, lock descriptions, the keys to
// latch.
//
// Every command is a pure function of a snapshot, the request and (where it says so) the store's
// ConcurrencyManager. It never suspends and changes no engine: a write command returns the batch that the
// caller applies (through the region's log). Texts are those that TiKV 8.5.0 answers; clients look for words
// in some of them. Not here: region errors, context checks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/concurrency.h"
#include "fakes/tikv/engine.h"
#include "fakes/tikv/mvcc_reader.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::tikv {

/// A lock that a command removes: those who wait for it may be told.
struct ReleasedLock {
  Bytes key;  // memcomparable
  Timestamp start_ts;
  Timestamp commit_ts;  // zero: rolled back or just removed
};

/// What a write command answers and changes. `memory_locks` stand in the ConcurrencyManager already: release
/// them when `writes` is applied or has failed. With errors in the response `writes` is empty.
template <class Response>
struct CommandResult {
  Response response;
  WriteBatch writes;
  std::vector<MemoryLock> memory_locks;
  std::vector<ReleasedLock> released;
};

/// The region's bounds as memcomparable keys; an empty end is no bound.
struct RegionBounds {
  uint64_t region_id = 0;
  Bytes start;
  Bytes end;
  [[nodiscard]] bool Contains(std::string_view key) const { return RangeContains(start, end, key); }
};

/// TiKV's limit on the memcomparable form of a key.
inline constexpr size_t kEncodedKeyBytesMax = 8192;

/// Physical time of `now` is strictly behind the lock's start plus its time to live.
bool IsExpired(const LockRecord& lock, Timestamp now);

kvrpcpb::Op OpOf(LockType type);
kvrpcpb::Op OpOf(WriteType type);
WriteType WriteTypeOf(LockType type);  // not for pessimistic locks

/// `key` is memcomparable; the description carries the user key.
kvrpcpb::LockInfo DescribeLock(std::string_view key, const LockRecord& lock);

// Errors. `key` is always memcomparable and appears as user key, as in TiKV.
kvrpcpb::KeyError LockedError(std::string_view key, const LockRecord& lock);
kvrpcpb::KeyError WriteConflictError(std::string_view key, Timestamp start_ts, const CommittedWrite& conflict,
                                     std::string_view primary, kvrpcpb::WriteConflict::Reason reason);
kvrpcpb::KeyError AlreadyExistError(std::string_view key);
kvrpcpb::KeyError AbortError(const std::string& text);
/// Error(Txn(Error(Mvcc(Error(INNER)))))
kvrpcpb::KeyError MvccAbortError(const std::string& inner);
kvrpcpb::KeyError TxnLockNotFoundError(std::string_view key, Timestamp start_ts, Timestamp commit_ts);
kvrpcpb::KeyError CommittedError(std::string_view key, Timestamp start_ts, Timestamp commit_ts);
kvrpcpb::KeyError InvalidTxnTsoError(Timestamp start_ts, Timestamp commit_ts);
kvrpcpb::KeyError PessimisticLockNotFoundError(std::string_view key, Timestamp start_ts, const std::string& reason);
kvrpcpb::KeyError LockTypeNotMatchError(std::string_view key, Timestamp start_ts, bool pessimistic);
kvrpcpb::KeyError KeyTooLargeError(size_t encoded_bytes);
kvrpcpb::KeyError DefaultNotFoundError(std::string_view key, Timestamp start_ts);
/// What the engine says of a key that is not in the region, as Rust prints the text inside an error.
std::string KeyOutOfRegionWords(std::string_view key, const RegionBounds& region);
/// A point read whose key is not in the region.
kvrpcpb::KeyError KeyOutOfRegionError(std::string_view key, const RegionBounds& region);
/// A scan whose range is not in the region.
kvrpcpb::KeyError InvalidRangeError(std::string_view lower, std::string_view upper, const RegionBounds& region);

/// Rust's debug form of bytes: [112, 47].
std::string RustBytes(std::string_view bytes);

/// The user key of a memcomparable key of our own making.
Bytes UserKey(std::string_view key);

// The memcomparable keys that a command latches, in the request's order. Region-wide commands (ResolveLock
// without keys, PessimisticRollback without keys) latch what they find: see the keys of the batch they
// return.
std::vector<Bytes> KeysOf(const kvrpcpb::PrewriteRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::FlushRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::CommitRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::CleanupRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::BatchRollbackRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::ResolveLockRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::TxnHeartBeatRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::CheckTxnStatusRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::CheckSecondaryLocksRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::PessimisticLockRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::PessimisticRollbackRequest& request);

}  // namespace kvjury::tikv
