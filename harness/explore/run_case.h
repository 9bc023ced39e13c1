// RunCase: one simulated proof from its case alone.
//
// Builds a world with a source and a target cluster, puts the volume in, lets the writers work, backs up at a timestamp
// while they go on, restores, gathers the evidence and has it judged. A pure function of the case (and of the volume's bytes
// when the case names an address): same record and digests in every process and with every compiler.
// Bounds: virtual time and events; what does not end within them is a hang and a finding, never an endless run.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "fakes/base/status.h"
#include "harness/explore/volume_library.h"
#include "proto/kvjury/case.pb.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::explore {

struct RunCaseOptions {
  /// Where to keep the backup files after the run (a folder that exists); empty: they stay in memory.
  std::string keep_backup_in;
  /// Fill in the record's `case` even if the outcome is SAME.
  bool always_explicit = false;
};

/// Unless the outcome is SAME, the record's `case` has everything that fired written out and nothing left to draw: it runs the
/// same without its seed.
/// Errors: kInvalidArgument, kNotFound, kDataLoss, kUnsupported for a volume that cannot be read; never for what the run does.
Result<record::CaseRecord> RunCase(const record::Case& c, VolumeLibrary* volumes, const RunCaseOptions& options = {});

}  // namespace kvjury::explore
