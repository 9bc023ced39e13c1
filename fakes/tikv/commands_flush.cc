#include "fakes/tikv/commands_flush.h"

#include <algorithm>
#include <set>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/commands_prewrite.h"

namespace kvjury::tikv {

namespace {

// Never so small that a client would think it knows all keys of the transaction.
constexpr uint64_t kUnknownSize = UINT64_MAX;

// What the transaction has put on the key: nothing, an error, or a value that is empty for a deletion.
struct OwnValue {
  std::optional<kvrpcpb::KeyError> error;
  std::optional<Bytes> value;
};

OwnValue ReadOwn(const Snapshot& snapshot, const RegionBounds& region, const Bytes& key, Timestamp start_ts) {
  OwnValue own;
  if (!region.Contains(key)) {
    own.error = KeyOutOfRegionError(key, region);
    return own;
  }
  const std::optional<LockRecord> lock = MvccReader(snapshot).LoadLock(key);
  if (!lock.has_value() || lock->start_ts != start_ts) {
    return own;
  }
  if (lock->type == LockType::kDelete) {
    own.value = Bytes();
  } else if (lock->type == LockType::kPut && lock->short_value.has_value()) {
    own.value = *lock->short_value;
  } else if (lock->type == LockType::kPut) {
    const Bytes* value = snapshot.Get(ColumnFamily::kDefault, VersionKey(key, start_ts));
    own.value = value == nullptr ? std::nullopt : std::optional<Bytes>(*value);
  }
  return own;
}

}  // namespace

CommandResult<kvrpcpb::FlushResponse> Flush(const Snapshot& snapshot, ConcurrencyManager* concurrency,
                                            const kvrpcpb::FlushRequest& request) {
  CommandResult<kvrpcpb::FlushResponse> result;
  if (request.generation() == 0) {
    *result.response.add_errors() = AbortError(
        "Error(Txn(Error(Other(\"[src/storage/txn/commands/flush.rs:72]: generation should be greater than 0 for Flush "
        "requests\"))))");
    return result;
  }
  kvrpcpb::PrewriteRequest prewrite;
  *prewrite.mutable_context() = request.context();
  *prewrite.mutable_mutations() = request.mutations();
  prewrite.set_primary_lock(request.primary_key());
  prewrite.set_start_version(request.start_ts());
  prewrite.set_lock_ttl(request.lock_ttl());
  prewrite.set_txn_size(kUnknownSize);
  // Zero would keep readers from pushing it.
  prewrite.set_min_commit_ts(request.start_ts() + 1);
  prewrite.set_assertion_level(request.assertion_level());
  CommandResult<kvrpcpb::PrewriteResponse> prewritten = Prewrite(snapshot, concurrency, prewrite, request.generation());
  *result.response.mutable_errors() = prewritten.response.errors();
  result.writes = std::move(prewritten.writes);
  return result;
}

void BufferBatchGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
                    const kvrpcpb::BufferBatchGetRequest& request, kvrpcpb::BufferBatchGetResponse* response) {
  const Timestamp start_ts(request.version());
  concurrency->UpdateMaxTs(start_ts);
  for (const Bytes& user_key : std::set<Bytes>(request.keys().begin(), request.keys().end())) {
    OwnValue own = ReadOwn(snapshot, region, EncodeKey(user_key), start_ts);
    if (own.error.has_value()) {
      *response->add_pairs()->mutable_error() = std::move(*own.error);
    } else if (own.value.has_value()) {
      kvrpcpb::KvPair* pair = response->add_pairs();
      pair->set_key(user_key);
      pair->set_value(std::move(*own.value));
    }
  }
}

}  // namespace kvjury::tikv
