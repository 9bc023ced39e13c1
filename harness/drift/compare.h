// Compares a recorded answer, in the target's terms (identity.h), with the one that came, field by field.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace kvjury::drift {

struct FieldDifference {
  /// "region_error.epoch_not_match.current_regions[0].end_key"; of HTTP "body/stores/0/store/state_name"; "grpc_error".
  std::string field;
  /// For people; "nothing" where one side has none.
  std::string recorded;
  std::string got;
};

/// Both of one type. `recorded` after Identity::Map. Rules: field_rules.h; unknown fields are compared as bytes.
void CompareMessages(const google::protobuf::Message& recorded, const google::protobuf::Message& got, const std::string& at,
                     std::vector<FieldDifference>* out);

}  // namespace kvjury::drift
