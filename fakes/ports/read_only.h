// A served cluster that shows one state and takes no other: which calls would change data, and how they are refused.
//
// Refused is what a transaction or a raw client writes with and what a restore imports; each with the error that its answer has a place
// for. Not refused: what settles locks (there are none to settle, and clients ask), what only moves regions, leaders and safe points.
#pragma once

#include <string>

#include "fakes/sim/channel.h"

namespace kvjury::ports {

/// The answer to a call that would change data: an error with the sentence. Null for every other call.
sim::MessagePtr RefusedWrite(const std::string& path, const std::string& sentence);

}  // namespace kvjury::ports
