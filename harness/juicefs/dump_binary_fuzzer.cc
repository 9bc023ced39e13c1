// Any bytes as a binary dump, compressed or not: an error, or records that all decode and can be dumped again or not.
#include <cstddef>
#include <cstdint>

#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/image.h"
#include "harness/juicefs/write_dump.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  constexpr size_t kBytesMax = 1 << 20;
  const Result<KeyValues> pairs = ReadDumpBinary("input", {reinterpret_cast<const char*>(data), size}, kBytesMax);
  if (pairs.ok()) {
    CHECK(BuildImage(*pairs).problems.empty());
    Bytes out;
    MemorySink sink(&out);
    const bool json = WriteDumpJson(*pairs, {.form = DumpForm::kFast}, &sink).ok();
    out.clear();
    const bool binary = WriteDumpBinary(*pairs, {}, &sink).ok();
    CHECK(!binary || ReadDumpBinary("again", out).ok());
    static_cast<void>(json);
  }
  return 0;
}
