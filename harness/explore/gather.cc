#include "harness/explore/gather.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"
#include "harness/judge/finding.h"

namespace kvjury::explore {

namespace {

void AddRecordFinding(judge::TargetRecords* records, const std::string& kind, const std::string& text, const Bytes& key,
                      Timestamp ts) {
  record::Finding finding;
  finding.set_check("MVCC");
  finding.set_kind(kind);
  finding.set_message(judge::KeyText(key) + ": " + text);
  finding.set_key(key);
  finding.set_key_text(judge::KeyText(key));
  finding.set_actual_ts(ts.value());
  records->findings.push_back(std::move(finding));
}

void CheckWriteRecords(const tikv::Snapshot& snapshot, judge::TargetRecords* records) {
  const tikv::MvccReader reader(snapshot);
  for (tikv::Iterator at = snapshot.Scan(tikv::ColumnFamily::kWrite, {}, {}); at.Valid(); at.Next()) {
    ++records->records_checked;
    const Result<VersionedKey> versioned = DecodeVersionedKey(at.key());
    const Result<WriteRecord> write = WriteRecord::Decode(at.value());
    if (!versioned.ok() || !write.ok()) {
      AddRecordFinding(records, "undecodable-record", "a write record cannot be decoded", at.key(), Timestamp());
      continue;
    }
    Timestamp& newest = records->newest_commit_ts[versioned->key];
    newest = std::max(newest, versioned->ts);
    const bool rollback = write->type == WriteType::kRollback;
    if (!rollback && (!write->start_ts.valid() || write->start_ts >= versioned->ts)) {
      AddRecordFinding(records, "commit-not-after-start", "committed at " + std::to_string(versioned->ts.value()) +
                       ", started at " + std::to_string(write->start_ts.value()), versioned->key, versioned->ts);
    }
    if (write->type == WriteType::kPut && !write->short_value.has_value()) {
      Bytes value_key(tikv::KeyOfVersion(at.key()));
      AppendInvertedTimestamp(&value_key, write->start_ts);
      if (snapshot.Get(tikv::ColumnFamily::kDefault, value_key) == nullptr) {
        AddRecordFinding(records, "value-missing", "the commit has no value in the default column family", versioned->key,
                         versioned->ts);
      }
    }
  }
}

// Each value must belong to a commit; one that belongs to a lock is on its way.
void CheckDefaultRecords(const tikv::Snapshot& snapshot, judge::TargetRecords* records) {
  const tikv::MvccReader reader(snapshot);
  for (tikv::Iterator at = snapshot.Scan(tikv::ColumnFamily::kDefault, {}, {}); at.Valid(); at.Next()) {
    ++records->records_checked;
    const Result<VersionedKey> versioned = DecodeVersionedKey(at.key());
    if (!versioned.ok()) {
      AddRecordFinding(records, "undecodable-record", "a key of the default column family cannot be decoded", at.key(),
                       Timestamp());
      continue;
    }
    const std::string_view key = tikv::KeyOfVersion(at.key());
    if (reader.FindCommitRecord(key, versioned->ts).is_commit()) {
      continue;
    }
    const std::optional<LockRecord> lock = reader.LoadLock(key);
    if (!lock.has_value() || lock->start_ts != versioned->ts) {
      AddRecordFinding(records, "commit-missing", "the value written at " + std::to_string(versioned->ts.value()) +
                       " has no commit", versioned->key, versioned->ts);
    }
  }
}

}  // namespace

judge::Pairs ReadTruth(tikv::Cluster* cluster, Timestamp ts) {
  judge::Pairs truth;
  for (tikv::UserVersion& version : tikv::ReadRangeAt(cluster->engine().Latest().IncludingCollected(), {}, {}, ts, 0)) {
    truth.emplace_hint(truth.end(), std::move(version.key),
                       judge::Version{std::move(version.value), version.start_ts, version.commit_ts});
  }
  return truth;
}

std::vector<judge::KeyChange> ReadChanges(tikv::Cluster* cluster, Timestamp from, Timestamp to) {
  std::vector<judge::KeyChange> changes;
  const tikv::Snapshot snapshot = cluster->engine().Latest().IncludingCollected();
  const tikv::MvccReader reader(snapshot);
  for (tikv::Iterator at = snapshot.Scan(tikv::ColumnFamily::kWrite, {}, {}); at.Valid(); at.Next()) {
    const Result<VersionedKey> versioned = DecodeVersionedKey(at.key());
    const Result<WriteRecord> write = WriteRecord::Decode(at.value());
    CHECK(versioned.ok() && write.ok()) << ToHex(at.key());
    const bool changes_key = write->type == WriteType::kPut || write->type == WriteType::kDelete;
    if (!changes_key || versioned->ts <= from || versioned->ts > to) {
      continue;
    }
    judge::KeyChange change{versioned->key, std::nullopt, versioned->ts};
    if (write->type == WriteType::kPut) {
      std::optional<Bytes> value = reader.LoadValue(tikv::KeyOfVersion(at.key()), *write);
      CHECK(value.has_value()) << ToHex(at.key());
      change.version = judge::Version{*std::move(value), write->start_ts, versioned->ts};
    }
    changes.push_back(std::move(change));
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const judge::KeyChange& a, const judge::KeyChange& b) { return a.commit_ts < b.commit_ts; });
  return changes;
}

judge::TargetRecords ReadRecords(tikv::Cluster* cluster) {
  judge::TargetRecords records;
  const tikv::Snapshot snapshot = cluster->engine().Latest();
  CheckWriteRecords(snapshot, &records);
  CheckDefaultRecords(snapshot, &records);
  for (const auto& [start, region] : cluster->regions().by_start()) {
    ++records.boundaries_checked;
    if (!DecodeBoundary(start).ok()) {
      records.undecodable_boundaries.push_back(start);
    }
  }
  return records;
}

judge::FileEvidence FilesOf(backup::BackupContents contents) {
  judge::FileEvidence files;
  files.end_version = contents.cut;
  for (const backup::File& file : contents.meta.files()) {
    files.files.push_back({file.name(), file.cf(), file.start_key(), file.end_key(), Timestamp(file.start_version()),
                           Timestamp(file.end_version())});
  }
  for (auto& [key, value] : contents.pairs) {
    const backup::VersionInfo& version = contents.versions.at(key);
    files.pairs.emplace_hint(files.pairs.end(), key, judge::Version{std::move(value), version.start_ts, version.commit_ts});
  }
  files.findings = std::move(contents.findings);
  return files;
}

sim::Task<TargetReading> ReadTarget(client::Store* store, Timestamp ts, std::vector<Bytes> bounds, sim::Label label) {
  TargetReading reading;
  std::unique_ptr<client::Transaction> snapshot = store->BeginAt(ts, label);
  bounds.insert(bounds.begin(), Bytes());
  for (size_t i = 0; i < bounds.size(); ++i) {
    const Bytes end = i + 1 < bounds.size() ? bounds[i + 1] : Bytes();
    auto scan = snapshot->Scan(bounds[i], end, 0);
    Result<std::vector<client::Pair>> pairs = co_await std::move(scan);
    if (!pairs.ok()) {
      reading.unreadable.push_back("[" + judge::KeyText(bounds[i]) + ", " +
                                   (end.empty() ? std::string("unbounded") : judge::KeyText(end)) +
                                   ") cannot be read: " + pairs.status().message());
      continue;
    }
    for (client::Pair& pair : *pairs) {
      reading.pairs[std::move(pair.first)] = judge::Version{std::move(pair.second), Timestamp(), Timestamp()};
    }
  }
  co_return reading;
}

}  // namespace kvjury::explore
