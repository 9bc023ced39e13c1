// Times and spans as a Go program writes them, which is what PD is.
#pragma once

#include <cstdint>
#include <string>

namespace kvjury::pd {

/// A duration of whole seconds: "0s", "1m10s", "-5s".
std::string GoDuration(int64_t seconds);
/// A positive duration with microseconds: "27.922237s", "1h0m0.5s".
std::string GoDurationOfMicros(int64_t us);
/// RFC 3339 in UTC with a fraction where there is one: "2026-11-22T20:18:06.5Z".
std::string Rfc3339(int64_t unix_us);
/// What time.Time prints: "2026-11-22 20:18:06 +0000 UTC".
std::string GoTime(int64_t unix_us);

}  // namespace kvjury::pd
