// The self-test: does the judge convict every planted bug, and stay quiet on everything else?
//
// What a form of dump is known to lose (findings of the kind "form-loss") convicts nobody and is no alarm.
// For each bug, drawn cases with its trigger run with the guard removed until a check that the catalogue names has a finding; the
// case that convicted runs again with the guard in place (its twin) and must not be DIFFERENT. Then clean cases, with and
// without faults and triggers, must give no finding at all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fakes/sim/planted_bugs.h"
#include "harness/explore/volume_library.h"
#include "proto/kvjury/case.pb.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::explore {

struct BugScore {
  std::string name;
  bool convicted = false;
  /// Checks of the catalogue that had a finding in the convicting case.
  std::vector<std::string> checks;
  /// Cases run up to and including the convicting one.
  uint64_t cases = 0;
  uint64_t operations = 0;
  uint64_t faults = 0;
  /// The convicting case with the guard in place was not DIFFERENT, known losses of its dump's form aside.
  bool twin_quiet = false;
  record::Case convicting_case;
};

struct CleanScore {
  uint64_t cases = 0;
  uint64_t same = 0;
  uint64_t honest_failures = 0;
  uint64_t unproven = 0;
  /// DIFFERENT in nothing but what the form of the case's dump is known to lose.
  uint64_t known_losses = 0;
  /// DIFFERENT otherwise, or nothing compared.
  uint64_t false_alarms = 0;
  std::vector<record::CaseRecord> alarm_records;
};

struct SelftestOptions {
  uint64_t seed = 1;
  uint64_t cases_per_bug_max = 300;
  uint64_t clean_cases = 2000;
  /// Called after each case; words for people.
  std::function<void(const std::string& what, uint64_t done, uint64_t total)> progress;
  /// True when the run should stop (a signal).
  std::function<bool()> stop;
};

/// True if every finding is a known loss of the form of a dump, and there is one.
bool OnlyKnownLosses(const record::CaseRecord& record);

/// Runs drawn cases with `bug` on until one convicts it.
Result<BugScore> Convict(sim::Bug bug, const SelftestOptions& options, VolumeLibrary* volumes);

/// Runs clean and fault-only cases `first`, `first` + `step`, ... below options.clean_cases.
Result<CleanScore> RunClean(const SelftestOptions& options, uint64_t first, uint64_t step, VolumeLibrary* volumes);

}  // namespace kvjury::explore
