// What the calls of a recording say about the cluster that answered them.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/drift/recorded_call.h"
#include "proto/tikv/metapb.pb.h"

namespace kvjury::drift {

struct RecordedCluster {
  /// 0 if no call says it.
  uint64_t cluster_id = 0;
  /// Ascending.
  std::vector<uint64_t> stores;
  /// Each as it is first described by an answer.
  std::vector<metapb::Region> regions;
};

/// Errors: kDataLoss for a request or an answer that is no message of its method, with the line.
Result<RecordedCluster> DescribeCluster(const std::vector<RecordedCall>& calls);

/// The region that a request names (in its context, or itself), 0 without one; and that context's store.
struct AskedRegion {
  uint64_t region = 0;
  uint64_t store = 0;
};
AskedRegion AskedBy(const google::protobuf::Message& request);

}  // namespace kvjury::drift
