#include "reports/junit.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/text.h"

namespace kvjury::reports {
namespace {

using Kind = JunitCase::Kind;

std::string Element(std::string_view name, const JunitCase& one) {
  const std::string type = one.type.empty() ? "" : fmt::format(" type=\"{}\"", EscapeXml(one.type));
  const std::string head = fmt::format("      <{}{} message=\"{}\"", name, type, EscapeXml(one.message));
  return one.body.empty() ? head + "/>\n" : fmt::format("{}>{}</{}>\n", head, EscapeXml(one.body), name);
}

std::string Inside(const JunitCase& one) {
  switch (one.kind) {
    case Kind::kNothing:
      return "";
    case Kind::kNote:
      return fmt::format("      <system-out>{}</system-out>\n", EscapeXml(one.body));
    case Kind::kFailure:
      return Element("failure", one);
    case Kind::kError:
      return Element("error", one);
    case Kind::kSkipped:
      return Element("skipped", one);
  }
  return "";
}

std::string Seconds(int64_t ms) { return fmt::format(" time=\"{}.{:03}\"", ms / 1'000, ms % 1'000); }

}  // namespace

std::string JunitXml(std::string_view suite, const std::vector<JunitCase>& cases) {
  const auto count = [&](Kind kind) {
    return std::count_if(cases.begin(), cases.end(), [&](const JunitCase& one) { return one.kind == kind; });
  };
  std::string counts =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", cases.size(), count(Kind::kFailure), count(Kind::kError));
  if (count(Kind::kSkipped) > 0) {
    counts += fmt::format(" skipped=\"{}\"", count(Kind::kSkipped));
  }
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites " + counts + ">\n";
  out += "  <testsuite name=\"kvjury " + EscapeXml(suite) + "\" " + counts + ">\n";
  for (const JunitCase& one : cases) {
    out += "    <testcase classname=\"kvjury\" name=\"" + EscapeXml(one.name) + "\"";
    out += one.took_ms.has_value() ? Seconds(std::max<int64_t>(*one.took_ms, 0)) : "";
    const std::string inside = Inside(one);
    out += inside.empty() ? "/>\n" : ">\n" + inside + "    </testcase>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace kvjury::reports
