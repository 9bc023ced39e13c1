// Replays calls recorded from a real TiKV 8.5.0 against anything that answers requests, and compares field by
// field.
//
// For tests of this folder: the transaction core alone, and the whole service. `exec_details_v2` (timing) is
// not compared.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::tikv {

struct RecordedCall {
  size_t line = 0;
  std::string case_name;
  std::string method;  // "KvGet"
  Bytes request;
  Bytes response;
};

/// The unary tikvpb.Tikv calls of scenarios/probes/NAME without those that ended in a gRPC error. The file
/// must be there.
std::vector<RecordedCall> LoadRecordedCalls(const std::string& name);

/// Method ("KvGet") and request bytes to response bytes.
using Dispatch = std::function<Bytes(const std::string& method, const Bytes& request)>;

/// What differs, for people; empty if the answers are equal.
std::string DifferenceToRecorded(const RecordedCall& call, const Bytes& response);

}  // namespace kvjury::tikv
