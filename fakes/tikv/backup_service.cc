#include "fakes/tikv/backup_service.h"

#include <algorithm>

#include "fakes/base/digest.h"
#include "fakes/base/memcomparable.h"
#include "fakes/tikv/backup_scan.h"
#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

constexpr size_t kBatchEntries = 1024;
constexpr Micros kRegionUs = 1'000;
constexpr Micros kBatchUs = 2'000;
constexpr Micros kMicrosPerSecond = 1'000'000;

bool IsEndAtOrBehind(std::string_view end, std::string_view key) { return !end.empty() && key >= end; }

// The smaller of two exclusive upper bounds, of which an empty one is infinite.
Bytes SmallerEnd(const Bytes& a, const Bytes& b) {
  if (a.empty() || b.empty()) {
    return a.empty() ? b : a;
  }
  return std::min(a, b);
}

SstCompression CompressionOf(backup::CompressionType type) {
  switch (type) {
    case backup::SNAPPY:
      return SstCompression::kSnappy;
    case backup::ZSTD:
      return SstCompression::kZstd;
    default:
      return SstCompression::kLz4;  // also for "unknown": the first that TiKV supports
  }
}

backup::Error MessageOf(const std::string& message) {
  backup::Error error;
  error.set_msg(message);
  return error;
}

bool IsColumnFamily(const std::string& cf) {
  return cf.empty() || cf == "default" || cf == "lock" || cf == "write" || cf == "raft";
}

}  // namespace

// One request.
struct BackupService::Job {
  std::shared_ptr<const backup::BackupRequest> request;
  sim::CallContext context;
  sim::StreamWriter* writer = nullptr;
  StoreRunPtr run;
  objects::ObjectStore* storage = nullptr;
  uint64_t regions = 0;
};

// The two files that are being written for one stretch of keys, and their sums.
struct BackupService::FilePair {
  struct Part {
    std::unique_ptr<SstFileWriter> writer;
    uint64_t crc = 0;
    uint64_t kvs = 0;
    uint64_t bytes = 0;
  };
  Part values;
  Part writes;
  uint64_t raw_bytes = 0;

  void Count(Part* part, const BackupEntry& entry) {
    part->crc ^= Crc64Xz(entry.user_key, entry.value);
    ++part->kvs;
    part->bytes += entry.user_key.size() + entry.value.size();
  }
  Status Add(const BackupEntry& entry, SstCodec codec, SstCompression compression) {
    const auto put = [&](Part* part, const Bytes& key, const Bytes& value) {
      if (part->writer == nullptr) {
        part->writer = MakeSstFileWriter(codec, compression);
      }
      raw_bytes += key.size() + value.size();
      return part->writer->Add(kDataPrefix + key, value);
    };
    RETURN_IF_ERROR(put(&writes, entry.write_key, entry.write_value));
    if (entry.default_key.empty()) {
      Count(&writes, entry);
      return Status::Ok();
    }
    Count(&values, entry);
    return put(&values, entry.default_key, entry.value);
  }
  [[nodiscard]] bool empty() const { return writes.writer == nullptr; }
  [[nodiscard]] uint64_t counted_bytes() const { return values.bytes + writes.bytes; }
};

// One region of one request while it is read.
struct BackupService::RegionScan {
  kvrpcpb::Context region;
  Bytes file_start;  // encoded; where the present pair begins
  std::unique_ptr<FilePair> files;
  uint64_t pairs = 0;
};

void BackupService::Register(sim::MethodTable* methods) { methods->Add(kBackup, this, &BackupService::Backup); }

sim::Task<Status> BackupService::Backup(std::shared_ptr<const backup::BackupRequest> request, sim::CallContext context,
                                        sim::StreamWriter* writer) {
  Job job{request, context, writer, cluster_->Run(store_), nullptr, 0};
  if (!IsColumnFamily(request->cf())) {
    co_return Status::Rejected("Invalid cf " + request->cf());
  }
  if (const uint64_t backoff_ms = cluster_->TakeBusy(context.label); backoff_ms > 0) {
    backup::Error error;
    *error.mutable_region_error() = ServerIsBusyError("the store is busy", backoff_ms);
    sim::Task<Status> sending = SendError(&job, std::move(error));
    CO_RETURN_IF_ERROR(co_await std::move(sending));
    co_return Status::Ok();
  }
  const bool encrypted = request->cipher_info().cipher_type() > encryptionpb::PLAINTEXT;
  Result<objects::ObjectStore*> storage = Status::Unsupported("no storages in this cluster");
  if (cluster_->options().storages != nullptr) {
    storage = cluster_->options().storages->Open(request->storage_backend());
  }
  if (request->is_raw_kv() || encrypted || !storage.ok()) {
    const std::string why = request->is_raw_kv() ? "raw mode is not served"
                            : encrypted          ? "encryption is not served"
                                                 : storage.error().ToString();
    sim::Task<Status> sending = SendError(&job, MessageOf(why));
    CO_RETURN_IF_ERROR(co_await std::move(sending));
    co_return Status::Ok();
  }
  job.storage = *storage;
  std::vector<std::pair<Bytes, Bytes>> ranges;
  for (const kvrpcpb::KeyRange& range : request->sub_ranges()) {
    ranges.emplace_back(range.start_key(), range.end_key());
  }
  if (ranges.empty()) {
    ranges.emplace_back(request->start_key(), request->end_key());
  }
  for (const auto& [start, end] : ranges) {
    sim::Task<Status> range = BackupRange(&job, EncodeBoundary(start), EncodeBoundary(end));
    CO_RETURN_IF_ERROR(co_await std::move(range));
  }
  cluster_->Log(store_, "backup", request->end_version(), job.regions);
  co_return Status::Ok();
}

sim::Task<Status> BackupService::BackupRange(Job* job, Bytes start, Bytes end) {
  Bytes cursor = start;
  while (true) {
    const Region* region = cluster_->regions().FindByKey(cursor);
    const Bytes region_end = region->end;
    if (cluster_->raft().Leader(region->id) == store_) {
      kvrpcpb::Context context;
      context.set_region_id(region->id.value());
      context.mutable_region_epoch()->set_conf_ver(region->conf_ver);
      context.mutable_region_epoch()->set_version(region->version);
      *context.mutable_peer() = ToProto(*region->PeerOn(store_));
      ++job->regions;
      sim::Task<Status> one =
          BackupRegion(job, std::move(context), std::max(start, region->start), SmallerEnd(end, region_end));
      CO_RETURN_IF_ERROR(co_await std::move(one));
    }
    if (region_end.empty() || IsEndAtOrBehind(end, region_end)) {
      co_return Status::Ok();
    }
    cursor = region_end;
  }
}

std::optional<backup::Error> BackupService::PrepareRead(const Job& job, const kvrpcpb::Context& region,
                                                        std::string_view start, std::string_view end) {
  const Timestamp backup_ts(job.request->end_version());
  ConcurrencyManager& concurrency = job.run->memory.concurrency;
  sim::PlantedBugs& bugs = cluster_->world()->bugs();
  backup::Error error;
  if (!bugs.On(sim::Bug::kMaxTsNotPushed)) {
    concurrency.UpdateMaxTs(backup_ts);
  }
  if (!bugs.On(sim::Bug::kMemoryLockUnseen)) {
    for (const MemoryLock* lock : concurrency.FindInRange(start, end)) {
      if (LockBlocksRead(lock->lock, backup_ts)) {
        *error.mutable_kv_error() = LockedError(lock->key, lock->lock);
        return error;
      }
    }
  }
  if (std::optional<errorpb::Error> refused = cluster_->Check(store_, region, false)) {
    *error.mutable_region_error() = std::move(*refused);
    return error;
  }
  return std::nullopt;
}

sim::Task<Status> BackupService::BackupRegion(Job* job, kvrpcpb::Context region, Bytes start, Bytes end) {
  const uint64_t order = job->context.label.hash();
  sim::Task<bool> beginning = cluster_->Work(store_, job->run, kRegionUs, order);
  if (!co_await std::move(beginning)) {
    co_return Status::Unavailable("the store is down");
  }
  if (std::optional<backup::Error> error = PrepareRead(*job, region, start, end)) {
    sim::Task<Status> sending = SendError(job, std::move(*error));
    co_return co_await std::move(sending);
  }
  if (!DecodeBoundary(start).ok() || !DecodeBoundary(end).ok()) {
    sim::Task<Status> sending = SendError(job, MessageOf("a region boundary is no encoded key"));
    co_return co_await std::move(sending);
  }
  const std::unique_ptr<PinnedSnapshot> pinned = cluster_->Pin();
  BackupScanOptions options;
  options.start_version = Timestamp(job->request->start_version());
  options.backup_ts = Timestamp(job->request->end_version());
  options.ignore_locks = cluster_->world()->bugs().On(sim::Bug::kOneKeyOfAPair);
  // With the planted bug nothing is smaller than the empty end key, and the last region reads as empty.
  const bool nothing = end.empty() && cluster_->world()->bugs().On(sim::Bug::kLastRegionEmptyEndKey);
  BackupScanner scanner(pinned->get(), start, nothing ? start : end, options);
  RegionScan scan;
  scan.region = std::move(region);
  scan.file_start = start;
  scan.files = std::make_unique<FilePair>();
  bool done = nothing;
  while (!done) {
    BackupScanner::Batch batch = scanner.Next(kBatchEntries);
    if (batch.locked.has_value()) {
      backup::Error error;
      *error.mutable_kv_error() = std::move(*batch.locked);
      sim::Task<Status> sending = SendError(job, std::move(error));
      co_return co_await std::move(sending);
    }
    if (batch.broken.has_value()) {
      sim::Task<Status> sending = SendError(job, MessageOf(batch.broken->abort()));
      co_return co_await std::move(sending);
    }
    done = batch.done;
    if (batch.entries.empty()) {
      continue;
    }
    if (scan.files->counted_bytes() >= cluster_->options().sst_bytes_max) {
      const Bytes cut = EncodeKey(batch.entries.front().user_key);
      sim::Task<Status> finishing = FinishFiles(job, &scan, cut);
      CO_RETURN_IF_ERROR(co_await std::move(finishing));
      scan.file_start = cut;
      scan.files = std::make_unique<FilePair>();
    }
    const SstCompression compression = CompressionOf(job->request->compression_type());
    for (const BackupEntry& entry : batch.entries) {
      const Status added = scan.files->Add(entry, cluster_->options().sst_codec, compression);
      CHECK(added.ok()) << added;
    }
    sim::Task<bool> reading = cluster_->Work(store_, job->run, kBatchUs, order);
    if (!co_await std::move(reading)) {
      co_return Status::Unavailable("the store is down");
    }
  }
  sim::Task<Status> finishing = FinishFiles(job, &scan, end);
  co_return co_await std::move(finishing);
}

sim::Task<Status> BackupService::FinishFiles(Job* job, RegionScan* scan, Bytes end) {
  backup::BackupResponse response;
  response.set_start_key(*DecodeBoundary(scan->file_start));
  response.set_end_key(*DecodeBoundary(end));
  FilePair& files = *scan->files;
  if (!files.empty()) {
    const int64_t millis = cluster_->pd().oracle().ClockMs(cluster_->world()->scheduler().now_us());
    const std::string stem = std::to_string(store_.value()) + "/" + std::to_string(scan->region.region_id()) + "_" +
                             std::to_string(scan->region.region_epoch().version()) + "_" +
                             ToHex(Sha256(response.start_key())) + "_" + std::to_string(millis);
    struct Output {
      FilePair::Part* part;
      std::string cf;
    };
    for (const Output& output : {Output{&files.values, "default"}, Output{&files.writes, "write"}}) {
      if (output.part->writer == nullptr) {
        continue;
      }
      Result<Bytes> content = output.part->writer->Finish();
      CHECK(content.ok()) << content.error();
      sim::Task<Result<backup::File>> uploading =
          Upload(job, scan, stem + "_" + output.cf + ".sst", output.cf, *std::move(content));
      Result<backup::File> file = co_await std::move(uploading);
      if (!file.ok()) {
        *response.mutable_error() = MessageOf("Io(" + file.error().ToString() + ")");
        response.clear_files();
        break;
      }
      file->set_start_key(response.start_key());
      file->set_end_key(response.end_key());
      file->set_start_version(job->request->start_version());
      file->set_end_version(job->request->end_version());
      file->set_crc64xor(output.part->crc);
      file->set_total_kvs(output.part->kvs);
      file->set_total_bytes(output.part->bytes);
      *response.add_files() = *std::move(file);
    }
    if (const uint64_t rate = job->request->rate_limit(); rate > 0) {
      // Uncompressed bytes: what a library makes of them must not decide about time.
      const Micros us = static_cast<Micros>(files.raw_bytes * static_cast<uint64_t>(kMicrosPerSecond) / rate);
      co_await cluster_->world()->scheduler().Sleep(us, job->context.label.hash());
    }
  }
  ++scan->pairs;
  if (!job->run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  sim::Task<Status> sending = Send(job, std::move(response));
  co_return co_await std::move(sending);
}

sim::Task<Result<backup::File>> BackupService::Upload(Job* job, const RegionScan* scan, std::string name, std::string cf,
                                                      Bytes content) {
  backup::File file;
  file.set_name(name);
  file.set_cf(cf);
  file.set_size(content.size());
  file.set_sha256(Sha256(content));
  // Never used, since nothing is encrypted, but always there.
  file.set_cipher_iv(Sha256(name).substr(0, 16));
  objects::WorldObjectStore storage(cluster_->world(), job->storage);
  sim::Label label = job->context.label.Keyed("upload-" + cf, scan->file_start, scan->pairs + 1);
  sim::Task<Status> putting = storage.Put(std::move(label), std::move(name), std::move(content));
  CO_RETURN_IF_ERROR(co_await std::move(putting));
  co_return file;
}

sim::Task<Status> BackupService::Send(Job* job, backup::BackupResponse response) {
  sim::MessagePtr message = std::make_shared<const backup::BackupResponse>(std::move(response));
  sim::Task<Status> writing = job->writer->Write(std::move(message));
  co_return co_await std::move(writing);
}

sim::Task<Status> BackupService::SendError(Job* job, backup::Error error) {
  backup::BackupResponse response;
  *response.mutable_error() = std::move(error);
  sim::Task<Status> sending = Send(job, std::move(response));
  co_return co_await std::move(sending);
}

}  // namespace kvjury::tikv
