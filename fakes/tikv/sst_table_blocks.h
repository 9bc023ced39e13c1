// Blocks of RocksDB's block-based tables: where they lie, their checksums, their compression, their entries.
//
// A block is its bytes, one byte of compression kind and the masked CRC32c over both. Inside: entries with shared key
// prefixes, then the restart points. Every length is tested before it is used; nothing here trusts a byte.
// Source: RocksDB's table format description, format_version 2.
#pragma once

#include <functional>
#include <string_view>

#include "fakes/base/bytes.h"

namespace kvjury::tikv::internal {

struct BlockHandle {
  uint64_t offset = 0;
  uint64_t bytes = 0;  // without the trailer
};
inline constexpr size_t kBlockTrailerBytes = 5;

/// Reads a handle from the front of `reader`, which is not ok() afterwards if there was none.
BlockHandle TakeBlockHandle(ByteReader* reader);

/// CRC32c (Castagnoli), plain.
uint32_t Crc32c(std::string_view bytes);

/// The content of one block of `file`, its checksum verified, decompressed. Errors: kDataLoss; kUnsupported for a kind of
/// compression that TiKV does not use.
Result<Bytes> ReadBlock(std::string_view file, BlockHandle handle);

/// Writes the checksum of a block whose bytes were changed. The block must lie inside the file.
void SealBlock(Bytes* file, BlockHandle handle);

/// Only the checksum. Errors: kDataLoss.
Status VerifyBlock(std::string_view file, BlockHandle handle);

/// Calls `visit` for each entry of a block's content. Errors: kDataLoss, kUnsupported (hash index), those of `visit`.
Status VisitBlock(std::string_view content,
                  const std::function<Status(std::string_view key, std::string_view value)>& visit);

}  // namespace kvjury::tikv::internal
