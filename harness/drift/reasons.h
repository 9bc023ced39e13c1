// Known differences, each with its reason: a table that a user keeps beside a recording.
//
// JSON Lines: case, method, field (each may be left out: any), reason. `field` also stands for what is inside it. A line that
// explains nothing is itself reported: the difference is gone, or was never there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/drift/player.h"

namespace kvjury::drift {

struct KnownDifference {
  size_t line = 0;
  std::string case_name;
  std::string method;
  std::string field;
  std::string reason;
};

/// Errors: kNotFound, kEnvironment, kDataLoss with file and line.
Result<std::vector<KnownDifference>> LoadReasons(const std::string& path);
Result<std::vector<KnownDifference>> ParseReasons(const std::string& name, std::string_view text);

/// Writes the reason into each difference that has one; returns what explained nothing.
std::vector<KnownDifference> Explain(const std::vector<KnownDifference>& reasons, std::vector<Difference>* differences);

}  // namespace kvjury::drift
