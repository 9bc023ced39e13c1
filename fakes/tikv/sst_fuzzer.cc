// Any bytes as an SST file: an error, or entries in strict order that can be written and read again. And as the inside of
// one block, where no checksum stands in the way of the fuzzer.
#include <cstddef>
#include <cstdint>

#include "fakes/tikv/sst_file.h"
#include "fakes/tikv/sst_table_blocks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;        // NOLINT: a fuzzer has no other names
  using namespace kvjury::tikv;  // NOLINT
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  size_t total = 0;
  const Status inside = tikv::internal::VisitBlock(bytes, [&total](std::string_view key, std::string_view value) {
    total += key.size() + value.size();
    constexpr size_t kTotalBytesMax = 1 << 20;  // shared prefixes let a small block stand for many bytes
    return total < kTotalBytesMax ? Status::Ok() : Status::Cancelled("enough");
  });
  CHECK(inside.ok() || !inside.message().empty());
  const Result<std::vector<SstEntry>> entries = ReadSst(bytes);
  if (entries.ok() && !entries->empty()) {
    const Bytes file = WriteSst(*entries, SstCodec::kMemory, SstCompression::kNone).value();
    CHECK(ReadSst(file).value() == *entries);
  }
  return 0;
}
