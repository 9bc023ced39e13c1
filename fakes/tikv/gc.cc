#include "fakes/tikv/gc.h"

#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

WriteBatch CollectGarbage(const Snapshot& snapshot, std::string_view lower, std::string_view upper,
                          Timestamp safe_point) {
  WriteBatch removals;
  Bytes key;
  bool found_change = false;  // the newest Put or Delete at or below the safe point was seen
  for (Iterator at = snapshot.Scan(ColumnFamily::kWrite, lower, upper); at.Valid(); at.Next()) {
    if (KeyOfVersion(at.key()) != key) {
      key = Bytes(KeyOfVersion(at.key()));
      found_change = false;
    }
    if (TimestampOfVersion(at.key()) > safe_point) {
      continue;
    }
    const WriteRecord write = MvccReader::DecodeWrite(at.value());
    const bool is_change = write.type == WriteType::kPut || write.type == WriteType::kDelete;
    const bool is_kept = !found_change && write.type == WriteType::kPut;
    found_change = found_change || is_change;
    if (is_kept) {
      continue;
    }
    removals.Collect(ColumnFamily::kWrite, at.key());
    if (write.type == WriteType::kPut && !write.short_value.has_value()) {
      removals.Collect(ColumnFamily::kDefault, VersionKey(key, write.start_ts));
    }
  }
  return removals;
}

}  // namespace kvjury::tikv
