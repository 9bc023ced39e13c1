// Does a cluster hold data? Asked before anything is played, since playing writes.
//
// Every region is asked for one visible or locked transactional pair at a fresh timestamp, and for one raw pair where the store
// answers raw calls. Deleted keys, old versions and what only other column families hold are not seen.
#pragma once

#include <string>

#include "fakes/sim/channel.h"

namespace kvjury::drift {

/// The first key that was found, for people; empty if there is none. Errors: kUnavailable and others when PD or a region cannot be
/// asked: then nobody knows. Suspends.
sim::Task<Result<std::string>> FirstKeyOf(sim::Channel* channel, sim::Address pd);

}  // namespace kvjury::drift
