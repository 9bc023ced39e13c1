// --at: a point in time as people give it.
//
//   470647200531087367            a timestamp of PD
//   2026-11-26T20:00:00Z          RFC 3339, with a fraction or an offset such as +02:00: the first timestamp of that millisecond, as
//                                 br and TiDB have it
//   now                           none in particular: the source's newest
#pragma once

#include <optional>
#include <string_view>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"

namespace kvjury::cli {

/// No value for "now". Errors: kInvalidArgument saying what was expected.
Result<std::optional<Timestamp>> ParseAt(std::string_view text);

}  // namespace kvjury::cli
