// The directory tree of the paths that differ, as nested lists.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>

#include "proto/kvjury/verdict.pb.h"

namespace kvjury::reports {

enum class Difference { kMissing, kSurplus, kDiffers };

/// Missing: expected and not there. Surplus: there and not expected. All else differs.
Difference DifferenceOf(const record::Finding& finding);

/// "−", "+" or "≠", and in words "missing", "surplus", "differs".
std::string DifferenceSign(Difference difference);
std::string DifferenceWord(Difference difference);

/// Empty when no finding has a path. Large folders and large trees are cut with a count of what is left out; the first
/// `linked` findings are linked as `anchor` followed by their position.
std::string FindingTree(const google::protobuf::RepeatedPtrField<record::Finding>& findings, const std::string& anchor,
                        int linked);

}  // namespace kvjury::reports
