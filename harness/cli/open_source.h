// Opens any address that holds a volume: files as harness/backup does, a running cluster over its ports.
#pragma once

#include <string>

#include "harness/backup/address.h"

namespace kvjury::cli {

/// Errors: as backup::OpenAddress and remote::ReadCluster.
Result<backup::OpenedSource> OpenSource(const std::string& text);

}  // namespace kvjury::cli
