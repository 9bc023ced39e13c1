#include "harness/cli/at_option.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "fakes/base/bytes.h"
#include "fakes/base/civil_time.h"

namespace kvjury::cli {

namespace {

constexpr size_t kFractionDigitsMax = 9;
// More would not fit a timestamp's physical part.
constexpr int kYearMin = 1970;
constexpr int kYearMax = 3000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Takes text from the front, piece by piece; once something does not fit, nothing does any more.
class TimeText {
 public:
  explicit TimeText(std::string_view text) : rest_(text) {}

  int64_t Number(size_t digits) {
    if (rest_.size() < digits || !std::all_of(rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(digits), IsDigit)) {
      fits_ = false;
      return 0;
    }
    int64_t number = 0;
    std::from_chars(rest_.data(), rest_.data() + digits, number);
    rest_.remove_prefix(digits);
    return number;
  }
  void Expect(char c) {
    if (!Take(c)) {
      fits_ = false;
    }
  }
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  /// Milliseconds of a fraction, none if there is none.
  int64_t FractionMs() {
    if (!Take('.')) {
      return 0;
    }
    const size_t digits = static_cast<size_t>(std::find_if_not(rest_.begin(), rest_.end(), IsDigit) - rest_.begin());
    if (digits == 0 || digits > kFractionDigitsMax) {
      fits_ = false;
      return 0;
    }
    int64_t ms = 0;
    for (size_t i = 0; i < 3; ++i) {
      ms = ms * 10 + (i < digits ? rest_[i] - '0' : 0);
    }
    rest_.remove_prefix(digits);
    return ms;
  }
  [[nodiscard]] bool fits() const { return fits_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool fits_ = true;
};

std::optional<Timestamp> ParseTime(std::string_view text) {
  TimeText at(text);
  const int64_t year = at.Number(4);
  at.Expect('-');
  const int64_t month = at.Number(2);
  at.Expect('-');
  const int64_t day = at.Number(2);
  at.Expect('T');
  const int64_t hour = at.Number(2);
  at.Expect(':');
  const int64_t minute = at.Number(2);
  at.Expect(':');
  const int64_t second = at.Number(2);
  const int64_t fraction_ms = at.FractionMs();
  int64_t offset_minutes = 0;
  if (!at.Take('Z')) {
    const bool is_behind = at.Take('-');
    if (!is_behind) {
      at.Expect('+');
    }
    const int64_t hours = at.Number(2);
    at.Expect(':');
    const int64_t minutes = at.Number(2);
    offset_minutes = (hours * 60 + minutes) * (is_behind ? -1 : 1);
  }
  const std::optional<int64_t> local_s = ToUnixSeconds({static_cast<int>(year), static_cast<int>(month), static_cast<int>(day), static_cast<int>(hour),
                                                        static_cast<int>(minute), static_cast<int>(second)});
  if (!at.fits() || !local_s.has_value() || year < kYearMin || year > kYearMax) {
    return std::nullopt;
  }
  const int64_t seconds = *local_s - offset_minutes * 60;
  return seconds < 0 ? std::nullopt : std::optional(Timestamp::Compose(seconds * 1000 + fraction_ms, 0));
}

}  // namespace

Result<std::optional<Timestamp>> ParseAt(std::string_view text) {
  if (text == "now") {
    return std::optional<Timestamp>();
  }
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number != 0 && number != UINT64_MAX) {
    return std::optional(Timestamp(number));
  }
  const std::optional<Timestamp> time = ParseTime(text);
  if (!time.has_value()) {
    return Status::InvalidArgument("--at \"" + Printable(text) + "\": expected a timestamp of PD such as 470647200531087367, a time such as "
                                   "2026-11-26T20:00:00Z, or now");
  }
  return time;
}

}  // namespace kvjury::cli
