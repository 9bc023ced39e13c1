#include "harness/backup/test_backups.h"

#include "harness/juicefs/kv_text.h"

namespace kvjury::backup {

namespace {

std::unique_ptr<objects::ObjectStore> OpenFolder(const std::string& name) {
  Result<std::unique_ptr<objects::ObjectStore>> folder =
      objects::DirectoryObjectStore::Open(RecordedBackupFolder(name), objects::DirectoryObjectStore::Access::kReadOnly);
  CHECK(folder.ok()) << folder.status().ToString();
  return *std::move(folder);
}

}  // namespace

std::string RecordedBackupFolder(const std::string& name) {
  return std::string(KVJURY_SOURCE_DIR) + "/scenarios/backups/" + name;
}

std::unique_ptr<objects::MemoryObjectStore> LoadRecordedBackup(const std::string& name) {
  const std::unique_ptr<objects::ObjectStore> folder = OpenFolder(name);
  auto copy = std::make_unique<objects::MemoryObjectStore>();
  const std::vector<objects::ObjectInfo> files = folder->List("").value();
  for (const objects::ObjectInfo& info : files) {
    CHECK(copy->Put(info.name, folder->Get(info.name).value()).ok());
  }
  return copy;
}

Bytes ReadRecordedFile(const std::string& name, const std::string& file) { return OpenFolder(name)->Get(file).value(); }

juicefs::KeyValues RecordedTruth(const std::string& name) {
  return juicefs::ParseKvText(name + "/kv.txt.gz", ReadRecordedFile(name, "kv.txt.gz")).value();
}

PairsDiff DiffPairs(const juicefs::KeyValues& left, const juicefs::KeyValues& right) {
  PairsDiff diff;
  auto differ = [&diff](const Bytes& key) {
    if (diff.different++ == 0) {
      diff.first_key = key;
    }
  };
  for (const auto& [key, value] : left) {
    ++diff.compared;
    auto found = right.find(key);
    if (found == right.end() || found->second != value) {
      differ(key);
    }
  }
  for (const auto& [key, value] : right) {
    if (left.find(key) == left.end()) {
      ++diff.compared;
      differ(key);
    }
  }
  return diff;
}

}  // namespace kvjury::backup
