#include "fakes/pd/go_text.h"

#include <cstdio>

#include "fakes/base/civil_time.h"

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
  const CivilTime at = ToCivilTime(unix_us / 1'000'000);
  char text[80];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02d%c%02d:%02d:%02d", at.year, at.month, at.day, separator, at.hour, at.minute, at.second);
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
