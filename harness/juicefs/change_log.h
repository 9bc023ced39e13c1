// The change log: one record for each writing transaction of a volume whose setting asks for it.
//
// The key holds the transaction's start timestamp behind a shard, so records become visible out of their order; readers read the last ten seconds
// again (not modelled: readers). The text is `<seconds>.<nanoseconds>|<OPERATION>(arguments)[:result]|(<session>,<number>)`; numbers count the
// tries of a session. Each body of the writer's transactions sets its own. Those that juicefs does not log have none: heartbeats, sums of
// directory statistics (a recount has one), flushed quotas, a directory's quota that is deleted, batches of cloned children, dropped locks of dead
// sessions, counts of slices at zero, the end of a file's deletion, the clean-up of the log itself.
// Not here: the umask and other callers' platforms in CREATE (0, linux); texts of what sessions never do: tokens, loads, changes of the setting.
// Source: JuiceFS 1.4, genLog and its callers; scenarios/change-log holds what a mount of it wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "harness/juicefs/attr.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

/// Between two clean-ups by all clients together.
inline constexpr Micros kChangeLogPeriodUs = 300'000'000;

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
