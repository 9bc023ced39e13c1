#include "harness/drift/reasons.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace kvjury::drift {

namespace {

using Json = nlohmann::ordered_json;

bool Matches(const std::string& wanted, const std::string& actual) { return wanted.empty() || wanted == actual; }

// "a.b" stands for "a.b", "a.b.c", "a.b[1]", "a.b/c" and "a.b (number of)", not for "a.bc".
bool IsInside(const std::string& wanted, const std::string& field) {
  return wanted.empty() || field == wanted ||
         (field.starts_with(wanted) && std::string_view(".[/ (").find(field[wanted.size()]) != std::string_view::npos);
}

}  // namespace

Result<std::vector<KnownDifference>> ParseReasons(const std::string& name, std::string_view text) {
  std::vector<KnownDifference> reasons;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    const std::string where = name + " line " + std::to_string(number) + ": ";
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) {
      return Status::DataLoss(where + "no JSON object");
    }
    KnownDifference known;
    known.line = number;
    for (const auto& [member, value] : object.items()) {
      std::string* out = member == "case"     ? &known.case_name
                         : member == "method" ? &known.method
                         : member == "field"  ? &known.field
                         : member == "reason" ? &known.reason
                                              : nullptr;
      if (out == nullptr || !value.is_string()) {
        return Status::DataLoss(where + "expected the texts case, method, field and reason, got \"" + member + "\"");
      }
      *out = value.get<std::string>();
    }
    if (known.reason.empty()) {
      return Status::DataLoss(where + "a known difference needs its reason");
    }
    reasons.push_back(std::move(known));
  }
  return reasons;
}

Result<std::vector<KnownDifference>> LoadReasons(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.good()) {
    return errno == ENOENT ? Status::NotFound("no file \"" + path + "\"") : Status::Environment("cannot read \"" + path + "\"");
  }
  const Bytes text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return ParseReasons(path, text);
}

std::vector<KnownDifference> Explain(const std::vector<KnownDifference>& reasons, std::vector<Difference>* differences) {
  std::vector<KnownDifference> unused;
  for (const KnownDifference& known : reasons) {
    bool used = false;
    for (Difference& difference : *differences) {
      if (Matches(known.case_name, difference.case_name) && Matches(known.method, difference.method) &&
          IsInside(known.field, difference.what.field)) {
        difference.reason = known.reason;
        used = true;
      }
    }
    if (!used) {
      unused.push_back(known);
    }
  }
  return unused;
}

}  // namespace kvjury::drift
