// BackupFiles: the SST files of one stretch of keys while a store's backup builds them, and what they become on storage.
//
// A transactional stretch has a file of the default family, if it holds a long value, and one of the write family; a raw one a
// single file of its family. Counting: an entry counts in the file that holds its value, over user key and value without
// timestamps; so a write file can have sums of zero. Whole files are encrypted and then digested.
// Pure: knows no world, so that the heavy calls may run anywhere, one at a time.
// Modelled: names as for folders and S3 ("store/region_...") and for other storages ("store_region_..."), the milliseconds in them,
// compression kinds and levels, AES in counter mode. Not modelled: SM4; random vectors (the vector is the name's
// digest, so that a run repeats: nothing secret belongs into a test cluster's backup).
// Source: TiKV 8.5, components/backup/src/writer.rs; backup files of a real 8.5.0.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fakes/base/cipher.h"
#include "fakes/tikv/backup_scan.h"
#include "fakes/tikv/sst_file.h"
#include "proto/tikv/backup.pb.h"

namespace kvjury::tikv {

/// "unknown" is LZ4, the first that TiKV's build supports.
SstCompression CompressionOf(backup::CompressionType type);

/// Plaintext when the request says nothing. Errors: kInvalidArgument in TiKV's words for an unknown method or a key of the
/// wrong length.
Result<Cipher> CipherOf(const backup::CipherInfo& info);

/// The part of a file's name in front of "_FAMILY.sst".
struct BackupFileName {
  uint64_t store = 0;
  uint64_t region = 0;
  uint64_t version = 0;
  /// The start key as the client writes it; none (raw backups without a start) leaves digest and clock out.
  std::optional<Bytes> start_key;
  int64_t clock_ms = 0;
  /// Whether the storage has folders.
  bool in_folder = true;

  [[nodiscard]] std::string ToString() const;
};

class BackupFiles {
 public:
  struct Options {
    SstCodec codec = SstCodec::kMemory;
    SstCompression compression = SstCompression::kZstd;
    int compression_level = 0;
    Cipher cipher;
  };
  /// `raw_family` is empty for a transactional backup.
  BackupFiles(Options options, const std::string& raw_family);

  /// In key order. Heavy.
  void Add(const BackupEntry& entry);
  [[nodiscard]] bool empty() const;
  /// What decides about splitting: user keys and values.
  [[nodiscard]] uint64_t counted_bytes() const;
  /// Keys and values as they are stored, before compression: what takes time.
  [[nodiscard]] uint64_t raw_bytes() const { return raw_bytes_; }

  struct Output {
    backup::File file;  // without range and versions
    Bytes content;
  };
  /// Closes the files that hold something, default before write. Heavy; once. Errors: kInvalidArgument (cipher).
  Result<std::vector<Output>> Finish(const std::string& stem);

 private:
  struct Part {
    std::string family;
    std::unique_ptr<SstFileWriter> writer;
    uint64_t crc = 0;
    uint64_t kvs = 0;
    uint64_t bytes = 0;
  };
  void Put(Part* part, const Bytes& key, const Bytes& value);
  static void Count(Part* part, const BackupEntry& entry);
  Result<Output> FinishPart(Part* part, const std::string& stem) const;

  Options options_;
  std::vector<Part> parts_;
  uint64_t raw_bytes_ = 0;
};

}  // namespace kvjury::tikv
