#include "fakes/tikv/commands_common.h"

#include "fakes/base/check.h"
#include "fakes/base/memcomparable.h"

namespace kvjury::tikv {

namespace {

std::string RustTs(Timestamp ts) { return "TimeStamp(" + std::to_string(ts.value()) + ")"; }
std::string RustOptionalBytes(std::string_view bytes) { return bytes.empty() ? "None" : "Some(" + RustBytes(bytes) + ")"; }

std::string UpperHex(std::string_view bytes) {
  std::string out = ToHex(bytes);
  for (char& c : out) {
    if (c >= 'a' && c <= 'f') {
      c = static_cast<char>(c - 'a' + 'A');
    }
  }
  return out;
}

const char* ReasonName(kvrpcpb::WriteConflict::Reason reason) {
  switch (reason) {
    case kvrpcpb::WriteConflict::Optimistic:
      return "Optimistic";
    case kvrpcpb::WriteConflict::PessimisticRetry:
      return "PessimisticRetry";
    case kvrpcpb::WriteConflict::SelfRolledBack:
      return "SelfRolledBack";
    case kvrpcpb::WriteConflict::RcCheckTs:
      return "RcCheckTs";
    case kvrpcpb::WriteConflict::LazyUniquenessCheck:
      return "LazyUniquenessCheck";
    default:
      return "Unknown";
  }
}

std::string MvccText(const std::string& inner) { return "Error(Txn(Error(Mvcc(Error(" + inner + ")))))"; }

template <class Keys>
std::vector<Bytes> EncodeAll(const Keys& keys) {
  std::vector<Bytes> encoded;
  for (const auto& key : keys) {
    encoded.push_back(EncodeKey(key));
  }
  return encoded;
}

template <class Mutations>
std::vector<Bytes> EncodeMutationKeys(const Mutations& mutations) {
  std::vector<Bytes> encoded;
  for (const kvrpcpb::Mutation& mutation : mutations) {
    encoded.push_back(EncodeKey(mutation.key()));
  }
  return encoded;
}

}  // namespace

bool IsExpired(const LockRecord& lock, Timestamp now) {
  // The sum may wrap only for a nonsensical ttl; saturate then.
  const uint64_t start_ms = static_cast<uint64_t>(lock.start_ts.physical_ms());
  const uint64_t end_ms = lock.ttl_ms > UINT64_MAX - start_ms ? UINT64_MAX : start_ms + lock.ttl_ms;
  return end_ms < static_cast<uint64_t>(now.physical_ms());
}

kvrpcpb::Op OpOf(LockType type) {
  switch (type) {
    case LockType::kPut:
      return kvrpcpb::Put;
    case LockType::kDelete:
      return kvrpcpb::Del;
    case LockType::kLock:
      return kvrpcpb::Lock;
    case LockType::kPessimistic:
      return kvrpcpb::PessimisticLock;
  }
  CHECK(false) << "no such lock type";
  return kvrpcpb::Put;
}

kvrpcpb::Op OpOf(WriteType type) {
  switch (type) {
    case WriteType::kPut:
      return kvrpcpb::Put;
    case WriteType::kDelete:
      return kvrpcpb::Del;
    case WriteType::kLock:
      return kvrpcpb::Lock;
    case WriteType::kRollback:
      return kvrpcpb::Rollback;
  }
  CHECK(false) << "no such write type";
  return kvrpcpb::Put;
}

WriteType WriteTypeOf(LockType type) {
  switch (type) {
    case LockType::kPut:
      return WriteType::kPut;
    case LockType::kDelete:
      return WriteType::kDelete;
    case LockType::kLock:
      return WriteType::kLock;
    case LockType::kPessimistic:
      break;
  }
  CHECK(false) << "a pessimistic lock is never committed";
  return WriteType::kLock;
}

kvrpcpb::LockInfo DescribeLock(std::string_view key, const LockRecord& lock) {
  kvrpcpb::LockInfo info;
  info.set_primary_lock(lock.primary);
  info.set_lock_version(lock.start_ts.value());
  info.set_key(UserKey(key));
  info.set_lock_ttl(lock.ttl_ms);
  info.set_txn_size(lock.txn_size);
  info.set_lock_type(OpOf(lock.type));
  info.set_lock_for_update_ts(lock.for_update_ts.value());
  info.set_use_async_commit(lock.use_async_commit);
  info.set_min_commit_ts(lock.min_commit_ts.value());
  for (const Bytes& secondary : lock.secondaries) {
    info.add_secondaries(secondary);
  }
  return info;
}

kvrpcpb::KeyError LockedError(std::string_view key, const LockRecord& lock) {
  kvrpcpb::KeyError error;
  *error.mutable_locked() = DescribeLock(key, lock);
  return error;
}

kvrpcpb::KeyError WriteConflictError(std::string_view key, Timestamp start_ts, const CommittedWrite& conflict,
                                     std::string_view primary, kvrpcpb::WriteConflict::Reason reason) {
  kvrpcpb::KeyError error;
  const Bytes user_key = UserKey(key);
  kvrpcpb::WriteConflict* detail = error.mutable_conflict();
  detail->set_start_ts(start_ts.value());
  detail->set_conflict_ts(conflict.write.start_ts.value());
  detail->set_conflict_commit_ts(conflict.commit_ts.value());
  detail->set_key(user_key);
  detail->set_primary(std::string(primary));
  detail->set_reason(reason);
  error.set_retryable(MvccText("WriteConflict { start_ts: " + RustTs(start_ts) +
                               ", conflict_start_ts: " + RustTs(conflict.write.start_ts) +
                               ", conflict_commit_ts: " + RustTs(conflict.commit_ts) + ", key: " + RustBytes(user_key) +
                               ", primary: " + RustBytes(primary) + ", reason: " + ReasonName(reason) + " }"));
  return error;
}

kvrpcpb::KeyError AlreadyExistError(std::string_view key) {
  kvrpcpb::KeyError error;
  error.mutable_already_exist()->set_key(UserKey(key));
  return error;
}

kvrpcpb::KeyError AbortError(const std::string& text) {
  kvrpcpb::KeyError error;
  error.set_abort(text);
  return error;
}

kvrpcpb::KeyError MvccAbortError(const std::string& inner) { return AbortError(MvccText(inner)); }

kvrpcpb::KeyError TxnLockNotFoundError(std::string_view key, Timestamp start_ts, Timestamp commit_ts) {
  kvrpcpb::KeyError error;
  error.set_retryable(MvccText("TxnLockNotFound { start_ts: " + RustTs(start_ts) + ", commit_ts: " + RustTs(commit_ts) +
                               ", key: " + RustBytes(UserKey(key)) + " }"));
  return error;
}

kvrpcpb::KeyError CommittedError(std::string_view key, Timestamp start_ts, Timestamp commit_ts) {
  return MvccAbortError("Committed { start_ts: " + RustTs(start_ts) + ", commit_ts: " + RustTs(commit_ts) +
                        ", key: " + RustBytes(UserKey(key)) + " }");
}

kvrpcpb::KeyError InvalidTxnTsoError(Timestamp start_ts, Timestamp commit_ts) {
  return AbortError("Error(Txn(Error(InvalidTxnTso { start_ts: " + RustTs(start_ts) + ", commit_ts: " +
                    RustTs(commit_ts) + " })))");
}

kvrpcpb::KeyError PessimisticLockNotFoundError(std::string_view key, Timestamp start_ts, const std::string& reason) {
  return MvccAbortError("PessimisticLockNotFound { start_ts: " + RustTs(start_ts) +
                        ", key: " + RustBytes(UserKey(key)) + ", reason: " + reason + " }");
}

kvrpcpb::KeyError LockTypeNotMatchError(std::string_view key, Timestamp start_ts, bool pessimistic) {
  return MvccAbortError("LockTypeNotMatch { start_ts: " + RustTs(start_ts) + ", key: " + RustBytes(UserKey(key)) +
                        ", pessimistic: " + (pessimistic ? "true" : "false") + " }");
}

kvrpcpb::KeyError KeyTooLargeError(size_t encoded_bytes) {
  return AbortError("Error(KeyTooLarge { size: " + std::to_string(encoded_bytes) +
                    ", limit: " + std::to_string(kEncodedKeyBytesMax) + " })");
}

kvrpcpb::KeyError DefaultNotFoundError(std::string_view key, Timestamp start_ts) {
  return MvccAbortError("DefaultNotFound { key: " + RustBytes(VersionKey(key, start_ts)) + " }");
}

std::string KeyOutOfRegionWords(std::string_view key, const RegionBounds& region) {
  return "\"[components/tikv_kv/src/raftstore_impls.rs:86]: \\\"[components/raftstore/src/store/region_snapshot.rs:289]: Key " +
         UpperHex(key) + " is out of [region " + std::to_string(region.region_id) + "] [" + UpperHex(region.start) + ", " +
         UpperHex(region.end) + ")\\\"\"";
}

kvrpcpb::KeyError KeyOutOfRegionError(std::string_view key, const RegionBounds& region) {
  return MvccAbortError("Kv(Error(Other(" + KeyOutOfRegionWords(key, region) + ")))");
}

kvrpcpb::KeyError InvalidRangeError(std::string_view lower, std::string_view upper, const RegionBounds& region) {
  return AbortError("Error(Txn(Error(InvalidReqRange { start: " + RustOptionalBytes(lower) +
                    ", end: " + RustOptionalBytes(upper) + ", lower_bound: " + RustOptionalBytes(region.start) +
                    ", upper_bound: " + RustOptionalBytes(region.end) + " })))");
}

std::string RustBytes(std::string_view bytes) {
  std::string out = "[";
  for (const char byte : bytes) {
    if (out.size() > 1) {
      out += ", ";
    }
    out += std::to_string(static_cast<uint8_t>(byte));
  }
  return out + "]";
}

Bytes UserKey(std::string_view key) {
  Result<Bytes> decoded = DecodeKey(key);
  CHECK(decoded.has_value()) << "a key that is not memcomparable: " << ToHex(key);
  return std::move(decoded).value();
}

std::vector<Bytes> KeysOf(const kvrpcpb::PrewriteRequest& request) { return EncodeMutationKeys(request.mutations()); }
std::vector<Bytes> KeysOf(const kvrpcpb::FlushRequest& request) { return EncodeMutationKeys(request.mutations()); }
std::vector<Bytes> KeysOf(const kvrpcpb::CommitRequest& request) { return EncodeAll(request.keys()); }
std::vector<Bytes> KeysOf(const kvrpcpb::CleanupRequest& request) { return {EncodeKey(request.key())}; }
std::vector<Bytes> KeysOf(const kvrpcpb::BatchRollbackRequest& request) { return EncodeAll(request.keys()); }
std::vector<Bytes> KeysOf(const kvrpcpb::ResolveLockRequest& request) { return EncodeAll(request.keys()); }
std::vector<Bytes> KeysOf(const kvrpcpb::TxnHeartBeatRequest& request) { return {EncodeKey(request.primary_lock())}; }
std::vector<Bytes> KeysOf(const kvrpcpb::CheckTxnStatusRequest& request) { return {EncodeKey(request.primary_key())}; }
std::vector<Bytes> KeysOf(const kvrpcpb::CheckSecondaryLocksRequest& request) { return EncodeAll(request.keys()); }
std::vector<Bytes> KeysOf(const kvrpcpb::PessimisticLockRequest& request) { return EncodeMutationKeys(request.mutations()); }
std::vector<Bytes> KeysOf(const kvrpcpb::PessimisticRollbackRequest& request) { return EncodeAll(request.keys()); }

}  // namespace kvjury::tikv
