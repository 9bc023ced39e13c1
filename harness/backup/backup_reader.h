// Reads a br backup folder and verifies every promise that its files make, each as a named rule with a count.
//
// The account "from the backup files alone": all pairs visible at the backup's timestamp, both column families joined.
// A file is judged in the order exists, length, sha256, SST, contents; the first rule that it breaks ends it, since later
// ones would speak of bytes that are not the file's. Rules over a range's pair of files need both of them intact.
// What the files cannot prove: an empty region writes no file, so a gap between ranges is *unproven* and listed, not damage.
// Write records keep their overlapped-rollback flag and GC fence: a fence above the cut is a hazard (the restored pair is
// hidden from readers after it), one at or below the cut means that the pair was not visible.
// Encrypted backups are read with their key; lengths and digests are those of the encrypted files.
// Source: TiKV 8.5 backup endpoint, br of the 8.5 line.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/objects/object_store.h"
#include "harness/backup/backup_meta.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::backup {

/// The rules in the order in which they are checked.
enum class Rule : uint8_t {
  kMetaParses,
  kOneTimestamp,      // every file was read over the backup's own timestamps
  kRangesDisjoint,    // and no range has two files of one column family
  kFileExists,
  kFileLength,
  kFileSha256,
  kSstIntact,         // every block checksum, the order of the keys, the count of entries
  kRecordsDecode,     // keys and write records; one version a key; puts alone in a whole backup
  kKeysInRange,
  kCommitTimestamps,  // in (start version, end version], after the transaction's own start
  kContentSums,       // crc64xor, total_kvs, total_bytes
  kLongValues,        // each long put has its value, each value its put
};
inline constexpr size_t kRuleCount = 12;

/// "file-sha256" ...: also the `kind` of the rule's findings.
const char* RuleName(Rule rule);

struct RuleResult {
  /// The judge's check that it belongs to: FILE, MVCC or COVER.
  const char* check = "";
  /// What was counted: "files", "entries" ...
  const char* unit = "";
  uint64_t counted = 0;
  /// All findings are counted here; BackupContents keeps the first ones.
  uint64_t findings = 0;
};

/// One visible pair's version, for those who compare more than values.
struct VersionInfo {
  Timestamp start_ts;
  Timestamp commit_ts;
  bool has_overlapped_rollback = false;
  std::optional<Timestamp> gc_fence;
};

struct BackupContents {
  BackupMeta meta;
  Timestamp cut;  // the meta's end_version
  /// Every pair visible at the cut in the files that are intact; full keys of the cluster.
  std::map<Bytes, Bytes> pairs;
  std::map<Bytes, VersionInfo> versions;  // of the same keys
  std::array<RuleResult, kRuleCount> rules;  // by rule
  std::vector<record::Finding> findings;  // lost_at FILES
  /// Ranges that no file covers.
  std::vector<KeyRange> unproven;
  /// Things that are legal and hurt later, one sentence each.
  std::vector<std::string> hazards;
  Timestamp commit_ts_max;
  uint64_t files_read = 0;
  uint64_t bytes_read = 0;

  [[nodiscard]] bool intact() const { return findings.empty(); }
  [[nodiscard]] const RuleResult& ResultOf(Rule rule) const { return rules[static_cast<size_t>(rule)]; }
};

struct BackupReadOptions {
  size_t findings_max = 100;
  /// Of the meta and of every file.
  Cipher cipher;
};

/// Errors: kNotFound without a backupmeta; those of ParseBackupMeta; kEnvironment. Damage behind a readable backupmeta is a
/// finding, never an error.
Result<BackupContents> ReadBackup(objects::ObjectStore* store, const BackupReadOptions& options = {});

/// A key inside an SST file: 'z', memcomparable user key, inverted timestamp.
struct DataKey {
  Bytes user_key;
  Timestamp ts;
};
/// Errors: kDataLoss.
Result<DataKey> DecodeDataKey(std::string_view key);

}  // namespace kvjury::backup
