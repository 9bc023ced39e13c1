// backupmeta: the table of contents that br leaves beside its SST files, and whose presence says "success".
//
// Read and written as br of the 8.5 line does for `backup txn`: one protobuf message with every file inline. The inside of
// TiDB backups (schemas, separate index files) is recognised and refused. Source, field by field: backup.proto of kvproto.
// Not here: what the files hold (backup_reader.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/cipher.h"
#include "fakes/base/ids.h"
#include "proto/tikv/backup.pb.h"

namespace kvjury::backup {

using ::backup::BackupMeta;
using ::backup::File;

/// The object's name in a backup folder.
inline constexpr char kBackupMetaName[] = "backupmeta";

enum class ColumnFamily { kDefault, kWrite };
const char* ColumnFamilyName(ColumnFamily family);

/// An encrypted one has its 16-byte vector in front. Errors: kUnsupported, in one sentence, for a backup that is raw, of a TiDB
/// cluster, or split over several meta files, and for an encrypted one without a cipher; kInvalidArgument for a key of the wrong
/// length or, as far as that can be told, another key; kDataLoss for bytes that are no BackupMeta.
Result<BackupMeta> ParseBackupMeta(std::string_view bytes, const Cipher& cipher = {});

/// The bytes as br writes them: `backup_size` is set to the sum of the file sizes plus the length of the message without it.
Bytes SerializeBackupMeta(BackupMeta meta);

/// As br derives it: from the name first ("default" before "write"), then from the field `cf`. Errors: kDataLoss.
Result<ColumnFamily> FamilyOfFile(const File& file);

/// [start, end) of user keys; an empty end is unbounded.
struct KeyRange {
  Bytes start;
  Bytes end;
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

/// The files that cover one range of user keys. [start, end), raw user keys, empty = unbounded.
struct RangeFiles {
  Bytes start;
  Bytes end;
  std::vector<const File*> files;  // in the order of the meta
};

/// Files grouped by (start, end) in the order of the keys. The pointers point into `meta`.
std::vector<RangeFiles> GroupByRange(const BackupMeta& meta);

/// `["61", "")` in hex, "-inf" and "+inf" for no bound.
std::string DescribeRange(std::string_view start, std::string_view end);

/// CRC-64 XOR, counts and bytes of File, as the store computes them: over user keys and values, without timestamps.
struct ContentSums {
  uint64_t crc64xor = 0;
  uint64_t total_kvs = 0;
  uint64_t total_bytes = 0;
  void Add(std::string_view user_key, std::string_view value);
  void Add(const ContentSums& other);
  friend bool operator==(const ContentSums&, const ContentSums&) = default;
  [[nodiscard]] std::string ToString() const;
};
ContentSums SumsOfFile(const File& file);

}  // namespace kvjury::backup
