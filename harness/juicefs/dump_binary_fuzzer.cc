// Any bytes as a binary dump, compressed or not: an error, or records that all decode.
#include <cstddef>
#include <cstdint>

#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  constexpr size_t kBytesMax = 1 << 20;
  const Result<KeyValues> pairs = ReadDumpBinary("input", {reinterpret_cast<const char*>(data), size}, kBytesMax);
  if (pairs.ok()) {
    CHECK(BuildImage(*pairs).problems.empty());
  }
  return 0;
}
