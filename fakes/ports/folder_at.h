// FolderAt: what the cluster in a folder of `serve --data` held at a timestamp.
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

}  // namespace kvjury::ports
