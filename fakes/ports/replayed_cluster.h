// ReplayedCluster: a served cluster made again from its recording (recorder.h), in virtual time, without sockets and clients.
//
// Same world, same inputs at the same places among its events: every answer, label and timestamp is what it was, or the recording is not
// of this program's rules. Then the first place is named where the two part. What object storages answered is told to the stores again;
// what they write is compared by its digest.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "fakes/base/status.h"
#include "fakes/ports/call_script.h"
#include "fakes/tikv/cluster.h"

namespace kvjury::ports {

struct ReplayOptions {
  /// Told of every call as ServeOptions::on_call was. May be empty.
  std::function<void(const CallRecord&)> on_call;
  /// At each mark, with the cluster as it is then. May be empty.
  std::function<void(const std::string& mark, tikv::Cluster* cluster)> on_mark;
  /// A recording of a longer time is refused.
  Micros virtual_us_max = Micros{30} * 24 * 3'600 * 1'000'000;
};

struct ReplayCounts {
  uint64_t inputs = 0;
  uint64_t events = 0;
  /// Virtual time at the end.
  Micros ended_us = 0;
};

/// Plays a recording, decompressed, to its end. Errors: kDataLoss for bytes that are no recording, kUnsupported for one of another schema,
/// kConflict when the world went another way, with the place. Blocks.
Result<ReplayCounts> ReplayRecording(std::string_view recording, const ReplayOptions& options);

}  // namespace kvjury::ports
