// Findings and counts in text and JSON: the same words in the reports of runs and of drills.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>
#include <string>

#include "proto/kvjury/verdict.pb.h"

namespace kvjury::reports {

/// "TREE missing-entry /a/b (lost at import): sentence".
std::string FindingLine(const record::Finding& finding);

/// Members that say nothing (empty, zero) are left out; both values only when present, so that absent and empty differ.
nlohmann::ordered_json FindingJson(const std::string& case_name, const record::Finding& finding);

/// Every singular 64-bit number of a message under its field name, zeros included.
nlohmann::ordered_json NumbersJson(const google::protobuf::Message& message);

/// Adds every singular 64-bit number of `part` to `sum`, so that a new field is never forgotten.
void AddNumbers(const google::protobuf::Message& part, google::protobuf::Message* sum);

}  // namespace kvjury::reports
