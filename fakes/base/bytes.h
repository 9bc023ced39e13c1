// Bytes: arbitrary bytes in a std::string, their text forms, and fixed-width integers in both byte orders.
//
// Keys and values are never text; `Printable` is for people and labels only and never parsed back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fakes/base/status.h"

namespace kvjury {

using Bytes = std::string;

/// Lower-case hex, two digits a byte.
std::string ToHex(std::string_view bytes);

/// Accepts both cases. Errors: kInvalidArgument with the offset of the first wrong digit, or for an odd length.
Result<Bytes> FromHex(std::string_view hex);

/// Printable ASCII as it is, every other byte (and the backslash) as \xNN. One way only.
std::string Printable(std::string_view bytes);

void AppendBe16(Bytes* out, uint16_t value);
void AppendBe32(Bytes* out, uint32_t value);
void AppendBe64(Bytes* out, uint64_t value);
void AppendLe64(Bytes* out, uint64_t value);
/// Unsigned LEB128, as protobuf's varint.
void AppendVarint(Bytes* out, uint64_t value);

/// Reads from the front of a byte sequence. Every read says whether there was enough; after the first short read all
/// further reads fail too and `ok()` is false, so that a decoder may test once at its end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] size_t remaining() const { return rest_.size(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

  uint8_t U8();
  uint16_t Be16();
  uint32_t Be32();
  uint64_t Be64();
  uint64_t Le64();
  uint64_t Varint();
  std::string_view Take(size_t count);

 private:
  bool ok_ = true;
  std::string_view rest_;
};

/// The smallest key greater than `key`: one zero byte appended.
inline Bytes NextKey(std::string_view key) {
  Bytes next(key);
  next.push_back('\0');
  return next;
}

/// The smallest key greater than every key that starts with `prefix`; empty (unbounded) when there is none.
Bytes PrefixEnd(std::string_view prefix);

/// True if [start, end) holds `key`; an empty `end` means no upper bound.
inline bool RangeContains(std::string_view start, std::string_view end, std::string_view key) {
  return key >= start && (end.empty() || key < end);
}

}  // namespace kvjury
