// Bytes that come or go in pieces, so that a file larger than memory can be read and written: ByteSource, ByteSink, and those of
// memory. Compressed ones are in compress_stream.h, a file that is read in file_source.h.
#pragma once

#include <cstddef>
#include <string_view>

#include "fakes/base/bytes.h"

namespace kvjury {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Puts 1 to `capacity` bytes at `out` and returns how many; 0 is the end, also when asked again. `capacity` is above 0.
  virtual Result<size_t> Read(char* out, size_t capacity) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Status Write(std::string_view bytes) = 0;
  /// Once, after the last Write: what was held back is written. A sink that is destroyed without it has written nothing of use.
  virtual Status Finish() = 0;
};

/// The bytes must outlive it.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : rest_(bytes) {}
  Result<size_t> Read(char* out, size_t capacity) override;

 private:
  std::string_view rest_;
};

class MemorySink : public ByteSink {
 public:
  explicit MemorySink(Bytes* out) : out_(out) {}
  Status Write(std::string_view bytes) override {
    out_->append(bytes);
    return Status::Ok();
  }
  Status Finish() override { return Status::Ok(); }

 private:
  Bytes* out_;
};

/// Collects small writes before it hands them on.
class BufferedSink : public ByteSink {
 public:
  explicit BufferedSink(ByteSink* to) : to_(to) {}
  Status Write(std::string_view bytes) override;
  Status Finish() override;

 private:
  static constexpr size_t kBufferBytes = 64 * 1024;
  ByteSink* to_;
  Bytes buffer_;
};

/// Everything up to the end. Errors: those of the source; kInvalidArgument for more than `bytes_max`.
Result<Bytes> ReadAll(ByteSource* source, size_t bytes_max);

/// Fills `count` bytes, or fewer at the end of the source. Errors: those of the source.
Result<size_t> ReadFully(ByteSource* source, char* out, size_t count);

}  // namespace kvjury
