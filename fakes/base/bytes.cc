#include "fakes/base/bytes.h"

namespace kvjury {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  if (digit >= 'A' && digit <= 'F') {
    return digit - 'A' + 10;
  }
  return -1;
}

template <class T>
void AppendBe(Bytes* out, T value) {
  char bytes[sizeof(T)];
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes[i] = static_cast<char>((value >> (8 * (sizeof(T) - 1 - i))) & 0xFF);
  }
  out->append(bytes, sizeof(T));
}

}  // namespace

std::string ToHex(std::string_view bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    hex.push_back(kHexDigits[byte >> 4]);
    hex.push_back(kHexDigits[byte & 0xF]);
  }
  return hex;
}

Result<Bytes> FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) {
    return Status::InvalidArgument("odd number of hex digits (" + std::to_string(hex.size()) + ")");
  }
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = HexValue(hex[i]);
    const int low = HexValue(hex[i + 1]);
    if (high < 0 || low < 0) {
      return Status::InvalidArgument("not a hex digit at offset " + std::to_string(high < 0 ? i : i + 1));
    }
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

std::string Printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\') {
      text.push_back(c);
    } else {
      text += "\\x";
      text.push_back(kHexDigits[byte >> 4]);
      text.push_back(kHexDigits[byte & 0xF]);
    }
  }
  return text;
}

void AppendBe16(Bytes* out, uint16_t value) { AppendBe(out, value); }
void AppendBe32(Bytes* out, uint32_t value) { AppendBe(out, value); }
void AppendBe64(Bytes* out, uint64_t value) { AppendBe(out, value); }

void AppendLe64(Bytes* out, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) {
    out->push_back(static_cast<char>((value >> shift) & 0xFF));
  }
}

void AppendVarint(Bytes* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

std::string_view ByteReader::Take(size_t count) {
  if (!ok_ || rest_.size() < count) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

uint8_t ByteReader::U8() {
  std::string_view taken = Take(1);
  return taken.empty() ? uint8_t{0} : static_cast<uint8_t>(taken[0]);
}

uint16_t ByteReader::Be16() {
  uint16_t value = 0;
  for (char c : Take(2)) {
    value = static_cast<uint16_t>(value << 8 | static_cast<uint8_t>(c));
  }
  return value;
}

uint32_t ByteReader::Be32() {
  uint32_t value = 0;
  for (char c : Take(4)) {
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return value;
}

uint64_t ByteReader::Be64() {
  uint64_t value = 0;
  for (char c : Take(8)) {
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return value;
}

uint64_t ByteReader::Le64() {
  uint64_t value = 0;
  int shift = 0;
  for (char c : Take(8)) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(c)) << shift;
    shift += 8;
  }
  return value;
}

uint64_t ByteReader::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = U8();
    if (!ok_) {
      return 0;
    }
    if (shift == 63 && byte > 1) {
      break;  // more than 64 bits
    }
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) {
      return value;
    }
  }
  ok_ = false;
  return 0;
}

Bytes PrefixEnd(std::string_view prefix) {
  Bytes end(prefix);
  while (!end.empty()) {
    if (static_cast<uint8_t>(end.back()) != 0xFF) {
      end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return end;
}

}  // namespace kvjury
