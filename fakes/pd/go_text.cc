#include "fakes/pd/go_text.h"

#include <cstdio>

namespace kvjury::pd {

namespace {

// ".5" for half a second, nothing for a whole one.
std::string FractionText(int64_t us) {
  if (us == 0) {
    return {};
  }
  char text[16];
  std::snprintf(text, sizeof(text), ".%06d", static_cast<int>(us));
  std::string trimmed = text;
  trimmed.erase(trimmed.find_last_not_of('0') + 1);
  return trimmed;
}

std::string CivilText(int64_t unix_us, char separator) {
  const int64_t seconds = unix_us / 1'000'000;
  const int64_t days = seconds / 86'400;
  // Civil date from days since 1970, by the usual shift to eras of 400 years that begin in March.
  const int64_t z = days + 719'468;
  const int64_t era = z / 146'097;
  const int64_t day_of_era = z - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_of_shift = (5 * day_of_year + 2) / 153;
  const int day = static_cast<int>(day_of_year - (153 * month_of_shift + 2) / 5 + 1);
  const int month = static_cast<int>(month_of_shift < 10 ? month_of_shift + 3 : month_of_shift - 9);
  const int year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  const int of_day = static_cast<int>(seconds % 86'400);
  char text[80];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02d%c%02d:%02d:%02d", year, month, day, separator, of_day / 3600, of_day / 60 % 60,
                of_day % 60);
  return text + FractionText(unix_us % 1'000'000);
}

}  // namespace

std::string GoDuration(int64_t seconds) {
  if (seconds < 0) {
    return "-" + GoDuration(-seconds);
  }
  return GoDurationOfMicros(seconds * 1'000'000);
}

std::string GoDurationOfMicros(int64_t us) {
  const int64_t seconds = us / 1'000'000;
  std::string text = seconds >= 3600 ? std::to_string(seconds / 3600) + "h" : "";
  text += seconds >= 60 ? std::to_string(seconds / 60 % 60) + "m" : "";
  return text + std::to_string(seconds % 60) + FractionText(us % 1'000'000) + "s";
}

std::string Rfc3339(int64_t unix_us) { return CivilText(unix_us, 'T') + "Z"; }

std::string GoTime(int64_t unix_us) { return CivilText(unix_us, ' ') + " +0000 UTC"; }

}  // namespace kvjury::pd
