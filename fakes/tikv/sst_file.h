// SST files: the sorted table files that a store's backup writes and its import service ingests. Bytes in, bytes out.
//
// Two codecs with one interface and the same checks. kRocksDb is RocksDB's block-based table as TiKV makes it (footer
// format_version 2, CRC32c, 32 KiB blocks, full Bloom filter, sequence numbers 0), written by RocksDB itself into memory and
// read by a reader of our own: RocksDB's aborts on some damaged files. kMemory is our own flat form with a checksum, much
// faster, for simulated cases. Nothing touches a disk. Readers tell the two apart by themselves.
// Keys carry the data prefix 'z'; an entry is a Put, nothing else is written.
// Not modelled: deletions and merges inside a file, other format versions and checksum kinds (reading one is kUnsupported);
// TiKV's own table properties and prefix filters (a store uses them only for size estimates); encryption.
// Determinism: RocksDB puts a random session id into each file, which is replaced by one made from the file's bytes: equal entries make
// equal files of one version of the libraries. Of another version they differ, so bytes, lengths and digests of SST files must not enter
// decisions, delays or event digests. Source: TiKV 8.5 backup files, RocksDB 7.8.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::tikv {

enum class SstCodec { kRocksDb, kMemory };
/// kMemory takes every kind and compresses nothing.
enum class SstCompression { kNone, kSnappy, kLz4, kZstd };

struct SstEntry {
  Bytes key;  // with the data prefix 'z'
  Bytes value;
  friend bool operator==(const SstEntry&, const SstEntry&) = default;
};

class SstFileWriter {
 public:
  virtual ~SstFileWriter() = default;
  /// Keys must ascend strictly. Errors: kInvalidArgument (order; then the file is unchanged).
  Status Add(std::string_view key, std::string_view value);
  /// The whole file. At most once, nothing may be added afterwards. Errors: kInvalidArgument for a file without entries
  /// (RocksDB refuses those too), kEnvironment when the library fails.
  Result<Bytes> Finish();
  [[nodiscard]] uint64_t entries() const { return entries_; }
  /// Sum of the lengths of keys and values, before compression.
  [[nodiscard]] uint64_t raw_bytes() const { return raw_bytes_; }

 private:
  virtual Status AddInOrder(std::string_view key, std::string_view value) = 0;
  virtual Result<Bytes> FinishFile() = 0;

  Bytes last_key_;
  uint64_t entries_ = 0;
  uint64_t raw_bytes_ = 0;
  bool finished_ = false;
};

/// `level` 0 is the algorithm's own default.
std::unique_ptr<SstFileWriter> MakeSstFileWriter(SstCodec codec, SstCompression compression, int level = 0);

/// How the two messages of damage that clients of TiKV match on name the file: RocksDB says its path there, and so may who
/// knows it.
inline constexpr std::string_view kSstFileWord = "the SST file";

/// A file whose checksums were all verified when it was opened.
class SstFileReader {
 public:
  virtual ~SstFileReader() = default;
  /// Opens and verifies every block. `bytes` must outlive the reader. Errors: kDataLoss for anything that is damaged,
  /// truncated or no SST; kUnsupported for a table that holds more than plain entries. Never a crash.
  static Result<std::unique_ptr<SstFileReader>> Open(std::string_view bytes);
  /// Calls `visit` for every entry in key order until it returns an error. The views live until it returns.
  /// Errors: those of `visit`; kDataLoss when keys do not ascend or the file's own count of entries is wrong.
  Status Visit(const std::function<Status(std::string_view key, std::string_view value)>& visit);
  /// Count of entries that the file says it has.
  [[nodiscard]] virtual uint64_t entries() const = 0;
  [[nodiscard]] virtual SstCodec codec() const = 0;

 private:
  virtual Status VisitAll(const std::function<Status(std::string_view key, std::string_view value)>& visit) = 0;
};

/// Every entry of a file. Errors: those of SstFileReader.
Result<std::vector<SstEntry>> ReadSst(std::string_view bytes);

/// The file of these entries, which must be in strict key order. Errors: those of SstFileWriter.
Result<Bytes> WriteSst(const std::vector<SstEntry>& entries, SstCodec codec, SstCompression compression);

/// "zstd", "lz4", "snappy", "none"; empty means zstd. Errors: kInvalidArgument.
Result<SstCompression> ParseSstCompression(std::string_view name);

}  // namespace kvjury::tikv
