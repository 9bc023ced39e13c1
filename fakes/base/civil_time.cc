#include "fakes/base/civil_time.h"

#include <chrono>

namespace kvjury {

namespace {

constexpr int64_t kDayS = 86'400;

}  // namespace

CivilTime ToCivilTime(int64_t unix_s) {
  const int64_t days = (unix_s >= 0 ? unix_s : unix_s - kDayS + 1) / kDayS;
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  const auto of_day = static_cast<int>(unix_s - days * kDayS);
  return {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())), static_cast<int>(static_cast<unsigned>(date.day())),
          of_day / 3600, of_day / 60 % 60, of_day % 60};
}

std::optional<int64_t> ToUnixSeconds(const CivilTime& civil) {
  const auto is_within = [](int value, int max) { return value >= 0 && value <= max; };
  if (!is_within(civil.month, 12) || !is_within(civil.day, 31)) {
    return std::nullopt;  // more would not fit the types of a date
  }
  const std::chrono::year_month_day date{std::chrono::year{civil.year}, std::chrono::month{static_cast<unsigned>(civil.month)},
                                         std::chrono::day{static_cast<unsigned>(civil.day)}};
  if (!date.ok() || !is_within(civil.hour, 23) || !is_within(civil.minute, 59) || !is_within(civil.second, 59)) {
    return std::nullopt;
  }
  return std::chrono::sys_days{date}.time_since_epoch().count() * kDayS + civil.hour * 3600 + civil.minute * 60 + civil.second;
}

}  // namespace kvjury
