#include "reports/units.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace kvjury::reports {
namespace {

constexpr int64_t kMsPerSecond = 1'000;
constexpr uint64_t kKib = 1'024;
constexpr int64_t kYear1Ms = -62'135'596'800'000;
constexpr int64_t kYear10000Ms = 253'402'300'800'000;

}  // namespace

std::string Size(uint64_t bytes) {
  if (bytes < kKib) {
    return fmt::format("{} bytes", bytes);
  }
  auto size = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB", "PiB"}) {
    if (size < kKib) {
      break;
    }
    size /= kKib;
    unit = next;
  }
  return fmt::format("{:.1f} {}", size, unit);
}

std::string Duration(int64_t ms) {
  ms = std::max<int64_t>(ms, 0);
  const int64_t seconds = ms / kMsPerSecond;
  if (ms % kMsPerSecond != 0 && seconds < 10) {
    return seconds == 0 ? fmt::format("{} ms", ms) : fmt::format("{}.{} s", seconds, ms % kMsPerSecond / 100);
  }
  const int64_t days = seconds / 86'400;
  const int64_t hours = seconds / 3'600 % 24;
  const int64_t minutes = seconds / 60 % 60;
  return days > 0      ? fmt::format("{} d {} h", days, hours)
         : hours > 0   ? fmt::format("{} h {} min", hours, minutes)
         : minutes > 0 ? fmt::format("{} min {} s", minutes, seconds % 60)
                       : fmt::format("{} s", seconds);
}

std::string Utc(int64_t ms) {
  if (ms < kYear1Ms || ms >= kYear10000Ms) {
    return ms < kYear1Ms ? "before the year 1" : "after the year 9999";
  }
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(ms / kMsPerSecond)));
}

}  // namespace kvjury::reports
