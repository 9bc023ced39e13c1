#include "fakes/base/compress.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace kvjury {

namespace {

constexpr size_t kBufferBytes = 64 * 1024;
constexpr size_t kInputStepBytes = size_t{1} << 30;  // zlib counts its input in 32 bits
constexpr int kGzipWindow = 15 + 16;                 // largest window, gzip framing
constexpr uint64_t kXzMemoryMax = uint64_t{1} << 30;  // what a preset of the xz tool asks for stays far below

Status TooLarge(size_t output_bytes_max) {
  return Status::InvalidArgument("decompressed size is over the limit of " + std::to_string(output_bytes_max) + " bytes");
}

/// Ends the stream whatever way the function is left.
class InflateStream {
 public:
  InflateStream() { CHECK_EQ(inflateInit2(&stream_, kGzipWindow), Z_OK); }
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;
  ~InflateStream() { inflateEnd(&stream_); }
  z_stream* get() { return &stream_; }

 private:
  z_stream stream_{};
};

/// Ends the stream whatever way the function is left.
class XzStream {
 public:
  XzStream() { CHECK(lzma_stream_decoder(&stream_, kXzMemoryMax, LZMA_CONCATENATED) == LZMA_OK); }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;
  ~XzStream() { lzma_end(&stream_); }
  lzma_stream* get() { return &stream_; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

struct ZstdContextDeleter {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

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
  InflateStream inflate_stream;
  z_stream* stream = inflate_stream.get();
  Bytes output;
  std::string buffer(kBufferBytes, '\0');
  bool member_ended = false;
  while (!bytes.empty() || stream->avail_in != 0 || !member_ended) {
    if (stream->avail_in == 0 && !bytes.empty()) {
      const size_t step = std::min(bytes.size(), kInputStepBytes);
      stream->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream->avail_in = static_cast<uInt>(step);
      bytes.remove_prefix(step);
    }
    if (member_ended) {
      CHECK_EQ(inflateReset(stream), Z_OK);
      member_ended = false;
    }
    stream->next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream->avail_out = static_cast<uInt>(buffer.size());
    const int code = inflate(stream, Z_NO_FLUSH);
    const size_t written = buffer.size() - stream->avail_out;
    if (code == Z_BUF_ERROR || (code == Z_OK && written == 0 && stream->avail_in == 0 && bytes.empty())) {
      return Status::DataLoss("gzip stream is truncated");
    }
    if (code != Z_OK && code != Z_STREAM_END) {
      return Status::DataLoss(std::string("gzip stream is damaged: ") + (stream->msg != nullptr ? stream->msg : "?"));
    }
    if (written > output_bytes_max - output.size()) {
      return TooLarge(output_bytes_max);
    }
    output.append(buffer, 0, written);
    member_ended = code == Z_STREAM_END;
  }
  return output;
}

Result<Bytes> ZstdDecompress(std::string_view bytes, size_t output_bytes_max) {
  const std::unique_ptr<ZSTD_DCtx, ZstdContextDeleter> context(ZSTD_createDCtx());
  CHECK(context != nullptr);
  Bytes output;
  std::string buffer(kBufferBytes, '\0');
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  size_t hint = 1;  // 0: a frame just ended
  bool buffer_full = false;
  while (input.pos < input.size || buffer_full) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    hint = ZSTD_decompressStream(context.get(), &out, &input);
    if (ZSTD_isError(hint) != 0) {
      return Status::DataLoss(std::string("zstd stream is damaged: ") + ZSTD_getErrorName(hint));
    }
    if (out.pos > output_bytes_max - output.size()) {
      return TooLarge(output_bytes_max);
    }
    output.append(buffer, 0, out.pos);
    buffer_full = out.pos == out.size && hint != 0;
  }
  if (hint != 0) {
    return Status::DataLoss("zstd stream is truncated");
  }
  return output;
}

Result<Bytes> XzDecompress(std::string_view bytes, size_t output_bytes_max) {
  XzStream xz_stream;
  lzma_stream* stream = xz_stream.get();
  stream->next_in = reinterpret_cast<const uint8_t*>(bytes.data());
  stream->avail_in = bytes.size();
  Bytes output;
  std::string buffer(kBufferBytes, '\0');
  lzma_ret code = LZMA_OK;
  while (code == LZMA_OK) {
    stream->next_out = reinterpret_cast<uint8_t*>(buffer.data());
    stream->avail_out = buffer.size();
    code = lzma_code(stream, LZMA_FINISH);
    const size_t written = buffer.size() - stream->avail_out;
    if (written > output_bytes_max - output.size()) {
      return TooLarge(output_bytes_max);
    }
    output.append(buffer, 0, written);
  }
  if (code == LZMA_BUF_ERROR) {
    return Status::DataLoss("xz stream is truncated");
  }
  if (code != LZMA_STREAM_END) {
    return Status::DataLoss("xz stream is damaged (liblzma's code " + std::to_string(code) + ")");
  }
  return output;
}

Result<Bytes> DecompressByMagic(std::string_view bytes, size_t output_bytes_max) {
  switch (DetectCompression(bytes)) {
    case Compression::kGzip:
      return GzipDecompress(bytes, output_bytes_max);
    case Compression::kZstd:
      return ZstdDecompress(bytes, output_bytes_max);
    case Compression::kXz:
      return XzDecompress(bytes, output_bytes_max);
    case Compression::kNone:
      break;
  }
  if (bytes.size() > output_bytes_max) {
    return TooLarge(output_bytes_max);
  }
  return Bytes(bytes);
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
