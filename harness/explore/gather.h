// Gathering evidence from simulated clusters: the truth at the cut, what a client reads on the target, and the target's raw
// records.
//
// The truth comes from the source's oracle memory: committed records alone, GC notwithstanding, no lock looked at. The
// target is read as any client reads it, at a fresh timestamp, range by range and with bounds, so that a range that cannot
// be read is named and does not stop the rest.
#pragma once

#include <string>
#include <vector>

#include "fakes/tikv/cluster.h"
#include "harness/backup/backup_reader.h"
#include "harness/client/kv.h"
#include "harness/judge/evidence.h"
#include "harness/judge/torn_pair.h"

namespace kvjury::explore {

/// Every key visible at `ts` with its version, from committed records alone.
judge::Pairs ReadTruth(tikv::Cluster* cluster, Timestamp ts);

/// What was committed after `from` and up to `to`, in the order of commits; of one commit in the order of keys.
std::vector<judge::KeyChange> ReadChanges(tikv::Cluster* cluster, Timestamp from, Timestamp to);

/// Structure of all records of the cluster, the newest record of each key, and region boundaries.
judge::TargetRecords ReadRecords(tikv::Cluster* cluster);

/// What a backup's files say by themselves. Takes the findings.
judge::FileEvidence FilesOf(backup::BackupContents contents);

struct TargetReading {
  judge::Pairs pairs;
  std::vector<std::string> unreadable;
};
/// Reads all keys at `ts` in `bounds.size() + 1` ranges cut at `bounds` (ascending user keys). Suspends.
sim::Task<TargetReading> ReadTarget(client::Store* store, Timestamp ts, std::vector<Bytes> bounds, sim::Label label);

}  // namespace kvjury::explore
