// Any text as a JSON dump: an error or an image whose view can be built.
#include <cstddef>
#include <cstdint>

#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  constexpr size_t kTextBytesMax = 1 << 20;
  const Result<JsonDump> dump = ReadDumpJson("input", {reinterpret_cast<const char*>(data), size}, kTextBytesMax);
  if (dump.ok() && dump->image.setting.has_value()) {
    CHECK(BuildView(dump->image).value().entries.size() >= 2);
  }
  return 0;
}
