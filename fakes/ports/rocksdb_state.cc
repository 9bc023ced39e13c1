#include "fakes/ports/rocksdb_state.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace kvjury::ports {

namespace {

constexpr char kMarkerName[] = "KVJURY";
constexpr char kMarkerStart[] = "kvjury cluster state, format ";
constexpr char kMarker[] = "kvjury cluster state, format 1\n";
constexpr char kDatabaseName[] = "db";
constexpr char kMetaFamily[] = "kvjury-meta";
// As in TiKV; the next byte is a bound above all keys.
constexpr char kDataPrefix = 'z';
constexpr size_t kWriteBufferBytes = size_t{16} << 20;
constexpr size_t kLogBytesMax = size_t{64} << 20;
// A disk that is so far behind is waited for.
constexpr size_t kPendingBytesMax = size_t{64} << 20;

std::string SystemError() { return std::strerror(errno); }

Bytes DataKey(std::string_view key) {
  Bytes data_key;
  data_key.reserve(key.size() + 1);
  data_key += kDataPrefix;
  data_key += key;
  return data_key;
}

Status Unreadable(const rocksdb::Status& status) { return Status::DataLoss("cannot read the state: " + status.ToString()); }

// Owns the marker file: its lock says that the folder is in use.
class Marker {
 public:
  explicit Marker(int file) : file_(file) {}
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;
  ~Marker() { ::close(file_); }

 private:
  int file_;
};

// Finds out whether the folder is ours, or free to become ours. Changes nothing.
Status CheckFolder(const std::string& folder) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(folder, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return Status::Ok();
  }
  if (status.type() != std::filesystem::file_type::directory) {
    return Status::Environment(folder + " is not a folder");
  }
  if (std::filesystem::exists(folder + "/" + kMarkerName, error)) {
    return Status::Ok();
  }
  const std::filesystem::directory_iterator entries(folder, error);
  if (error) {
    return Status::Environment("cannot read the folder " + folder + ": " + error.message());
  }
  if (entries != std::filesystem::directory_iterator()) {
    return Status::Environment("the folder " + folder + " holds something else (" +
                               entries->path().filename().string() + "); expected an empty one or a cluster's state");
  }
  return Status::Ok();
}

Result<std::unique_ptr<Marker>> OpenMarker(const std::string& folder, bool read_only) {
  std::error_code error;
  const std::string path = folder + "/" + kMarkerName;
  if (!read_only) {
    std::filesystem::create_directories(folder, error);
  } else if (!std::filesystem::exists(path, error)) {
    return Status::Environment("the folder " + folder + " holds no cluster's state");
  }
  if (error) {
    return Status::Environment("cannot make the folder " + folder + ": " + error.message());
  }
  const int file = ::open(path.c_str(), read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return Status::Environment("cannot open " + path + ": " + SystemError());
  }
  auto marker = std::make_unique<Marker>(file);
  if (::flock(file, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    return Status::Environment("the folder " + folder + " is in use by another process");
  }
  char text[256];
  const ssize_t length = ::pread(file, text, sizeof(text), 0);
  if (length < 0) {
    return Status::Environment("cannot read " + path + ": " + SystemError());
  }
  const std::string_view found(text, static_cast<size_t>(length));
  // A process that was killed right after it had made the file left it empty.
  if (!read_only && found.empty() && !std::filesystem::exists(folder + "/" + kDatabaseName, error)) {
    if (::pwrite(file, kMarker, sizeof(kMarker) - 1, 0) != static_cast<ssize_t>(sizeof(kMarker) - 1)) {
      return Status::Environment("cannot write " + path + ": " + SystemError());
    }
    return marker;
  }
  if (found != kMarker) {
    const bool other_format = found.rfind(kMarkerStart, 0) == 0;
    const std::string words = "the folder " + folder + (other_format ? " has another format" : " holds something else") +
                              ": expected \"" + std::string(kMarker, sizeof(kMarker) - 2) + "\" in " + kMarkerName;
    return other_format ? Status::Unsupported(words) : Status::Environment(words);
  }
  return marker;
}

}  // namespace

struct RocksDbState::Database {
  std::unique_ptr<Marker> marker;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> data;
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  // What was written since the writer took the last of it.
  rocksdb::WriteBatch pending;

  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() {
    for (rocksdb::ColumnFamilyHandle* family : data) {
      db->DestroyColumnFamilyHandle(family);
    }
    if (meta != nullptr) {
      db->DestroyColumnFamilyHandle(meta);
    }
  }

  void Add(const tikv::WriteBatch::Operation& operation) {
    rocksdb::ColumnFamilyHandle* family = data[static_cast<size_t>(operation.cf)];
    rocksdb::Status added;
    switch (operation.kind) {
      case tikv::WriteBatch::Kind::kPut:
        added = pending.Put(family, DataKey(operation.key), operation.value);
        break;
      case tikv::WriteBatch::Kind::kDelete:
      case tikv::WriteBatch::Kind::kCollect:
        added = pending.Delete(family, DataKey(operation.key));
        break;
      case tikv::WriteBatch::Kind::kDeleteRange:
        if (!operation.value.empty() && operation.value <= operation.key) {
          break;  // a range without keys, which RocksDB calls an error
        }
        added = pending.DeleteRange(family, DataKey(operation.key),
                                    operation.value.empty() ? Bytes(1, kDataPrefix + 1) : DataKey(operation.value));
        break;
    }
    CHECK(added.ok()) << added.ToString();
  }
  void Add(const tikv::MetaChange& change) {
    const rocksdb::Status added =
        change.value.has_value() ? pending.Put(meta, change.name, *change.value) : pending.Delete(meta, change.name);
    CHECK(added.ok()) << added.ToString();
  }
};

RocksDbState::RocksDbState(std::unique_ptr<Database> database, Options options)
    : database_(std::move(database)), options_(std::move(options)) {
  thread_ = std::thread([this]() { Loop(); });
}

RocksDbState::~RocksDbState() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  written_something_.notify_all();
  thread_.join();
}

Result<std::unique_ptr<RocksDbState>> RocksDbState::Open(const std::string& folder, Options options) {
  RETURN_IF_ERROR(CheckFolder(folder));
  auto database = std::make_unique<Database>();
  ASSIGN_OR_RETURN(database->marker, OpenMarker(folder, options.read_only));
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = !options.read_only;
  db_options.create_missing_column_families = !options.read_only;
  // A record that the end of the process cut off was never acknowledged; anything else that is wrong is damage.
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db_options.max_total_wal_size = kLogBytesMax;
  db_options.avoid_flush_during_recovery = true;  // the log is kept instead: a start takes as little as it can
  db_options.skip_stats_update_on_db_open = true;
  db_options.max_file_opening_threads = 1;
  db_options.keep_log_file_num = 2;
  db_options.stats_dump_period_sec = 0;
  db_options.stats_persist_period_sec = 0;
  rocksdb::ColumnFamilyOptions family_options;
  family_options.write_buffer_size = kWriteBufferBytes;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (size_t cf = 0; cf < tikv::kColumnFamilyCount; ++cf) {
    families.emplace_back(std::string(tikv::ColumnFamilyName(static_cast<tikv::ColumnFamily>(cf))), family_options);
  }
  families.emplace_back(kMetaFamily, family_options);
  rocksdb::DB* db = nullptr;
  const std::string path = folder + "/" + kDatabaseName;
  const rocksdb::Status opened = options.read_only ? rocksdb::DB::OpenForReadOnly(db_options, path, families, &database->data, &db)
                                                   : rocksdb::DB::Open(db_options, path, families, &database->data, &db);
  if (!opened.ok()) {
    return Status::Environment("cannot open the state in " + folder + ": " + opened.ToString());
  }
  database->db.reset(db);
  database->meta = database->data.back();
  database->data.pop_back();
  return std::unique_ptr<RocksDbState>(new RocksDbState(std::move(database), std::move(options)));
}

Result<std::map<Bytes, Bytes>> RocksDbState::LoadMeta() {
  RETURN_IF_ERROR(Drain());
  std::map<Bytes, Bytes> meta;
  const std::unique_ptr<rocksdb::Iterator> at(database_->db->NewIterator({}, database_->meta));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    meta.emplace(at->key().ToString(), at->value().ToString());
  }
  if (!at->status().ok()) {
    return Unreadable(at->status());
  }
  return meta;
}

Status RocksDbState::LoadData(const std::function<void(tikv::ColumnFamily cf, std::string_view key, std::string_view value)>& visit) {
  RETURN_IF_ERROR(Drain());
  rocksdb::ReadOptions read_options;
  read_options.fill_cache = false;
  read_options.readahead_size = size_t{2} << 20;
  for (size_t cf = 0; cf < tikv::kColumnFamilyCount; ++cf) {
    const std::unique_ptr<rocksdb::Iterator> at(database_->db->NewIterator(read_options, database_->data[cf]));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      if (at->key().empty() || at->key()[0] != kDataPrefix) {
        return Status::DataLoss("the state holds a key that is no data key: " + ToHex(at->key().ToStringView()));
      }
      visit(static_cast<tikv::ColumnFamily>(cf), at->key().ToStringView().substr(1), at->value().ToStringView());
    }
    if (!at->status().ok()) {
      return Unreadable(at->status());
    }
  }
  return Status::Ok();
}

void RocksDbState::Write(const tikv::WriteBatch& data, const std::vector<tikv::MetaChange>& meta) {
  CHECK(!options_.read_only);
  {
    std::unique_lock lock(mutex_);
    kept_something_.wait(lock, [this]() { return Failed() || database_->pending.GetDataSize() < kPendingBytesMax; });
    if (Failed()) {
      return;
    }
    for (const tikv::WriteBatch::Operation& operation : data.operations) {
      database_->Add(operation);
    }
    for (const tikv::MetaChange& change : meta) {
      database_->Add(change);
    }
    ++written_;
    written_meta_ = meta.empty() ? written_meta_ : written_;
  }
  written_something_.notify_one();
}

bool RocksDbState::WhenKept(bool only_meta, std::function<void()> done) {
  const std::lock_guard lock(mutex_);
  const uint64_t wanted = only_meta ? written_meta_ : written_;
  if (kept_ >= wanted && !Failed()) {
    return true;
  }
  waiting_.emplace(wanted, std::move(done));
  return false;
}

Status RocksDbState::Drain() {
  std::unique_lock lock(mutex_);
  kept_something_.wait(lock, [this, wanted = written_]() { return Failed() || kept_ >= wanted; });
  return failure_;
}

void RocksDbState::Loop() {
  rocksdb::WriteOptions write_options;
  write_options.sync = options_.sync;
  std::unique_lock lock(mutex_);
  while (true) {
    written_something_.wait(lock, [this]() { return stopping_ || kept_ < written_; });
    if (kept_ == written_) {
      return;
    }
    rocksdb::WriteBatch batch = std::exchange(database_->pending, rocksdb::WriteBatch());
    const uint64_t upto = written_;
    lock.unlock();
    const rocksdb::Status written = database_->db->Write(write_options, &batch);
    lock.lock();
    if (!written.ok()) {
      failure_ = Status::Environment("cannot write the state: " + written.ToString());
      kept_something_.notify_all();
      CHECK(options_.on_failure != nullptr) << failure_;
      options_.on_failure(failure_);
      return;
    }
    kept_ = upto;
    std::vector<std::function<void()>> satisfied;
    const auto end = waiting_.upper_bound(kept_);
    for (auto at = waiting_.begin(); at != end; ++at) {
      satisfied.push_back(std::move(at->second));
    }
    waiting_.erase(waiting_.begin(), end);
    kept_something_.notify_all();
    lock.unlock();
    for (const std::function<void()>& done : satisfied) {
      done();
    }
    lock.lock();
  }
}

}  // namespace kvjury::ports
