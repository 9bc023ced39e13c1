#include "harness/juicefs/rfc3339.h"

#include <fmt/format.h>

#include <cstdio>

#include "fakes/base/bytes.h"
#include "fakes/base/civil_time.h"

namespace kvjury::juicefs {

std::string Rfc3339(int64_t wall_ns) {
  const CivilTime t = ToCivilTime(wall_ns / 1'000'000'000);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", t.year, t.month, t.day, t.hour, t.minute, t.second,
                     wall_ns % 1'000'000'000);
}

std::string Rfc3339Seconds(int64_t seconds) {
  const CivilTime at = ToCivilTime(seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", at.year, at.month, at.day, at.hour, at.minute, at.second);
}

Result<int64_t> ParseRfc3339(std::string_view text) {
  const std::string copy(text);
  CivilTime at;
  int used = 0;
  char sign = 'Z';
  int offset_hours = 0;
  int offset_minutes = 0;
  const bool front = std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &at.year, &at.month, &at.day, &at.hour, &at.minute, &at.second, &used) == 6;
  const std::optional<int64_t> seconds = front ? ToUnixSeconds(at) : std::nullopt;
  const std::string zone = front ? copy.substr(static_cast<size_t>(used)) : std::string();
  const bool has_offset = zone.size() == 6 && std::sscanf(zone.c_str(), "%c%2d:%2d", &sign, &offset_hours, &offset_minutes) == 3;
  if (!seconds.has_value() || (zone != "Z" && !(has_offset && (sign == '+' || sign == '-')))) {
    return Status::DataLoss("\"" + Printable(text) + "\": expected a time as 2026-11-22T15:00:00Z");
  }
  const int64_t offset = offset_hours * 3600 + offset_minutes * 60;
  return *seconds - (sign == '-' ? -offset : offset);
}

}  // namespace kvjury::juicefs
