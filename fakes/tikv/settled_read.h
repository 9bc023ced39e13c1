// Reading records that nobody changes any more at a timestamp: what locks stand for is settled from the records themselves.
//
// The committed records say what was visible; a lock of a transaction that began at or below the timestamp may hide a commit there:
//   its primary is committed           the commit's timestamp decides
//   rolled back, or without a trace    nothing was written
//   still locked, async commit         committed if every key is locked for it, at the largest min_commit_ts; else not
//   still locked otherwise             not committed: whoever goes on with these records later gets a timestamp above theirs
// The last is an assumption where the owner had its commit timestamp already and was stopped before it used it: such transactions are
// counted, the first is named.
// Not modelled: locks in a store's memory, which records do not have. Source: Percolator and async commit of TiKV 8.5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/base/status.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

struct SettledRead {
  /// Ascending keys, one version each.
  std::vector<UserVersion> versions;
  /// Locks that stood for a commit at or below the timestamp, and those that did not.
  uint64_t committed_locks = 0;
  uint64_t other_locks = 0;
  /// Of the latter, those whose owner had not decided; a sentence on the first.
  uint64_t undecided_locks = 0;
  std::string first_undecided;
};

/// Errors: kDataLoss for a version whose value is missing.
Result<SettledRead> ReadSettledAt(const Snapshot& snapshot, Timestamp ts);

/// A committed change of one key.
struct UserChange {
  Bytes key;
  /// None: removed.
  std::optional<Bytes> value;
  Timestamp commit_ts;
};

/// What was committed after `from` and up to `to`, locks settled as above: in the order of commits, of one commit in the order of keys.
/// Where GC has passed `from` older changes may be gone. Errors: as ReadSettledAt.
Result<std::vector<UserChange>> ReadSettledChanges(const Snapshot& snapshot, Timestamp from, Timestamp to);

}  // namespace kvjury::tikv
