// What a drill's verdict does not say, one sentence each, from the record alone.
#pragma once

#include <string>
#include <vector>

#include "proto/kvjury/drill.pb.h"

namespace kvjury::reports {

/// What the drill itself calls unproven, checks that were not made or counted nothing, contents and keys that were not
/// compared, a cut that is only known as a window, and what no drill proves. Not escaped.
std::vector<std::string> NotProved(const record::DrillRecord& drill);

}  // namespace kvjury::reports
