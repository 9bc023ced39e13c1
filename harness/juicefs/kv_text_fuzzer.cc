// Any bytes as key and value text, compressed or not: an error or pairs that come back from their own text.
#include <cstddef>
#include <cstdint>

#include "harness/juicefs/kv_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  constexpr size_t kTextBytesMax = 1 << 20;
  const Result<KeyValues> pairs = ParseKvText("input", {reinterpret_cast<const char*>(data), size}, kTextBytesMax);
  if (pairs.ok()) {
    CHECK(ParseKvText("again", FormatKvText(*pairs)).value() == *pairs);
    const VolumeSplit split = SplitVolumes(*pairs);
    CHECK_LE(split.volumes.size(), pairs->size());
  }
  return 0;
}
