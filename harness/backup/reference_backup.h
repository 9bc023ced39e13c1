// ReferenceBackup: a backup of the whole key space at one timestamp, as it should be done.
//
// One timestamp from PD; a service GC safe point holds the versions it needs; each region is asked by itself through the
// region cache; what was not answered (moved regions, broken streams, locks, failed uploads) is asked again at the same
// timestamp, in bounded rounds, after the locks were resolved; an answer counts for what was asked and no more. At the end
// GC must not have passed the timestamp. backupmeta is written last, in br's form, so that br can restore it.
// Not modelled: rate limits, encryption, checkpoints, several processes.
// Source: br of the 8.5 line and what its users' reports teach. Sites of planted bugs: empty-tree-reads-as-complete,
// two-timestamps-one-backup, encoded-empty-boundary.
// Labels: LABEL/region[START]/read#N for the N-th request that begins at START, LABEL/put-meta#N, LABEL/tso/...
// Determinism: decisions go to the digest component "backup-tool"; file names in them, never digests or lengths of files.
#pragma once

#include "harness/backup/tool.h"

namespace kvjury::backup {

struct BackupOptions {
  ::backup::CompressionType compression = ::backup::ZSTD;
  /// Virtual time after which missing ranges are a failure.
  Micros time_limit_us = 120'000'000;
  /// The version of the cluster as the meta names it.
  std::string cluster_version = "8.5.0";
};

/// Never suspends for longer than the limit by much. The report is complete in every case.
sim::Task<ToolReport> RunReferenceBackup(ToolHost host, BackupOptions options);

}  // namespace kvjury::backup
