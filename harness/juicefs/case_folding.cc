#include "harness/juicefs/case_folding.h"

#include <cstdint>

namespace kvjury::juicefs {

namespace {

constexpr uint8_t kTwoByteMask = 0xE0;
constexpr uint8_t kTwoByteLead = 0xC0;
constexpr uint8_t kContinuationMask = 0xC0;
constexpr uint8_t kContinuation = 0x80;

bool IsBetween(uint32_t letter, uint32_t first, uint32_t last) { return letter >= first && letter <= last; }

/// Of letters that UTF-8 writes in two bytes.
uint32_t LowerOf(uint32_t letter) {
  const bool multiplication_sign = letter == 0xD7;
  const bool latin = IsBetween(letter, 0xC0, 0xDE) && !multiplication_sign;
  const bool greek = IsBetween(letter, 0x391, 0x3AB) && letter != 0x3A2;
  const bool cyrillic = IsBetween(letter, 0x410, 0x42F);
  if (latin || greek || cyrillic) {
    return letter + 0x20;
  }
  if (letter == 0x3C2) {
    return 0x3C3;  // the sigma at the end of a word
  }
  return IsBetween(letter, 0x400, 0x40F) ? letter + 0x50 : letter;
}

}  // namespace

Bytes FoldCase(std::string_view name) {
  Bytes folded;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<uint8_t>(name[i]);
    const uint8_t next = i + 1 < name.size() ? static_cast<uint8_t>(name[i + 1]) : 0;
    if ((byte & kTwoByteMask) == kTwoByteLead && (next & kContinuationMask) == kContinuation) {
      const uint32_t letter = LowerOf((byte & 0x1FU) << 6 | (next & 0x3FU));
      folded.push_back(static_cast<char>(kTwoByteLead | letter >> 6));
      folded.push_back(static_cast<char>(kContinuation | (letter & 0x3F)));
      ++i;
    } else {
      folded.push_back(static_cast<char>(IsBetween(byte, 'A', 'Z') ? byte + ('a' - 'A') : byte));
    }
  }
  return folded;
}

}  // namespace kvjury::juicefs
