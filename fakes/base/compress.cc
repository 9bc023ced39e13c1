#include "fakes/base/compress.h"

#include <zlib.h>
#include <zstd.h>

#include "fakes/base/compress_stream.h"

namespace kvjury {

namespace {

constexpr size_t kInputStepBytes = size_t{1} << 30;  // zlib counts its input in 32 bits
constexpr int kGzipWindow = 15 + 16;                 // largest window, gzip framing

Result<Bytes> Decompress(Compression form, std::string_view bytes, size_t output_bytes_max) {
  MemorySource compressed(bytes);
  return ReadAll(MakeDecompressor(form, &compressed).get(), output_bytes_max);
}

}  // namespace

Compression DetectCompression(std::string_view bytes) {
  if (bytes.substr(0, 2) == "\x1f\x8b") {
    return Compression::kGzip;
  }
  if (bytes.substr(0, 4) == "\x28\xb5\x2f\xfd") {
    return Compression::kZstd;
  }
  if (bytes.substr(0, 6) == std::string_view("\xfd\x37\x7a\x58\x5a\x00", 6)) {
    return Compression::kXz;
  }
  return Compression::kNone;
}

Result<Bytes> GzipDecompress(std::string_view bytes, size_t output_bytes_max) {
  return Decompress(Compression::kGzip, bytes, output_bytes_max);
}

Result<Bytes> ZstdDecompress(std::string_view bytes, size_t output_bytes_max) {
  return Decompress(Compression::kZstd, bytes, output_bytes_max);
}

Result<Bytes> XzDecompress(std::string_view bytes, size_t output_bytes_max) {
  return Decompress(Compression::kXz, bytes, output_bytes_max);
}

Result<Bytes> DecompressByMagic(std::string_view bytes, size_t output_bytes_max) {
  return Decompress(DetectCompression(bytes), bytes, output_bytes_max);
}

Bytes GzipCompress(std::string_view bytes) {
  CHECK_LE(bytes.size(), kInputStepBytes);
  z_stream stream{};
  constexpr int kMemoryLevel = 8;
  CHECK_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes output(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  output.resize(output.size() - stream.avail_out);
  CHECK_EQ(deflateEnd(&stream), Z_OK);
  return output;
}

Bytes ZstdCompress(std::string_view bytes) {
  constexpr int kLevel = 3;
  Bytes output(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compress(output.data(), output.size(), bytes.data(), bytes.size(), kLevel);
  CHECK_EQ(ZSTD_isError(size), 0u) << ZSTD_getErrorName(size);
  output.resize(size);
  return output;
}

}  // namespace kvjury
