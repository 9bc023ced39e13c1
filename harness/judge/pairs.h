// Visible values with their versions, and how they change: what accounts of a volume are made of.
#pragma once

#include <map>
#include <optional>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"

namespace kvjury::judge {

/// One visible value and the version that it is. Timestamps are invalid where they are not known.
struct Version {
  Bytes value;
  Timestamp start_ts;
  Timestamp commit_ts;
};
using Pairs = std::map<Bytes, Version>;

/// A committed change of one key, in the order of commits.
struct KeyChange {
  Bytes key;
  /// None: removed.
  std::optional<Version> version;
  Timestamp commit_ts;
};

}  // namespace kvjury::judge
