// Any text as a JSON dump: an error or an image whose view can be built; an error or a load, of which a dump can be made that loads.
#include <cstddef>
#include <cstdint>

#include "fakes/base/compress_stream.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/load_json.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/write_dump.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  constexpr size_t kTextBytesMax = 1 << 20;
  const Result<JsonDump> dump = ReadDumpJson("input", {reinterpret_cast<const char*>(data), size}, kTextBytesMax);
  if (dump.ok() && dump->image.setting.has_value()) {
    CHECK(BuildView(dump->image).value().entries.size() >= 2);
  }
  MemorySource bytes({reinterpret_cast<const char*>(data), size});
  KeyValues pairs;
  KeyValuesTarget target(&pairs);
  if (LoadDumpJson("input", &bytes, &target).ok()) {
    Bytes again;
    MemorySink sink(&again);
    if (WriteDumpJson(pairs, {}, &sink).ok()) {
      MemorySource source(again);
      KeyValues second;
      KeyValuesTarget second_target(&second);
      CHECK(LoadDumpJson("again", &source, &second_target).ok());
    }
  }
  return 0;
}
