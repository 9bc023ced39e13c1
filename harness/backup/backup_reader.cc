#include "harness/backup/backup_reader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "fakes/base/digest.h"
#include "fakes/base/memcomparable.h"
#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/sst_file.h"

namespace kvjury::backup {

namespace {

constexpr size_t kHazardsMax = 20;

struct RuleInfo {
  Rule rule;
  const char* name;
  const char* check;
  const char* unit;
};
constexpr RuleInfo kRuleInfos[] = {
    {Rule::kMetaParses, "meta-parses", "FILE", "messages"},
    {Rule::kOneTimestamp, "one-timestamp", "COVER", "files"},
    {Rule::kRangesDisjoint, "ranges-disjoint", "COVER", "ranges"},
    {Rule::kFileExists, "file-exists", "FILE", "files"},
    {Rule::kFileLength, "file-length", "FILE", "files"},
    {Rule::kFileSha256, "file-sha256", "FILE", "files"},
    {Rule::kSstIntact, "sst-intact", "FILE", "files"},
    {Rule::kRecordsDecode, "records-decode", "MVCC", "entries"},
    {Rule::kKeysInRange, "keys-in-range", "MVCC", "entries"},
    {Rule::kCommitTimestamps, "commit-timestamps", "MVCC", "entries"},
    {Rule::kContentSums, "content-sums", "FILE", "files"},
    {Rule::kLongValues, "long-values", "MVCC", "entries"},
};
static_assert(std::size(kRuleInfos) == kRuleCount);

struct DecodedWrite {
  Bytes user_key;
  Timestamp commit_ts;
  WriteRecord record;
};

/// What one range's files hold.
struct RangeContent {
  std::map<std::pair<Bytes, Timestamp>, Bytes> long_values;  // by user key and start_ts
  std::vector<DecodedWrite> writes;
  bool intact = true;
};

class Reader {
 public:
  Reader(objects::ObjectStore* store, const BackupReadOptions& options) : store_(store), options_(options) {}

  Result<BackupContents> Read() {
    Result<Bytes> bytes = store_->Get(kBackupMetaName);
    if (!bytes.ok()) {
      const bool missing = bytes.error().code() == StatusCode::kNotFound;
      return missing ? bytes.error().WithContext("a backup has a backupmeta, " + store_->description() + " has none") : bytes.error();
    }
    ASSIGN_OR_RETURN(contents_.meta, ParseBackupMeta(*bytes, options_.cipher));
    for (const RuleInfo& info : kRuleInfos) {
      ResultOf(info.rule) = RuleResult{info.check, info.unit, 0, 0};
    }
    contents_.cut = Timestamp(contents_.meta.end_version());
    Count(Rule::kMetaParses);
    CheckTimestamps();
    const std::vector<RangeFiles> ranges = GroupByRange(contents_.meta);
    CheckRanges(ranges);
    for (const RangeFiles& range : ranges) {
      ReadRange(range);
    }
    return std::move(contents_);
  }

 private:
  RuleResult& ResultOf(Rule rule) { return contents_.rules[static_cast<size_t>(rule)]; }
  void Count(Rule rule) { ++ResultOf(rule).counted; }

  void Report(Rule rule, const File* file, std::string_view user_key, std::string message) {
    RuleResult& result = ResultOf(rule);
    ++result.findings;
    if (contents_.findings.size() >= options_.findings_max && result.findings > 1) {
      return;
    }
    record::Finding finding;
    finding.set_check(result.check);
    finding.set_kind(RuleName(rule));
    finding.set_message(std::move(message));
    finding.set_key(std::string(user_key));
    finding.set_lost_at(record::LOST_AT_FILES);
    if (file != nullptr) {
      finding.set_file(file->name());
    }
    contents_.findings.push_back(std::move(finding));
  }

  void AddHazard(std::string text) {
    if (contents_.hazards.size() < kHazardsMax) {
      contents_.hazards.push_back(std::move(text));
    }
  }

  void CheckTimestamps() {
    for (const File& file : contents_.meta.files()) {
      Count(Rule::kOneTimestamp);
      if (file.start_version() != contents_.meta.start_version() || file.end_version() != contents_.meta.end_version()) {
        Report(Rule::kOneTimestamp, &file, {},
               "the file was read over timestamps (" + std::to_string(file.start_version()) + ", " +
                   std::to_string(file.end_version()) + "], the backup says (" +
                   std::to_string(contents_.meta.start_version()) + ", " + std::to_string(contents_.meta.end_version()) + "]");
      }
    }
  }

  void CheckRanges(const std::vector<RangeFiles>& ranges) {
    Bytes covered_to;
    bool covered_all = false;
    for (const RangeFiles& range : ranges) {
      Count(Rule::kRangesDisjoint);
      const std::string text = DescribeRange(range.start, range.end);
      if (!range.end.empty() && range.end <= range.start) {
        Report(Rule::kRangesDisjoint, range.files.front(), range.start, "the range " + text + " is empty or upside down");
      }
      if (covered_all || range.start < covered_to) {
        Report(Rule::kRangesDisjoint, range.files.front(), range.start,
               "the range " + text + " overlaps the one in front of it, which ends at " +
                   (covered_all ? "+inf" : ToHex(covered_to)));
      } else if (range.start > covered_to) {
        contents_.unproven.push_back(KeyRange{covered_to, range.start});
      }
      covered_all = covered_all || range.end.empty();
      covered_to = std::max(covered_to, range.end);
      CheckFamilies(range);
    }
    if (!covered_all) {
      contents_.unproven.push_back(KeyRange{covered_to, {}});
    }
  }

  void CheckFamilies(const RangeFiles& range) {
    int count[2] = {0, 0};
    for (const File* file : range.files) {
      Result<ColumnFamily> family = FamilyOfFile(*file);
      if (!family.ok()) {
        Report(Rule::kRangesDisjoint, file, range.start, family.error().message());
      } else if (++count[*family == ColumnFamily::kWrite ? 1 : 0] == 2) {
        Report(Rule::kRangesDisjoint, file, range.start,
               "the range " + DescribeRange(range.start, range.end) + " has two files of the column family " +
                   ColumnFamilyName(*family));
      }
    }
  }

  void ReadRange(const RangeFiles& range) {
    RangeContent content;
    for (const File* file : range.files) {
      Result<ColumnFamily> family = FamilyOfFile(*file);
      content.intact = family.ok() && ReadFile(*file, *family, &content) && content.intact;
    }
    if (content.intact) {
      JoinFamilies(*range.files.front(), &content);
    }
    for (DecodedWrite& write : content.writes) {
      Show(std::move(write), &content);
    }
  }

  /// The bytes of a file that is what the meta says it is; nothing after a finding.
  std::optional<Bytes> FetchFile(const File& file) {
    Count(Rule::kFileExists);
    Result<Bytes> bytes = store_->Get(file.name());
    if (!bytes.ok()) {
      Report(Rule::kFileExists, &file, {}, "the file cannot be read: " + bytes.error().ToString());
      return std::nullopt;
    }
    ++contents_.files_read;
    contents_.bytes_read += bytes->size();
    Count(Rule::kFileLength);
    if (bytes->size() != file.size()) {
      Report(Rule::kFileLength, &file, {},
             "the file has " + std::to_string(bytes->size()) + " bytes, backupmeta says " + std::to_string(file.size()));
      return std::nullopt;
    }
    Count(Rule::kFileSha256);
    const Bytes digest = Sha256(*bytes);
    if (digest != file.sha256()) {
      Report(Rule::kFileSha256, &file, {},
             "the file's SHA-256 is " + ToHex(digest) + ", backupmeta says " + ToHex(file.sha256()));
      return std::nullopt;
    }
    if (!options_.cipher.encrypts()) {
      return *std::move(bytes);
    }
    Result<Bytes> decrypted = ApplyCipher(options_.cipher, file.cipher_iv(), *bytes);
    if (!decrypted.ok()) {
      Report(Rule::kSstIntact, &file, {}, "the file cannot be decrypted: " + decrypted.error().message());
      return std::nullopt;
    }
    return *std::move(decrypted);
  }

  /// False if the file cannot be believed as a whole.
  bool ReadFile(const File& file, ColumnFamily family, RangeContent* content) {
    const std::optional<Bytes> bytes = FetchFile(file);
    if (!bytes.has_value()) {
      return false;
    }
    Count(Rule::kSstIntact);
    ContentSums sums;
    bool decoded = true;
    Status status = VisitFile(*bytes, [&](std::string_view key, std::string_view value) {
      decoded = AddEntry(file, family, key, value, content, &sums) && decoded;
      return Status::Ok();
    });
    if (!status.ok()) {
      Report(Rule::kSstIntact, &file, {}, status.ToString());
      return false;
    }
    if (!decoded) {
      return false;
    }
    Count(Rule::kContentSums);
    if (sums != SumsOfFile(file)) {
      Report(Rule::kContentSums, &file, {},
             "the file holds " + sums.ToString() + "; backupmeta says " + SumsOfFile(file).ToString());
    }
    return true;
  }

  static Status VisitFile(std::string_view bytes,
                          const std::function<Status(std::string_view key, std::string_view value)>& visit) {
    ASSIGN_OR_RETURN(const std::unique_ptr<tikv::SstFileReader> sst, tikv::SstFileReader::Open(bytes));
    return sst->Visit(visit);
  }

  /// False if the entry does not decode.
  bool AddEntry(const File& file, ColumnFamily family, std::string_view key, std::string_view value, RangeContent* content,
                ContentSums* sums) {
    Count(Rule::kRecordsDecode);
    Result<DataKey> data_key = DecodeDataKey(key);
    if (!data_key.ok()) {
      Report(Rule::kRecordsDecode, &file, {}, "key " + ToHex(key) + ": " + data_key.error().message());
      return false;
    }
    Count(Rule::kKeysInRange);
    if (!RangeContains(file.start_key(), file.end_key(), data_key->user_key)) {
      Report(Rule::kKeysInRange, &file, data_key->user_key,
             "key " + ToHex(data_key->user_key) + " lies outside the file's range " +
                 DescribeRange(file.start_key(), file.end_key()));
    }
    if (family == ColumnFamily::kDefault) {
      sums->Add(data_key->user_key, value);
      content->long_values[{data_key->user_key, data_key->ts}] = Bytes(value);
      return true;
    }
    return AddWrite(file, *std::move(data_key), value, content, sums);
  }

  bool AddWrite(const File& file, DataKey data_key, std::string_view value, RangeContent* content, ContentSums* sums) {
    Result<WriteRecord> record = WriteRecord::Decode(value);
    const bool is_incremental = contents_.meta.start_version() != 0;
    if (!record.ok()) {
      Report(Rule::kRecordsDecode, &file, data_key.user_key, "write record " + ToHex(value) + ": " + record.error().message());
      return false;
    }
    if (record->type != WriteType::kPut && !(record->type == WriteType::kDelete && is_incremental)) {
      Report(Rule::kRecordsDecode, &file, data_key.user_key,
             std::string("a write record of type ") + static_cast<char>(record->type) +
                 ", but such a backup holds the newest value of each key alone");
      return false;
    }
    if (!content->writes.empty() && content->writes.back().user_key == data_key.user_key) {
      Report(Rule::kRecordsDecode, &file, data_key.user_key, "key " + ToHex(data_key.user_key) + " has two versions");
      return false;
    }
    CheckCommitTimestamp(file, data_key, *record);
    if (record->type == WriteType::kDelete) {
      sums->Add(data_key.user_key, {});
    } else if (record->short_value.has_value()) {
      sums->Add(data_key.user_key, *record->short_value);
    }
    content->writes.push_back(DecodedWrite{std::move(data_key.user_key), data_key.ts, *std::move(record)});
    return true;
  }

  void CheckCommitTimestamp(const File& file, const DataKey& data_key, const WriteRecord& record) {
    Count(Rule::kCommitTimestamps);
    contents_.commit_ts_max = std::max(contents_.commit_ts_max, data_key.ts);
    if (data_key.ts > contents_.cut || data_key.ts.value() <= contents_.meta.start_version()) {
      Report(Rule::kCommitTimestamps, &file, data_key.user_key,
             "key " + ToHex(data_key.user_key) + " was committed at " + std::to_string(data_key.ts.value()) +
                 ", outside (" + std::to_string(contents_.meta.start_version()) + ", " +
                 std::to_string(contents_.cut.value()) + "]");
    } else if (record.start_ts >= data_key.ts) {
      Report(Rule::kCommitTimestamps, &file, data_key.user_key,
             "key " + ToHex(data_key.user_key) + " was committed at " + std::to_string(data_key.ts.value()) +
                 " by a transaction that began at " + std::to_string(record.start_ts.value()));
    }
  }

  void JoinFamilies(const File& file, RangeContent* content) {
    std::map<std::pair<Bytes, Timestamp>, bool> referenced;
    for (const auto& [key, value] : content->long_values) {
      referenced[key] = false;
    }
    for (const DecodedWrite& write : content->writes) {
      if (write.record.type != WriteType::kPut || write.record.short_value.has_value()) {
        continue;
      }
      Count(Rule::kLongValues);
      auto found = referenced.find({write.user_key, write.record.start_ts});
      if (found == referenced.end()) {
        Report(Rule::kLongValues, &file, write.user_key,
               "key " + ToHex(write.user_key) + " has no value in the default column family at start timestamp " +
                   std::to_string(write.record.start_ts.value()));
      } else {
        found->second = true;
      }
    }
    for (const auto& [key, is_referenced] : referenced) {
      Count(Rule::kLongValues);
      if (!is_referenced) {
        Report(Rule::kLongValues, &file, key.first,
               "the value of key " + ToHex(key.first) + " at start timestamp " + std::to_string(key.second.value()) +
                   " belongs to no write record");
      }
    }
  }

  /// Puts a visible pair into the contents.
  void Show(DecodedWrite write, RangeContent* content) {
    const WriteRecord& record = write.record;
    if (record.gc_fence.has_value() && record.gc_fence->valid()) {
      if (*record.gc_fence <= contents_.cut) {
        AddHazard("key " + ToHex(write.user_key) + " has a GC fence at " + std::to_string(record.gc_fence->value()) +
                  ", not after the cut: it is not visible");
        return;
      }
      AddHazard("key " + ToHex(write.user_key) + " has a GC fence at " + std::to_string(record.gc_fence->value()) +
                ": restored as it is, it is hidden from every reader at or after that timestamp");
    }
    if (record.type != WriteType::kPut || write.commit_ts > contents_.cut) {
      return;
    }
    Bytes value;
    if (record.short_value.has_value()) {
      value = *record.short_value;
    } else {
      auto found = content->long_values.find({write.user_key, record.start_ts});
      if (found == content->long_values.end()) {
        return;  // reported by the rule of long values, or by the one that its file broke
      }
      value = std::move(found->second);
    }
    contents_.versions[write.user_key] =
        VersionInfo{record.start_ts, write.commit_ts, record.has_overlapped_rollback, record.gc_fence};
    contents_.pairs[std::move(write.user_key)] = std::move(value);
  }

  objects::ObjectStore* store_;
  BackupReadOptions options_;
  BackupContents contents_;
};

}  // namespace

const char* RuleName(Rule rule) {
  const RuleInfo& info = kRuleInfos[static_cast<size_t>(rule)];
  CHECK(info.rule == rule);
  return info.name;
}

Result<DataKey> DecodeDataKey(std::string_view key) {
  if (key.empty() || key.front() != kDataPrefix) {
    return Status::DataLoss("expected 'z', an encoded key and a timestamp");
  }
  ASSIGN_OR_RETURN(VersionedKey versioned, DecodeVersionedKey(key.substr(1)));
  return DataKey{std::move(versioned.key), versioned.ts};
}

Result<BackupContents> ReadBackup(objects::ObjectStore* store, const BackupReadOptions& options) {
  return Reader(store, options).Read();
}

}  // namespace kvjury::backup
