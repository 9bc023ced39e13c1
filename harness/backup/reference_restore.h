// ReferenceRestore: puts a backup into a cluster, as it should be done, and looks afterwards whether it is there.
//
// Reads backupmeta and every file and verifies all rules of backup_reader.h; clears the target, tombstones and locks
// included; moves the target's timestamps beyond every restored one; splits at the files' ranges, in their encoded form;
// scatters; downloads both column families of a range to all peers and ingests them together; reads everything back at a
// fresh timestamp and compares it pair by pair. Whatever does not fit is a loud failure.
// Each region that was cleared is split afterwards, so that its epoch is a new one: a request to clear that comes late or
// twice can then do no harm to what was restored.
// Not modelled: pausing schedulers (the simulated PD moves nothing by itself), restoring a part, rate limits.
// Source: br of the 8.5 line and what its users' reports teach. Sites of planted bugs: value-or-commit-family-missing,
// right-name-wrong-file, newer-tombstone-hides-restore, target-clock-behind, split-keys-unencoded. A tool with one of these
// does not look afterwards either, as br does not: the closing comparison is part of each guard.
// Labels: LABEL/get-file[NAME]#N, LABEL/clear[START]#N, LABEL/split[START]#N, LABEL/download-FAMILY-STORE[START]#N,
// LABEL/ingest[START]#N, LABEL/verify/...; START is the encoded start of the piece, NAME the file's place in the meta.
// Determinism: decisions go to the digest component "restore-tool".
#pragma once

#include "harness/backup/tool.h"

namespace kvjury::backup {

struct RestoreOptions {
  /// A target with visible pairs is cleared; otherwise that is a failure.
  bool clear_target = true;
  Micros time_limit_us = 120'000'000;
};

/// The report is complete in every case.
sim::Task<ToolReport> RunReferenceRestore(ToolHost host, RestoreOptions options);

}  // namespace kvjury::backup
