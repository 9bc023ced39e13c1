// What a cluster holds that `serve` starts: the versions in an address or in a folder of `serve --data`, now or at a timestamp.
//
//   tikv://      the running cluster, or one volume of it, at the timestamp; original timestamps
//   --data DIR   the folder's records at the timestamp; original timestamps
//   br://        the backup at its own timestamp; original timestamps. At no other: of what was newer or deleted there the files have
//                no older version
//   kv://, dump-bin://   the pairs, which tell no time: they are what was there at the timestamp
//   others       show a volume and have no records: an error
// The source is only read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::cli {

struct ServedContent {
  /// Ascending keys, one version each; invalid timestamps where the source has none.
  std::vector<tikv::UserVersion> versions;
  /// What they are the state at; invalid where that is not known.
  Timestamp at;
  std::vector<std::string> warnings;
};

/// `at` is what stood behind --at, or empty. Errors: kUndetermined for a timestamp at which the source cannot be shown, a lock that
/// stays; kInvalidArgument, kUnsupported; those of opening it.
Result<ServedContent> ReadContent(const std::string& address, const std::string& at);

/// The same of a folder that `serve --data` made. Errors: as ReadContent and ports::ReadFolderAt.
Result<ServedContent> ReadContentOfFolder(const std::string& folder, const std::string& at);

}  // namespace kvjury::cli
