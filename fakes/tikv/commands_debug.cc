#include "fakes/tikv/commands_debug.h"

#include <optional>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

void Describe(const MvccReader& reader, std::string_view key, kvrpcpb::MvccInfo* info) {
  const std::optional<LockRecord> lock = reader.LoadLock(key);
  if (lock.has_value()) {
    kvrpcpb::MvccLock* out = info->mutable_lock();
    out->set_type(OpOf(lock->type));
    out->set_start_ts(lock->start_ts.value());
    out->set_primary(lock->primary);
    out->set_short_value(lock->short_value.value_or(Bytes()));
    if (lock->last_change.has_value()) {
      out->set_last_change_ts(lock->last_change->ts.value());
      out->set_versions_to_last_change(lock->last_change->versions);
    }
  }
  for (const CommittedWrite& found : reader.AllWrites(key)) {
    kvrpcpb::MvccWrite* out = info->add_writes();
    out->set_type(OpOf(found.write.type));
    out->set_start_ts(found.write.start_ts.value());
    out->set_commit_ts(found.commit_ts.value());
    out->set_short_value(found.write.short_value.value_or(Bytes()));
    out->set_has_overlapped_rollback(found.write.has_overlapped_rollback);
    if (found.write.gc_fence.has_value()) {
      out->set_has_gc_fence(true);
      out->set_gc_fence(found.write.gc_fence->value());
    }
  }
  for (const auto& [start_ts, value] : reader.AllValues(key)) {
    kvrpcpb::MvccValue* out = info->add_values();
    out->set_start_ts(start_ts.value());
    out->set_value(value);
  }
}

std::optional<Bytes> FindKeyOf(const Snapshot& snapshot, const RegionBounds& region, Timestamp start_ts) {
  std::optional<Bytes> found;
  for (Iterator at = snapshot.Scan(ColumnFamily::kLock, region.start, region.end); at.Valid(); at.Next()) {
    if (MvccReader::DecodeLock(at.value()).start_ts == start_ts) {
      found = at.key();
      break;
    }
  }
  for (Iterator at = snapshot.Scan(ColumnFamily::kWrite, region.start, region.end); at.Valid(); at.Next()) {
    if (found.has_value() && KeyOfVersion(at.key()) >= *found) {
      break;
    }
    if (MvccReader::DecodeWrite(at.value()).start_ts == start_ts) {
      return Bytes(KeyOfVersion(at.key()));
    }
  }
  return found;
}

}  // namespace

void MvccGetByKey(const Snapshot& snapshot, const kvrpcpb::MvccGetByKeyRequest& request,
                  kvrpcpb::MvccGetByKeyResponse* response) {
  Describe(MvccReader(snapshot), EncodeKey(request.key()), response->mutable_info());
}

void MvccGetByStartTs(const Snapshot& snapshot, const RegionBounds& region,
                      const kvrpcpb::MvccGetByStartTsRequest& request, kvrpcpb::MvccGetByStartTsResponse* response) {
  const std::optional<Bytes> key = FindKeyOf(snapshot, region, Timestamp(request.start_ts()));
  if (key.has_value()) {
    response->set_key(UserKey(*key));
    Describe(MvccReader(snapshot), *key, response->mutable_info());
  }
}

}  // namespace kvjury::tikv
