// Numbers inside texts: "to store id #, mine #" finds and replaces those that stand where a '#' is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvjury::drift {

struct NumberMatch {
  struct Span {
    size_t begin = 0;
    size_t size = 0;
    uint64_t value = 0;  // modulo 2^64
  };
  size_t begin = 0;
  size_t end = 0;
  std::vector<Span> numbers;
};

/// The first match at `from` or behind it. Each '#' of the pattern is one or more digits, as many as there are.
std::optional<NumberMatch> FindNumbers(std::string_view text, std::string_view pattern, size_t from = 0);

/// In every match, each number becomes what its function makes of it.
std::string ReplaceNumbers(const std::string& text, std::string_view pattern,
                           const std::vector<std::function<uint64_t(uint64_t)>>& maps);

}  // namespace kvjury::drift
