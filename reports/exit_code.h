// Exit codes: one number for a script, the same in every output mode.
//
// A run may have several things to say; the one that matters most wins: 70 > 1 > 5 > 7 > 3 > 6 > 4 > 75 > 0. Wrong use (2)
// ends a program before there is a run, and a signal (130, 143) ends it whatever was found so far: they have no rank.
#pragma once

#include <string_view>

#include "fakes/base/status.h"

namespace kvjury::reports {

enum class ExitCode : int {
  kSame = 0,
  kDifferent = 1,
  kUsage = 2,
  kUnproven = 3,
  kNothingChecked = 4,
  kNotSameRun = 5,      // repeated, and the digest was another one
  kEnvironment = 6,     // the machine, or a file that cannot be read
  kStale = 7,           // an expectation or an explicit label of the case that never came up
  kBlindJudge = 70,     // a planted bug was not convicted
  kTimeRanOut = 75,     // ended at its time budget with work left
  kInterrupted = 130,
  kTerminated = 143,
};

/// The one of both that matters more. Both must be of a run: not kUsage, not a signal (CHECK).
ExitCode MoreImportant(ExitCode a, ExitCode b);

/// The code for an input or an operation that failed: 2 for an unknown name or wrong argument, 3 for what cannot be known (a
/// lock that stays), 6 for everything that the machine or a file is the cause of.
ExitCode ExitCodeOf(const Status& status);

/// Some words for people: "DIFFERENT", "nothing was checked" ...
std::string_view ExitCodeMeaning(ExitCode code);

}  // namespace kvjury::reports
