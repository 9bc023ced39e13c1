// gzip, zstd and xz streams to bytes, the first two back, with a bound on what a small input may grow to.
//
// A truncated or damaged stream is an error and never a shorter result. Several gzip members, zstd frames or xz streams in a row
// are one stream, as the usual tools have it. Source: RFC 1952, RFC 8878, the .xz format 1.2. Not here: LZ4 and Snappy (RocksDB
// reads those).
#pragma once

#include <cstddef>
#include <string_view>

#include "fakes/base/bytes.h"

namespace kvjury {

enum class Compression { kNone, kGzip, kZstd, kXz };

/// By the first bytes: 1f 8b is gzip, 28 b5 2f fd is zstd, fd 37 7a 58 5a 00 is xz, everything else is plain.
Compression DetectCompression(std::string_view bytes);

/// Errors: kDataLoss for a damaged or truncated stream or bytes after its end; kInvalidArgument when the result would be
/// larger than `output_bytes_max`.
Result<Bytes> GzipDecompress(std::string_view bytes, size_t output_bytes_max);
Result<Bytes> ZstdDecompress(std::string_view bytes, size_t output_bytes_max);
Result<Bytes> XzDecompress(std::string_view bytes, size_t output_bytes_max);

/// Chooses by DetectCompression; plain bytes come back as they are (within the bound).
Result<Bytes> DecompressByMagic(std::string_view bytes, size_t output_bytes_max);

/// One member without name and time, so that equal input gives equal output of one library version.
Bytes GzipCompress(std::string_view bytes);
Bytes ZstdCompress(std::string_view bytes);

}  // namespace kvjury
