#include "fakes/base/compress_stream.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

namespace kvjury {

namespace {

constexpr size_t kBufferBytes = 64 * 1024;
constexpr int kGzipWindow = 15 + 16;                  // largest window, gzip framing
constexpr uint64_t kXzMemoryMax = uint64_t{1} << 30;  // what a preset of the xz tool asks for stays far below
constexpr size_t kOutputStepBytes = size_t{1} << 30;  // zlib counts its output in 32 bits

/// The compressed bytes that a decoder has not used yet.
class Input {
 public:
  explicit Input(ByteSource* from) : from_(from), buffer_(kBufferBytes, '\0') {}

  /// Reads on if everything is used; afterwards either `left()` or `ended()` holds.
  Status Refill() {
    if (!left().empty() || ended_) {
      return Status::Ok();
    }
    ASSIGN_OR_RETURN(size_, from_->Read(buffer_.data(), buffer_.size()));
    at_ = 0;
    ended_ = size_ == 0;
    return Status::Ok();
  }
  [[nodiscard]] std::string_view left() const { return std::string_view(buffer_).substr(at_, size_ - at_); }
  [[nodiscard]] bool ended() const { return ended_; }
  void LeaveOnly(size_t count) { at_ = size_ - count; }

 private:
  ByteSource* from_;
  Bytes buffer_;
  size_t at_ = 0;
  size_t size_ = 0;
  bool ended_ = false;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(ByteSource* from) : input_(from) { CHECK_EQ(inflateInit2(&stream_, kGzipWindow), Z_OK); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  ~GzipSource() override { inflateEnd(&stream_); }

  Result<size_t> Read(char* out, size_t capacity) override {
    while (true) {
      RETURN_IF_ERROR(input_.Refill());
      if (member_ended_) {
        if (input_.ended()) {
          return size_t{0};
        }
        CHECK_EQ(inflateReset(&stream_), Z_OK);
        member_ended_ = false;
      }
      const std::string_view left = input_.left();
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(left.data()));
      stream_.avail_in = static_cast<uInt>(left.size());
      stream_.next_out = reinterpret_cast<Bytef*>(out);
      const size_t step = std::min(capacity, kOutputStepBytes);
      stream_.avail_out = static_cast<uInt>(step);
      const int code = inflate(&stream_, Z_NO_FLUSH);
      input_.LeaveOnly(stream_.avail_in);
      const size_t written = step - stream_.avail_out;
      if (code == Z_BUF_ERROR && input_.ended()) {
        return Status::DataLoss("gzip stream is truncated");
      }
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return Status::DataLoss(std::string("gzip stream is damaged: ") + (stream_.msg != nullptr ? stream_.msg : "?"));
      }
      member_ended_ = code == Z_STREAM_END;
      if (written > 0) {
        return written;
      }
    }
  }

 private:
  Input input_;
  z_stream stream_{};
  bool member_ended_ = false;
};

struct ZstdDecoderDeleter {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(ByteSource* from) : input_(from), context_(ZSTD_createDCtx()) { CHECK(context_ != nullptr); }

  Result<size_t> Read(char* out, size_t capacity) override {
    while (true) {
      RETURN_IF_ERROR(input_.Refill());
      if (input_.ended() && !more_output_) {
        if (hint_ != 0) {
          return Status::DataLoss("zstd stream is truncated");
        }
        return size_t{0};
      }
      const std::string_view left = input_.left();
      ZSTD_inBuffer in{left.data(), left.size(), 0};
      ZSTD_outBuffer decoded{out, capacity, 0};
      hint_ = ZSTD_decompressStream(context_.get(), &decoded, &in);
      input_.LeaveOnly(left.size() - in.pos);
      if (ZSTD_isError(hint_) != 0) {
        return Status::DataLoss(std::string("zstd stream is damaged: ") + ZSTD_getErrorName(hint_));
      }
      more_output_ = decoded.pos == decoded.size && hint_ != 0;
      if (decoded.pos > 0) {
        return decoded.pos;
      }
    }
  }

 private:
  Input input_;
  std::unique_ptr<ZSTD_DCtx, ZstdDecoderDeleter> context_;
  size_t hint_ = 1;  // 0: a frame just ended
  bool more_output_ = false;
};

class XzSource : public ByteSource {
 public:
  explicit XzSource(ByteSource* from) : input_(from) {
    CHECK(lzma_stream_decoder(&stream_, kXzMemoryMax, LZMA_CONCATENATED) == LZMA_OK);
  }
  XzSource(const XzSource&) = delete;
  XzSource& operator=(const XzSource&) = delete;
  ~XzSource() override { lzma_end(&stream_); }

  Result<size_t> Read(char* out, size_t capacity) override {
    while (!ended_) {
      RETURN_IF_ERROR(input_.Refill());
      const std::string_view left = input_.left();
      stream_.next_in = reinterpret_cast<const uint8_t*>(left.data());
      stream_.avail_in = left.size();
      stream_.next_out = reinterpret_cast<uint8_t*>(out);
      stream_.avail_out = capacity;
      const lzma_ret code = lzma_code(&stream_, input_.ended() ? LZMA_FINISH : LZMA_RUN);
      input_.LeaveOnly(stream_.avail_in);
      if (code == LZMA_BUF_ERROR && input_.ended()) {
        return Status::DataLoss("xz stream is truncated");
      }
      if (code != LZMA_OK && code != LZMA_STREAM_END && code != LZMA_BUF_ERROR) {
        return Status::DataLoss("xz stream is damaged (liblzma's code " + std::to_string(code) + ")");
      }
      ended_ = code == LZMA_STREAM_END;
      if (const size_t written = capacity - stream_.avail_out; written > 0) {
        return written;
      }
    }
    return size_t{0};
  }

 private:
  Input input_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ended_ = false;
};

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(ByteSource* from) : from_(from) {}
  Result<size_t> Read(char* out, size_t capacity) override { return from_->Read(out, capacity); }

 private:
  ByteSource* from_;
};

/// Gives the bytes that were looked at before the others, and keeps the decoder that reads from it.
class PeekedSource : public ByteSource {
 public:
  explicit PeekedSource(ByteSource* from) : from_(from) {}

  Status Open() {
    std::array<char, 6> first{};
    ASSIGN_OR_RETURN(const size_t count, ReadFully(from_, first.data(), first.size()));
    first_ = Bytes(first.data(), count);
    decoder_ = MakeDecompressor(DetectCompression(first_), &raw_);
    return Status::Ok();
  }

  Result<size_t> Read(char* out, size_t capacity) override { return decoder_->Read(out, capacity); }

 private:
  class Raw : public ByteSource {
   public:
    explicit Raw(PeekedSource* owner) : owner_(owner) {}
    Result<size_t> Read(char* out, size_t capacity) override {
      Bytes& first = owner_->first_;
      if (first.empty()) {
        return owner_->from_->Read(out, capacity);
      }
      const size_t count = first.copy(out, capacity);
      first.erase(0, count);
      return count;
    }

   private:
    PeekedSource* owner_;
  };

  ByteSource* from_;
  Bytes first_;
  Raw raw_{this};
  std::unique_ptr<ByteSource> decoder_;
};

class GzipSink : public ByteSink {
 public:
  explicit GzipSink(ByteSink* to) : to_(to), buffer_(kBufferBytes, '\0') {
    constexpr int kMemoryLevel = 8;
    CHECK_EQ(deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY), Z_OK);
  }
  GzipSink(const GzipSink&) = delete;
  GzipSink& operator=(const GzipSink&) = delete;
  ~GzipSink() override { deflateEnd(&stream_); }

  Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::string_view step = bytes.substr(0, kOutputStepBytes);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(step.data()));
      stream_.avail_in = static_cast<uInt>(step.size());
      RETURN_IF_ERROR(Deflate(Z_NO_FLUSH));
      bytes.remove_prefix(step.size());
    }
    return Status::Ok();
  }

  Status Finish() override {
    RETURN_IF_ERROR(Deflate(Z_FINISH));
    return to_->Finish();
  }

 private:
  Status Deflate(int flush) {
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      const int code = deflate(&stream_, flush);
      CHECK(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) << code;
      RETURN_IF_ERROR(to_->Write(std::string_view(buffer_).substr(0, buffer_.size() - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return Status::Ok();
  }

  ByteSink* to_;
  Bytes buffer_;
  z_stream stream_{};
};

struct ZstdEncoderDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class ZstdSink : public ByteSink {
 public:
  explicit ZstdSink(ByteSink* to) : to_(to), buffer_(kBufferBytes, '\0'), context_(ZSTD_createCCtx()) { CHECK(context_ != nullptr); }

  Status Write(std::string_view bytes) override { return Compress(bytes, ZSTD_e_continue); }
  Status Finish() override {
    RETURN_IF_ERROR(Compress("", ZSTD_e_end));
    return to_->Finish();
  }

 private:
  Status Compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    size_t left = 0;
    do {
      ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
      left = ZSTD_compressStream2(context_.get(), &out, &in, directive);
      CHECK_EQ(ZSTD_isError(left), 0u) << ZSTD_getErrorName(left);
      RETURN_IF_ERROR(to_->Write(std::string_view(buffer_).substr(0, out.pos)));
    } while (in.pos < in.size || (directive == ZSTD_e_end && left != 0));
    return Status::Ok();
  }

  ByteSink* to_;
  Bytes buffer_;
  std::unique_ptr<ZSTD_CCtx, ZstdEncoderDeleter> context_;
};

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::unique_ptr<ByteSource> MakeDecompressor(Compression form, ByteSource* from) {
  switch (form) {
    case Compression::kGzip:
      return std::make_unique<GzipSource>(from);
    case Compression::kZstd:
      return std::make_unique<ZstdSource>(from);
    case Compression::kXz:
      return std::make_unique<XzSource>(from);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainSource>(from);
}

Result<std::unique_ptr<ByteSource>> OpenDecompressed(ByteSource* from) {
  auto source = std::make_unique<PeekedSource>(from);
  RETURN_IF_ERROR(source->Open());
  return std::unique_ptr<ByteSource>(std::move(source));
}

std::unique_ptr<ByteSink> MakeCompressor(Compression form, ByteSink* to) {
  CHECK(form != Compression::kXz) << "xz is only read";
  if (form == Compression::kGzip) {
    return std::make_unique<GzipSink>(to);
  }
  if (form == Compression::kZstd) {
    return std::make_unique<ZstdSink>(to);
  }
  return std::make_unique<BufferedSink>(to);
}

Compression CompressionOfName(std::string_view file_name) {
  if (EndsWith(file_name, ".gz")) {
    return Compression::kGzip;
  }
  return EndsWith(file_name, ".zst") || EndsWith(file_name, ".zstd") ? Compression::kZstd : Compression::kNone;
}

}  // namespace kvjury
