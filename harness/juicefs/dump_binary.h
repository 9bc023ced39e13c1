// Reader of `juicefs dump --binary` (plain, gzip or zstd) into the records of a volume: those that `juicefs load --binary` writes.
//
// The file is a list of segments, an end mark and a footer; each segment's records are counted against the footer. Attributes, chunks,
// ACL rules and the setting stand there as in the store, byte for byte. What a binary dump does not hold is listed by
// BinaryDumpLosses.
// Not kept: the change log. Source: JuiceFS 1.4, dump and load.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

/// Sentences; the same for every dump.
const std::vector<std::string>& BinaryDumpLosses();

/// Keys without a prefix. Errors: kDataLoss with the file, the offset and what was expected; kUnsupported for a later version;
/// kInvalidArgument when larger than `bytes_max`.
Result<KeyValues> ReadDumpBinary(const std::string& file_name, std::string_view file_bytes, size_t bytes_max = size_t{16} << 30);

}  // namespace kvjury::juicefs
