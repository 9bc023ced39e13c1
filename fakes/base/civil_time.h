// Dates and times of day, UTC, of seconds since the epoch, and back. Gregorian, also before it began; no leap seconds.
//
// Not here: the text forms, which differ from program to program; clocks.
#pragma once

#include <cstdint>
#include <optional>

namespace kvjury {

struct CivilTime {
  int year = 1970;
  int month = 1;  // 1 to 12
  int day = 1;    // 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
};

/// For years -32767 to 32767.
CivilTime ToCivilTime(int64_t unix_s);

/// Absent for a date or a time of day that there is not.
std::optional<int64_t> ToUnixSeconds(const CivilTime& civil);

}  // namespace kvjury
