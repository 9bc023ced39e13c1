#include "fakes/base/byte_stream.h"

#include <algorithm>
#include <cstring>

namespace kvjury {

Result<size_t> MemorySource::Read(char* out, size_t capacity) {
  const size_t count = std::min(capacity, rest_.size());
  if (count > 0) {
    std::memcpy(out, rest_.data(), count);
  }
  rest_.remove_prefix(count);
  return count;
}

Status BufferedSink::Write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) {
    RETURN_IF_ERROR(to_->Write(buffer_));
    buffer_.clear();
  }
  if (bytes.size() > kBufferBytes) {
    return to_->Write(bytes);
  }
  buffer_.append(bytes);
  return Status::Ok();
}

Status BufferedSink::Finish() {
  RETURN_IF_ERROR(to_->Write(buffer_));
  buffer_.clear();
  return to_->Finish();
}

Result<Bytes> ReadAll(ByteSource* source, size_t bytes_max) {
  constexpr size_t kStepBytes = 64 * 1024;
  Bytes all;
  Bytes buffer(kStepBytes, '\0');
  while (true) {
    ASSIGN_OR_RETURN(const size_t count, source->Read(buffer.data(), buffer.size()));
    if (count == 0) {
      return all;
    }
    if (count > bytes_max - all.size()) {
      return Status::InvalidArgument("decompressed size is over the limit of " + std::to_string(bytes_max) + " bytes");
    }
    all.append(buffer, 0, count);
  }
}

Result<size_t> ReadFully(ByteSource* source, char* out, size_t count) {
  size_t filled = 0;
  while (filled < count) {
    ASSIGN_OR_RETURN(const size_t step, source->Read(out + filled, count - filled));
    if (step == 0) {
      break;
    }
    filled += step;
  }
  return filled;
}

}  // namespace kvjury
