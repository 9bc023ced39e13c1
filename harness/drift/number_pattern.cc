#include "harness/drift/number_pattern.h"

namespace kvjury::drift {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<NumberMatch> MatchAt(std::string_view text, std::string_view pattern, size_t begin) {
  NumberMatch match;
  match.begin = begin;
  size_t at = begin;
  for (const char wanted : pattern) {
    if (wanted != '#') {
      if (at == text.size() || text[at] != wanted) {
        return std::nullopt;
      }
      ++at;
      continue;
    }
    NumberMatch::Span number;
    number.begin = at;
    while (at < text.size() && IsDigit(text[at])) {
      number.value = number.value * 10 + static_cast<uint64_t>(text[at] - '0');
      ++at;
    }
    number.size = at - number.begin;
    if (number.size == 0) {
      return std::nullopt;
    }
    match.numbers.push_back(number);
  }
  match.end = at;
  return match;
}

}  // namespace

std::optional<NumberMatch> FindNumbers(std::string_view text, std::string_view pattern, size_t from) {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (std::optional<NumberMatch> match = MatchAt(text, pattern, begin)) {
      return match;
    }
  }
  return std::nullopt;
}

std::string ReplaceNumbers(const std::string& text, std::string_view pattern,
                           const std::vector<std::function<uint64_t(uint64_t)>>& maps) {
  std::string out;
  size_t done = 0;
  for (auto match = FindNumbers(text, pattern); match; match = FindNumbers(text, pattern, match->end)) {
    for (size_t i = 0; i < maps.size() && i < match->numbers.size(); ++i) {
      const NumberMatch::Span& number = match->numbers[i];
      out += text.substr(done, number.begin - done) + std::to_string(maps[i](number.value));
      done = number.begin + number.size;
    }
  }
  return out + text.substr(done);
}

}  // namespace kvjury::drift
