// Any bytes as a backupmeta: a refusal in words, or a meta that survives being written and read.
#include <cstddef>
#include <cstdint>

#include "harness/backup/backup_meta.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;          // NOLINT: a fuzzer has no other names
  using namespace kvjury::backup;  // NOLINT
  const Result<BackupMeta> meta = ParseBackupMeta({reinterpret_cast<const char*>(data), size});
  if (!meta.ok()) {
    CHECK(!meta.error().message().empty());
    return 0;
  }
  const Result<BackupMeta> again = ParseBackupMeta(SerializeBackupMeta(*meta));
  CHECK(again.ok()) << again.status().ToString();
  CHECK_EQ(again->files_size(), meta->files_size());
  size_t grouped = 0;
  const std::vector<RangeFiles> ranges = GroupByRange(*meta);
  for (const RangeFiles& range : ranges) {
    grouped += range.files.size();
  }
  CHECK_EQ(grouped, static_cast<size_t>(meta->files_size()));
  return 0;
}
