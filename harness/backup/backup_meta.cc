#include "harness/backup/backup_meta.h"

#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "fakes/base/digest.h"

namespace kvjury::backup {

namespace {

/// A plain backupmeta holds file names and br's version, an encrypted one looks random: this long a run of printable bytes
/// does not occur in random bytes of its size.
constexpr size_t kReadableRunBytes = 16;

bool HasReadableText(std::string_view bytes) {
  size_t run = 0;
  for (const char c : bytes) {
    run = c >= ' ' && c <= '~' ? run + 1 : 0;
    if (run == kReadableRunBytes) {
      return true;
    }
  }
  return false;
}

Status DoesNotParse(std::string_view bytes, const Cipher& cipher) {
  if (cipher.encrypts()) {
    return Status::InvalidArgument(
        "backupmeta, decrypted, is no BackupMeta: the key is another one than that of the backup, or the backup is not encrypted");
  }
  if (bytes.size() >= kReadableRunBytes && !HasReadableText(bytes)) {
    return Status::Unsupported(
        "backupmeta is no readable BackupMeta and holds no text at all: the backup is encrypted (br's --crypter.method); "
        "give its key with ?crypter.method=METHOD&crypter.key=HEX behind the address");
  }
  return Status::DataLoss("backupmeta (" + std::to_string(bytes.size()) +
                          " bytes) is damaged: expected one protobuf message of type backup.BackupMeta");
}

}  // namespace

const char* ColumnFamilyName(ColumnFamily family) { return family == ColumnFamily::kDefault ? "default" : "write"; }

Result<BackupMeta> ParseBackupMeta(std::string_view bytes, const Cipher& cipher) {
  Bytes decrypted;
  if (cipher.encrypts()) {
    if (bytes.size() <= kCipherIvBytes) {
      return DoesNotParse(bytes, cipher);
    }
    ASSIGN_OR_RETURN(decrypted, ApplyCipher(cipher, bytes.substr(0, kCipherIvBytes), bytes.substr(kCipherIvBytes)));
    bytes = decrypted;
  }
  const google::protobuf::LogSilencer silencer;  // what is wrong is said by the status, not on stderr
  BackupMeta meta;
  if (bytes.empty() || !meta.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DoesNotParse(bytes, cipher);
  }
  const auto& unknown = meta.GetReflection()->GetUnknownFields(meta);
  constexpr int kNewestKnownField = 26;
  for (int i = 0; i < unknown.field_count(); ++i) {
    if (unknown.field(i).number() > kNewestKnownField || unknown.field(i).number() == 3) {
      return DoesNotParse(bytes, cipher);
    }
  }
  if (meta.is_raw_kv()) {
    return Status::Unsupported(
        "this is a raw backup (br backup raw): it copies one column family and no transactions, so it does not hold a JuiceFS "
        "volume; make it with br backup txn");
  }
  if (meta.version() != 0 || meta.has_file_index()) {
    return Status::Unsupported("this backup keeps its list of files in further meta files (backup full): only br backup txn is read");
  }
  if (!meta.is_txn_kv()) {
    return Status::Unsupported("this backup is not marked as one of br backup txn (is_txn_kv is not set): TiDB backups are not read");
  }
  if (meta.api_version() != kvrpcpb::V1) {
    return Status::Unsupported("this backup is of API version " + std::to_string(static_cast<int>(meta.api_version()) + 1) +
                               ": only version 1 is read");
  }
  return meta;
}

Bytes SerializeBackupMeta(BackupMeta meta) {
  meta.clear_backup_size();
  uint64_t bytes = 0;
  for (const File& file : meta.files()) {
    bytes += file.size();
  }
  meta.set_backup_size(bytes + meta.ByteSizeLong());
  return meta.SerializeAsString();
}

Result<ColumnFamily> FamilyOfFile(const File& file) {
  for (const std::string& text : {file.name(), file.cf()}) {
    if (text.find("default") != std::string::npos) {
      return ColumnFamily::kDefault;
    }
    if (text.find("write") != std::string::npos) {
      return ColumnFamily::kWrite;
    }
  }
  return Status::DataLoss("file \"" + Printable(file.name()) + "\" is of no known column family: expected default or write");
}

std::vector<RangeFiles> GroupByRange(const BackupMeta& meta) {
  // An unbounded end sorts last.
  using Order = std::tuple<Bytes, bool, Bytes>;
  std::map<Order, RangeFiles> groups;
  for (const File& file : meta.files()) {
    RangeFiles& group = groups[Order(file.start_key(), file.end_key().empty(), file.end_key())];
    group.start = file.start_key();
    group.end = file.end_key();
    group.files.push_back(&file);
  }
  std::vector<RangeFiles> ordered;
  for (auto& [order, group] : groups) {
    ordered.push_back(std::move(group));
  }
  return ordered;
}

std::string DescribeRange(std::string_view start, std::string_view end) {
  return "[" + (start.empty() ? "-inf" : ToHex(start)) + ", " + (end.empty() ? "+inf" : ToHex(end)) + ")";
}

void ContentSums::Add(std::string_view user_key, std::string_view value) {
  crc64xor ^= Crc64Xz(user_key, value);
  total_kvs += 1;
  total_bytes += user_key.size() + value.size();
}

void ContentSums::Add(const ContentSums& other) {
  crc64xor ^= other.crc64xor;
  total_kvs += other.total_kvs;
  total_bytes += other.total_bytes;
}

std::string ContentSums::ToString() const {
  Bytes crc;
  AppendBe64(&crc, crc64xor);
  return "crc64xor " + ToHex(crc) + ", " + std::to_string(total_kvs) + " pairs, " + std::to_string(total_bytes) + " bytes";
}

ContentSums SumsOfFile(const File& file) { return ContentSums{file.crc64xor(), file.total_kvs(), file.total_bytes()}; }

}  // namespace kvjury::backup
