#include "fakes/tikv/commands_range.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

WriteBatch DeleteAll(const Bytes& lower, const Bytes& upper) {
  WriteBatch writes;
  for (const ColumnFamily cf : {ColumnFamily::kDefault, ColumnFamily::kLock, ColumnFamily::kWrite}) {
    writes.DeleteRange(cf, lower, upper);
  }
  return writes;
}

}  // namespace

void ScanLock(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* concurrency,
              const kvrpcpb::ScanLockRequest& request, kvrpcpb::ScanLockResponse* response) {
  const Timestamp max_version(request.max_version());
  concurrency->UpdateMaxTs(max_version);
  const Bytes lower = std::max(EncodeBoundary(request.start_key()), region.start);
  Bytes upper = EncodeBoundary(request.end_key());
  if (upper.empty() || (!region.end.empty() && upper > region.end)) {
    upper = region.end;
  }
  if (!upper.empty() && lower >= upper) {
    return;
  }
  for (const MemoryLock* memory_lock : concurrency->FindInRange(lower, upper)) {
    if (memory_lock->lock.start_ts <= max_version) {
      *response->mutable_error() = LockedError(memory_lock->key, memory_lock->lock);
      return;
    }
  }
  const MvccReader reader(snapshot);
  for (const MvccReader::KeyAndLock& found :
       reader.FindLocks(lower, upper, request.limit(),
                        [&](const LockRecord& lock) { return lock.start_ts <= max_version; })) {
    *response->add_locks() = DescribeLock(found.key, found.lock);
  }
}

CommandResult<kvrpcpb::DeleteRangeResponse> DeleteRange(const kvrpcpb::DeleteRangeRequest& request) {
  CommandResult<kvrpcpb::DeleteRangeResponse> result;
  if (!request.notify_only()) {
    result.writes = DeleteAll(EncodeBoundary(request.start_key()), EncodeBoundary(request.end_key()));
  }
  return result;
}

CommandResult<kvrpcpb::UnsafeDestroyRangeResponse> UnsafeDestroyRange(
    const kvrpcpb::UnsafeDestroyRangeRequest& request) {
  CommandResult<kvrpcpb::UnsafeDestroyRangeResponse> result;
  if (request.start_key().empty() || request.end_key().empty()) {
    result.response.set_error("unsafe destroy range needs both bounds");
    return result;
  }
  result.writes = DeleteAll(EncodeKey(request.start_key()), EncodeKey(request.end_key()));
  return result;
}

}  // namespace kvjury::tikv
