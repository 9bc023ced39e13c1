// gzip, zstd and xz in pieces: reading any of them, writing the first two. Whole buffers are in compress.h, and the same rules hold:
// a truncated or damaged stream is an error and never a shorter result.
#pragma once

#include <memory>

#include "fakes/base/byte_stream.h"
#include "fakes/base/compress.h"

namespace kvjury {

/// What the first bytes of `from`, which must outlive it, say that it is. Reading it may fail with: kDataLoss for a damaged or
/// truncated stream or bytes after its end, and what `from` returns.
Result<std::unique_ptr<ByteSource>> OpenDecompressed(ByteSource* from);

/// Reads one form, whatever its first bytes are; kNone gives the bytes as they are.
std::unique_ptr<ByteSource> MakeDecompressor(Compression form, ByteSource* from);

/// Writes kNone, kGzip (fastest level, no name and time) or kZstd to `to`, which must outlive it. Finish also finishes `to`.
std::unique_ptr<ByteSink> MakeCompressor(Compression form, ByteSink* to);

/// By the end of a file's name: .gz, .zst and .zstd; everything else is plain.
Compression CompressionOfName(std::string_view file_name);

}  // namespace kvjury
