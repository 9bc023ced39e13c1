#include "harness/juicefs/written_bytes.h"

#include "fakes/base/digest.h"

namespace kvjury::juicefs {

uint64_t SeedOfWrite(std::string_view operation_label, uint64_t asked) { return asked != 0 ? asked : Hash64(operation_label); }

Bytes WrittenBytes(uint64_t seed, uint64_t begin, uint64_t length) {
  Bytes bytes(length, '\0');
  uint64_t word = 0;
  for (uint64_t i = 0; i < length; ++i) {
    const uint64_t at = begin + i;
    if (i == 0 || at % 8 == 0) {
      word = Mix64(seed, at / 8);
    }
    bytes[i] = static_cast<char>(word >> (8 * (at % 8)) & 0xFF);
  }
  return bytes;
}

}  // namespace kvjury::juicefs
