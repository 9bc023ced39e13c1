// The reference backup and restore on a cluster on real ports: what a tool should do, for drills and for people.
//
// Backs up to and restores from a folder that the stores see, too. Blocks. A restore refuses a target that holds visible keys.
#pragma once

#include <string>
#include <vector>

#include "fakes/ports/tls.h"
#include "harness/backup/tool.h"

namespace kvjury::tools {

struct ReferenceRun {
  /// host:port of PD's members.
  std::vector<std::string> pd;
  ports::TlsFiles tls;
  std::string folder;
};

/// Errors: kUnavailable (no PD), kEnvironment (the folder, a PEM file). What the tool itself could not do is in the report.
Result<backup::ToolReport> ReferenceBackup(const ReferenceRun& run);
Result<backup::ToolReport> ReferenceRestore(const ReferenceRun& run);

}  // namespace kvjury::tools
