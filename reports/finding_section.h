// The differences of one drill on a page: the tree of their paths, then each with keys, values, timestamps and the layer of
// loss.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>

#include "proto/kvjury/verdict.pb.h"

namespace kvjury::reports {

/// Empty without findings. The anchors of findings are `anchor` followed by 1, 2, 3 ...
std::string FindingsDetails(const google::protobuf::RepeatedPtrField<record::Finding>& findings, const std::string& anchor);

}  // namespace kvjury::reports
