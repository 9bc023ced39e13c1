// junit.xml, as continuous integration reads it: one suite, a test case for each thing that was judged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvjury::reports {

struct JunitCase {
  enum class Kind {
    kNothing,  // nothing to say
    kNote,     // `body` is worth reading, and nothing is wrong
    kFailure,  // judged, and found wrong
    kError,    // nobody learned that it is wrong, nor that it is right
    kSkipped,
  };

  std::string name;
  Kind kind = Kind::kNothing;
  std::string type = {};
  std::string message = {};
  std::string body = {};
  std::optional<int64_t> took_ms = std::nullopt;
};

/// Escapes everything.
std::string JunitXml(std::string_view suite, const std::vector<JunitCase>& cases);

}  // namespace kvjury::reports
