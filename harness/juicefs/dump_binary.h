// Reader of `juicefs dump --binary` (plain, gzip or zstd) into the records of a volume: those that `juicefs load --binary` writes, and the
// counter of ACL rules, which it makes from them.
//
// The file is a list of segments, an end mark and a footer; each segment's records are counted against the footer. Attributes, chunks,
// ACL rules and the setting stand there as in the store, byte for byte. What a binary dump does not hold is listed by
// BinaryDumpLosses.
// Not kept: the change log. Source: JuiceFS 1.4, dump and load.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/byte_stream.h"
#include "harness/juicefs/load_target.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

/// Sentences; the same for every dump.
const std::vector<std::string>& BinaryDumpLosses();

/// Puts the records into `target` segment by segment, the whole file in memory at no time. `source` is decompressed already; what `target`
/// returned ends the load. A target that was given pairs before an error holds a part of a volume. Errors: as ReadDumpBinary.
/// `bugs`: guards that are taken away, of a simulated load; may be null.
Result<LoadReport> LoadDumpBinary(const std::string& file_name, ByteSource* source, LoadTarget* target, uint64_t bytes_max = UINT64_MAX,
                                  sim::PlantedBugs* bugs = nullptr);

/// Keys without a prefix. Errors: kDataLoss with the file, the offset and what was expected; kUnsupported for a later version;
/// kInvalidArgument when larger than `bytes_max`.
Result<KeyValues> ReadDumpBinary(const std::string& file_name, std::string_view file_bytes, size_t bytes_max = size_t{16} << 30);

}  // namespace kvjury::juicefs
