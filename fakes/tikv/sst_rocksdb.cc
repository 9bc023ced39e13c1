// Writes RocksDB tables with RocksDB's stand-alone file writer, on a file system that knows one in-memory file.
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include "fakes/tikv/sst_file_internal.h"

namespace kvjury::tikv::internal {

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr char kFileName[] = "/file.sst";
constexpr size_t kBlockBytes = 32 * 1024;
constexpr int kBloomBitsPerKey = 10;

class GrowingFile final : public rocksdb::FSWritableFile {
 public:
  explicit GrowingFile(Bytes* bytes) : bytes_(bytes) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    bytes_->append(data.data(), data.size());
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return bytes_->size(); }

 private:
  Bytes* bytes_;
};

/// Every name is the one file.
class OneFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  OneFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  [[nodiscard]] const char* Name() const override { return "kvjury-one-file"; }

  IOStatus NewWritableFile(const std::string&, const rocksdb::FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext*) override {
    *file = std::make_unique<GrowingFile>(&written);
    return IOStatus::OK();
  }

  Bytes written;
};

/// Options of a table that looks as TiKV's do; no cache, so that worlds share nothing.
rocksdb::Options MakeOptions(rocksdb::Env* env, SstCompression compression, int level) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 2;
  table.checksum = rocksdb::kCRC32c;
  table.block_size = kBlockBytes;
  table.no_block_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey, false));
  rocksdb::Options options;
  options.env = env;
  options.db_host_id = "";  // else the name of this machine is written into every file
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (level != 0) {
    options.compression_opts.level = level;
  }
  switch (compression) {
    case SstCompression::kNone:
      options.compression = rocksdb::kNoCompression;
      break;
    case SstCompression::kSnappy:
      options.compression = rocksdb::kSnappyCompression;
      break;
    case SstCompression::kLz4:
      options.compression = rocksdb::kLZ4Compression;
      break;
    case SstCompression::kZstd:
      options.compression = rocksdb::kZSTD;
      break;
  }
  return options;
}

Status FromRocksDb(const rocksdb::Status& status) {
  return status.ok() ? Status::Ok() : Status::Environment("RocksDB: " + status.ToString());
}

class RocksDbSstWriter final : public SstFileWriter {
 public:
  RocksDbSstWriter(SstCompression compression, int level)
      : files_(std::make_shared<OneFileSystem>()),
        env_(rocksdb::NewCompositeEnv(files_)),
        writer_(rocksdb::EnvOptions(), MakeOptions(env_.get(), compression, level)),
        opened_(FromRocksDb(writer_.Open(kFileName))) {}

 private:
  Status AddInOrder(std::string_view key, std::string_view value) override {
    RETURN_IF_ERROR(opened_);
    return FromRocksDb(writer_.Put(Slice(key.data(), key.size()), Slice(value.data(), value.size())));
  }
  Result<Bytes> FinishFile() override {
    RETURN_IF_ERROR(FromRocksDb(writer_.Finish()));
    RETURN_IF_ERROR(SettleSessionIdentity(&files_->written));
    return std::move(files_->written);
  }

  std::shared_ptr<OneFileSystem> files_;
  std::unique_ptr<rocksdb::Env> env_;
  rocksdb::SstFileWriter writer_;
  Status opened_;
};

}  // namespace

std::unique_ptr<SstFileWriter> MakeRocksDbSstWriter(SstCompression compression, int level) {
  return std::make_unique<RocksDbSstWriter>(compression, level);
}

}  // namespace kvjury::tikv::internal
