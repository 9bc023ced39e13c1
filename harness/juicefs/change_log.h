// The change log: one record for each writing transaction of a volume whose setting asks for it.
//
// The key holds the transaction's start timestamp behind a shard, so records become visible out of their order; readers read the last ten seconds
// again (not modelled: readers). The text is `<seconds>.<nanoseconds>|<OPERATION>(arguments)[:result]|(<session>,<number>)`. Writes that
// juicefs does not log have none: directory statistics, quotas, heartbeats, cleaning.
// Source: JuiceFS 1.4, genLog and its callers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "harness/juicefs/attr.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

/// Shards that a client of TiKV spreads the records over.
inline constexpr uint64_t kChangeLogShards = 64;

uint8_t ChangeLogShard(Timestamp start_ts);

/// Bytes as an argument: control bytes, bytes of 127 and more, and , % ( ) " \ as %XX in upper case.
std::string ChangeLogText(std::string_view bytes);

/// "SETATTR(...)": what was asked for (a mask), and the attribute that came of it.
std::string SetAttrLog(Inode inode, const record::SetAttr& change, const Attr& attr);

/// The time in a record's text, nanoseconds since the epoch; 0 if there is none.
int64_t ChangeLogTimeNs(std::string_view text);

}  // namespace kvjury::juicefs
