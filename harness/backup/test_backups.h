// Test support: the recorded real backups under scenarios/backups.
#pragma once

#include <memory>
#include <string>

#include "fakes/objects/object_store.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::backup {

std::string RecordedBackupFolder(const std::string& name);

/// The backup in memory, so that a test may change it.
std::unique_ptr<objects::MemoryObjectStore> LoadRecordedBackup(const std::string& name);

/// A file of the folder; a missing one is a CHECK failure.
Bytes ReadRecordedFile(const std::string& name, const std::string& file);

/// The truth that was read from the source at the backup's timestamp.
juicefs::KeyValues RecordedTruth(const std::string& name);

/// Differences of two sets of pairs in both directions, and how many keys were compared.
struct PairsDiff {
  uint64_t compared = 0;
  uint64_t different = 0;
  Bytes first_key;
};
PairsDiff DiffPairs(const juicefs::KeyValues& left, const juicefs::KeyValues& right);

}  // namespace kvjury::backup
