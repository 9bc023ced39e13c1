#include "fakes/tikv/sst_table_blocks.h"

#include <lz4.h>
#include <snappy.h>
#include <zstd.h>

#include <array>

#include "fakes/tikv/sst_file.h"

namespace kvjury::tikv::internal {

namespace {

constexpr uint32_t kCrc32cPolynomial = 0x82f63b78;  // reflected
constexpr uint32_t kCrcMaskDelta = 0xa282ead8;
/// Far above any block that TiKV writes (a value is at most 6 MiB); bounds what a small damaged file can make us allocate.
constexpr uint64_t kBlockContentBytesMax = uint64_t{64} << 20;

enum BlockCompression : uint8_t { kNone = 0, kSnappy = 1, kLz4 = 4, kLz4Hc = 5, kZstd = 7 };

using CrcTables = std::array<std::array<uint32_t, 256>, 8>;

constexpr CrcTables MakeCrcTables() {
  CrcTables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kCrc32cPolynomial : 0);
    }
    tables[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; ++i) {
    for (size_t table = 1; table < tables.size(); ++table) {
      const uint32_t former = tables[table - 1][i];
      tables[table][i] = (former >> 8) ^ tables[0][former & 0xff];
    }
  }
  return tables;
}
constexpr CrcTables kCrcTables = MakeCrcTables();

uint32_t Le32(std::string_view bytes) {
  CHECK_GE(bytes.size(), size_t{4});
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

std::string Describe(BlockHandle handle) {
  return "block at " + std::to_string(handle.offset) + " of " + std::to_string(handle.bytes) + " bytes";
}

Status CannotDecompress(const char* kind) {
  return Status::DataLoss(std::string("a block cannot be decompressed as ") + kind);
}

Result<Bytes> DecompressSized(uint8_t kind, std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t content_bytes = reader.Varint();
  if (!reader.ok() || content_bytes > kBlockContentBytesMax) {
    return Status::DataLoss("a compressed block has no sensible length");
  }
  const std::string_view stream = reader.rest();
  Bytes content(content_bytes, '\0');
  if (kind == kZstd) {
    const size_t size = ZSTD_decompress(content.data(), content.size(), stream.data(), stream.size());
    if (ZSTD_isError(size) != 0 || size != content.size()) {
      return CannotDecompress("zstd");
    }
    return content;
  }
  if (stream.size() > kBlockContentBytesMax) {
    return CannotDecompress("lz4");
  }
  const int size = LZ4_decompress_safe(stream.data(), content.data(), static_cast<int>(stream.size()),
                                       static_cast<int>(content.size()));
  if (size < 0 || static_cast<size_t>(size) != content.size()) {
    return CannotDecompress("lz4");
  }
  return content;
}

Result<Bytes> Decompress(uint8_t kind, std::string_view bytes) {
  switch (kind) {
    case kNone:
      return Bytes(bytes);
    case kSnappy: {
      size_t content_bytes = 0;
      if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &content_bytes) ||
          content_bytes > kBlockContentBytesMax) {
        return Status::DataLoss("a compressed block has no sensible length");
      }
      Bytes content(content_bytes, '\0');
      if (!snappy::RawUncompress(bytes.data(), bytes.size(), content.data())) {
        return CannotDecompress("snappy");
      }
      return content;
    }
    case kLz4:
    case kLz4Hc:
    case kZstd:
      return DecompressSized(kind, bytes);
    default:
      return Status::Unsupported("compression kind " + std::to_string(kind) +
                                 " of an SST block: only none, snappy, lz4 and zstd are read");
  }
}

}  // namespace

BlockHandle TakeBlockHandle(ByteReader* reader) {
  BlockHandle handle;
  handle.offset = reader->Varint();
  handle.bytes = reader->Varint();
  return handle;
}

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~uint32_t{0};
  while (bytes.size() >= 8) {
    const uint32_t low = Le32(bytes) ^ crc;
    const uint32_t high = Le32(bytes.substr(4));
    crc = kCrcTables[7][low & 0xff] ^ kCrcTables[6][(low >> 8) & 0xff] ^ kCrcTables[5][(low >> 16) & 0xff] ^
          kCrcTables[4][low >> 24] ^ kCrcTables[3][high & 0xff] ^ kCrcTables[2][(high >> 8) & 0xff] ^
          kCrcTables[1][(high >> 16) & 0xff] ^ kCrcTables[0][high >> 24];
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kCrcTables[0][(crc ^ static_cast<unsigned char>(c)) & 0xff];
  }
  return ~crc;
}

void SealBlock(Bytes* file, BlockHandle handle) {
  CHECK_LE(handle.offset + handle.bytes + kBlockTrailerBytes, file->size());
  const uint32_t crc = Crc32c(std::string_view(*file).substr(handle.offset, handle.bytes + 1));
  const uint32_t masked = ((crc >> 15) | (crc << 17)) + kCrcMaskDelta;
  for (size_t i = 0; i < 4; ++i) {
    (*file)[handle.offset + handle.bytes + 1 + i] = static_cast<char>((masked >> (8 * i)) & 0xff);
  }
}

Status VerifyBlock(std::string_view file, BlockHandle handle) {
  if (handle.offset > file.size() || handle.bytes > file.size() - handle.offset ||
      file.size() - handle.offset - handle.bytes < kBlockTrailerBytes) {
    return Status::DataLoss("the " + Describe(handle) + " would lie outside the file");
  }
  const uint32_t masked = Le32(file.substr(handle.offset + handle.bytes + 1));
  const uint32_t rotated = masked - kCrcMaskDelta;
  const uint32_t expected = (rotated >> 17) | (rotated << 15);
  const uint32_t computed = Crc32c(file.substr(handle.offset, handle.bytes + 1));
  if (computed != expected) {
    // RocksDB's words, two spaces included.
    return Status::DataLoss("block checksum mismatch: stored = " + std::to_string(expected) + ", computed = " +
                            std::to_string(computed) + ", type = 1  in " + Bytes(kSstFileWord) + " offset " +
                            std::to_string(handle.offset) + " size " + std::to_string(handle.bytes));
  }
  return Status::Ok();
}

Result<Bytes> ReadBlock(std::string_view file, BlockHandle handle) {
  RETURN_IF_ERROR(VerifyBlock(file, handle));
  const auto kind = static_cast<uint8_t>(file[handle.offset + handle.bytes]);
  return Decompress(kind, file.substr(handle.offset, handle.bytes));
}

Status VisitBlock(std::string_view content,
                  const std::function<Status(std::string_view key, std::string_view value)>& visit) {
  constexpr size_t kRestartBytes = 4;
  constexpr uint32_t kHashIndexBit = uint32_t{1} << 31;
  if (content.size() < kRestartBytes) {
    return Status::DataLoss("a block is too short for its restart points");
  }
  const uint32_t restarts = Le32(content.substr(content.size() - kRestartBytes));
  if ((restarts & kHashIndexBit) != 0) {
    return Status::Unsupported("an SST block has a hash index, which TiKV's tables do not have");
  }
  if (restarts > content.size() / kRestartBytes - 1) {
    return Status::DataLoss("a block is too short for its restart points");
  }
  ByteReader reader(content.substr(0, content.size() - (size_t{restarts} + 1) * kRestartBytes));
  Bytes key;
  while (!reader.empty()) {
    const uint64_t shared = reader.Varint();
    const uint64_t unshared = reader.Varint();
    const uint64_t value_bytes = reader.Varint();
    const std::string_view suffix = reader.Take(unshared);
    const std::string_view value = reader.Take(value_bytes);
    if (!reader.ok() || shared > key.size()) {
      return Status::DataLoss("an entry of a block is cut short");
    }
    key.resize(shared);
    key.append(suffix);
    RETURN_IF_ERROR(visit(key, value));
  }
  return Status::Ok();
}

}  // namespace kvjury::tikv::internal
