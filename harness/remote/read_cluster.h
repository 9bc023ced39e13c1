// Reads a key range of a running cluster at one timestamp, and changes nothing in it.
//
// What a lock in the way stands for is found out by reads (client/fate_reader.h), or it is waited for, never resolved; one that stays
// undecided makes the whole read kUndetermined, with its range. The GC safe point of PD is looked at before and after the read: below
// it versions may be gone. Sent are only questions to PD (members, timestamps, regions, stores, safe point) and KvScan, KvGet,
// KvScanLock, MvccGetByKey. A read raises the stores' max_ts in memory, as every reader's does.
// Not modelled: several readers at once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "fakes/ports/tls.h"
#include "fakes/sim/channel.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::remote {

struct ReadRequest {
  /// host:port of PD's members.
  std::vector<sim::Address> members;
  ports::TlsFiles tls;
  /// Empty `end`: unbounded.
  Bytes start;
  Bytes end;
  /// None: a new timestamp of PD.
  std::optional<Timestamp> cut;
  /// For locks, in one region.
  Micros lock_wait_us = 20'000'000;
  /// Also when each version began and was committed: one call more a key.
  bool with_timestamps = false;
};

struct ReadResult {
  Timestamp cut;
  /// Ascending keys, one version each.
  std::vector<tikv::UserVersion> versions;

  /// Takes the versions.
  [[nodiscard]] std::map<Bytes, Bytes> TakePairs();
};

/// Blocks. Errors: kUnavailable (PD or a store does not answer), kEnvironment (a PEM file), kUndetermined (a timestamp of the future, a
/// lock that stays, versions that may be gone), kRejected, kDataLoss.
Result<ReadResult> ReadCluster(const ReadRequest& request);

}  // namespace kvjury::remote
