// Times as text, as Go writes and reads them: "2026-11-22T15:00:00Z".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fakes/base/status.h"

namespace kvjury::juicefs {

/// Of nanoseconds since the epoch, in UTC, with nine digits behind the second.
std::string Rfc3339(int64_t wall_ns);

/// Of Unix seconds, in UTC.
std::string Rfc3339Seconds(int64_t seconds);

/// Unix seconds; with Z or an offset. Errors: kDataLoss.
Result<int64_t> ParseRfc3339(std::string_view text);

}  // namespace kvjury::juicefs
