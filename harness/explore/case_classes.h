// The classification of a case: words for what it asked for and for what really happened in it.
//
// Made for the mix that a report shows: a property over drawn cases says little if some kind of case never came up. A word is
// given or not given; how often is told by the counts of the record. Every fault that took effect is a class of its own.
// Not here: the verdict (judge.h).
#pragma once

#include <string>
#include <vector>

#include "harness/explore/volume_library.h"
#include "proto/kvjury/case.pb.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::explore {

/// The classes of a case that ran, ascending, each once: "faults", "one store", "trigger: swapped files", "locks met",
/// "fault: split_region" ... `volume` is the one that the case starts from; of `record` the counts and the scope are looked at.
std::vector<std::string> ClassesOf(const record::Case& c, const LoadedVolume& volume, const record::CaseRecord& record);

}  // namespace kvjury::explore
