// MvccGetByKey and MvccGetByStartTs: the records of a key as people look at them.
//
// Of a lock only type, start_ts, primary, short value and last change are told, as TiKV 8.5.0 does.
#pragma once

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

void MvccGetByKey(const Snapshot& snapshot, const kvrpcpb::MvccGetByKeyRequest& request,
                  kvrpcpb::MvccGetByKeyResponse* response);

/// The first key of the region that carries the start timestamp in a lock or a write record; empty answer if
/// none.
void MvccGetByStartTs(const Snapshot& snapshot, const RegionBounds& region,
                      const kvrpcpb::MvccGetByStartTsRequest& request, kvrpcpb::MvccGetByStartTsResponse* response);

}  // namespace kvjury::tikv
