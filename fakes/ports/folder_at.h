// FolderAt: what the cluster in a folder of `serve --data` held at a timestamp, and FolderHistory: at every one.
//
// The folder is only read and must not be in use (a running one is asked over its ports, as a tikv:// address). Its records do not
// change any more, so that every lock can be settled from them (tikv/settled_read.h).
// Refused: a timestamp that PD had not given out, or that lies below the GC safe point, where versions may be gone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/tikv/mvcc_reader.h"
#include "fakes/tikv/settled_read.h"

namespace kvjury::ports {

struct FolderAt {
  Timestamp at;
  /// Ascending keys, one version each.
  std::vector<tikv::UserVersion> versions;
  /// What a reader should know: a sentence each.
  std::vector<std::string> warnings;
};

/// Without `at`: at the end. Errors: as OpenServedState; kUndetermined for a timestamp that is refused; kDataLoss for damaged records.
Result<FolderAt> ReadFolderAt(const std::string& folder, std::optional<Timestamp> at);

struct FolderHistory {
  /// The GC safe point, below which versions may be gone; 0 without one.
  Timestamp from;
  Timestamp to;
  /// At `from`: ascending keys.
  std::vector<tikv::UserVersion> versions;
  /// From there to the end, in the order of commits. What a DeleteRange removed leaves no change: its keys seem to stay.
  std::vector<tikv::UserChange> changes;
  std::vector<std::string> warnings;
};

/// Errors: as ReadFolderAt.
Result<FolderHistory> ReadFolderHistory(const std::string& folder);

}  // namespace kvjury::ports
