// Any bytes as a backup folder (each object: two bytes of name length, four of content length, both big endian, then name
// and content): it opens or it does not, and every visible pair has its version.
#include <cstddef>
#include <cstdint>

#include "harness/backup/backup_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;          // NOLINT: a fuzzer has no other names
  using namespace kvjury::backup;  // NOLINT
  ByteReader reader({reinterpret_cast<const char*>(data), size});
  objects::MemoryObjectStore store;
  while (!reader.empty() && reader.ok()) {
    const uint16_t name_bytes = reader.Be16();
    const uint32_t content_bytes = reader.Be32();
    const std::string name(reader.Take(name_bytes));
    const std::string_view content = reader.Take(content_bytes);
    if (reader.ok() && objects::CheckObjectName(name).ok()) {
      CHECK(store.Put(name, content).ok());
    }
  }
  const Result<BackupContents> contents = ReadBackup(&store);
  if (contents.ok()) {
    CHECK_EQ(contents->pairs.size(), contents->versions.size());
    CHECK_LE(contents->pairs.size(), contents->ResultOf(Rule::kRecordsDecode).counted);
  }
  return 0;
}
