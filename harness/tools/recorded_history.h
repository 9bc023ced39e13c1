// The history of a drill's source cluster, made again from its recording: every commit up to where the drill read the source.
#pragma once

#include <string>

#include "fakes/base/status.h"
#include "fakes/ports/folder_at.h"

namespace kvjury::tools {

/// The folder of a drill that keeps a recording of its source.
bool HasRecordedHistory(const std::string& folder);

/// From an empty cluster on; what the drill's volume held from the start is its first commits. GC has removed nothing. Errors: kNotFound
/// without such a recording or where the source was never read, kConflict when it plays in another way, kDataLoss, kUnsupported. Blocks.
Result<ports::FolderHistory> ReadRecordedHistory(const std::string& folder);

}  // namespace kvjury::tools
