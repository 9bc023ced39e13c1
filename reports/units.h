// Times and sizes for people: UTC, binary units.
#pragma once

#include <cstdint>
#include <string>

namespace kvjury::reports {

/// "512 bytes", "1.5 MiB".
std::string Size(uint64_t bytes);

/// "340 ms", "4.2 s", "75 s" as "1 min 15 s", "2 h 3 min", "1 d 4 h". Negative ones are zero.
std::string Duration(int64_t ms);

/// "2026-11-26T20:39:25Z" of milliseconds since the epoch; in words outside of the years 1 to 9999.
std::string Utc(int64_t ms);

}  // namespace kvjury::reports
