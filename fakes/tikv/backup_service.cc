#include "fakes/tikv/backup_service.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/backup_files.h"
#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

constexpr size_t kBatchEntries = 1024;
/// Keys that are looked at in one go: well under a millisecond.
constexpr size_t kVisitsInOneGo = 256;
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

backup::Error MessageOf(const std::string& message) {
  backup::Error error;
  error.set_msg(message);
  return error;
}

bool IsColumnFamily(const std::string& cf) {
  return cf.empty() || cf == "default" || cf == "lock" || cf == "write" || cf == "raft";
}

/// How TiKV prints an I/O error; br looks for "Io" and "NotFound" and then says that the storage is not shared.
std::string IoWords(const Status& status) {
  if (status.code() == StatusCode::kNotFound) {
    return R"(Io(Os { code: 2, kind: NotFound, message: "No such file or directory" }))";
  }
  if (status.code() == StatusCode::kUnsupported || status.code() == StatusCode::kInvalidArgument) {
    return R"(Io(Custom { kind: NotFound, error: "bad storage backend: )" + status.message() + "\" })";
  }
  return "Io(" + status.ToString() + ")";
}

uint64_t SizeOf(const backup::BackupResponse& response) {
  uint64_t bytes = 0;
  for (const backup::File& file : response.files()) {
    bytes += file.size();
  }
  return bytes;
}

}  // namespace

// One request.
struct BackupService::Job {
  std::shared_ptr<const backup::BackupRequest> request;
  sim::CallContext context;
  sim::StreamWriter* writer = nullptr;
  StoreRunPtr run;
  objects::ObjectStore* storage = nullptr;
  BackupFiles::Options files;
  std::string raw_family;  // empty: transactional
  uint64_t regions = 0;

  [[nodiscard]] bool raw() const { return !raw_family.empty(); }
  [[nodiscard]] std::unique_ptr<BackupFiles> NewFiles() const { return std::make_unique<BackupFiles>(files, raw_family); }
  /// Raw keys are stored as they are.
  [[nodiscard]] Bytes Encode(const Bytes& key) const { return raw() ? key : EncodeBoundary(key); }
  [[nodiscard]] Result<Bytes> Decode(const Bytes& key) const { return raw() ? Result<Bytes>(key) : DecodeBoundary(key); }
};

// One region of one request while it is read.
struct BackupService::RegionScan {
  kvrpcpb::Context region;
  Bytes file_start;  // encoded; where the present files begin
  Bytes end;
  std::unique_ptr<BackupFiles> files;
  uint64_t pieces = 0;
};

void BackupService::Register(sim::MethodTable* methods) { methods->Add(kBackup, this, &BackupService::Backup); }

sim::Task<Status> BackupService::Backup(std::shared_ptr<const backup::BackupRequest> request, sim::CallContext context,
                                        sim::StreamWriter* writer) {
  Job job;
  job.request = request;
  job.context = context;
  job.writer = writer;
  job.run = cluster_->Run(store_);
  if (!IsColumnFamily(request->cf())) {
    co_return Status::Rejected("InvalidCf { cf: \"" + Printable(request->cf()) + "\" }");
  }
  if (const uint64_t backoff_ms = cluster_->TakeBusy(context.label); backoff_ms > 0) {
    backup::Error error;
    *error.mutable_region_error() = ServerIsBusyError("the store is busy", backoff_ms);
    sim::Task<Status> sending = SendError(&job, std::move(error));
    CO_RETURN_IF_ERROR(co_await std::move(sending));
    co_return Status::Ok();
  }
  if (std::optional<backup::Error> error = Prepare(&job)) {
    sim::Task<Status> sending = SendError(&job, std::move(*error));
    CO_RETURN_IF_ERROR(co_await std::move(sending));
    co_return Status::Ok();
  }
  std::vector<std::pair<Bytes, Bytes>> ranges;
  for (const kvrpcpb::KeyRange& range : request->sub_ranges()) {
    ranges.emplace_back(range.start_key(), range.end_key());
  }
  if (ranges.empty()) {
    ranges.emplace_back(request->start_key(), request->end_key());
  }
  for (const auto& [start, end] : ranges) {
    sim::Task<Status> range = BackupRange(&job, job.Encode(start), job.Encode(end));
    CO_RETURN_IF_ERROR(co_await std::move(range));
  }
  cluster_->Log(store_, "backup", request->end_version(), job.regions);
  co_return Status::Ok();
}

std::optional<backup::Error> BackupService::Prepare(Job* job) {
  const backup::BackupRequest& request = *job->request;
  if (request.is_raw_kv() && request.dst_api_version() != kvrpcpb::V1) {
    const std::string name = kvrpcpb::APIVersion_Name(request.dst_api_version());
    return MessageOf(request.dst_api_version() == kvrpcpb::V2
                         ? "Other(\"conversion of raw keys to API version V2 is not served\")"
                         : "Other(\"invalid backup version, cur: V1, dst: " + name + "\")");
  }
  if (request.is_raw_kv()) {
    job->raw_family = request.cf().empty() ? "default" : request.cf();
  }
  if (cluster_->options().storages == nullptr) {
    return MessageOf(IoWords(Status::Unsupported("no storages in this cluster")));
  }
  const Result<objects::ObjectStore*> storage = cluster_->options().storages->Open(request.storage_backend());
  if (!storage.ok()) {
    return MessageOf(IoWords(storage.error()));
  }
  job->storage = *storage;
  job->files.codec = cluster_->options().sst_codec;
  job->files.compression = CompressionOf(request.compression_type());
  job->files.compression_level = request.compression_level();
  if (request.has_cipher_info()) {
    Result<Cipher> cipher = CipherOf(request.cipher_info());
    if (!cipher.ok()) {
      return MessageOf("Other(\"new EncrypterReader error: " + cipher.error().message() + "\")");
    }
    job->files.cipher = *std::move(cipher);
  }
  return std::nullopt;
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
  if (!job.raw() && !bugs.On(sim::Bug::kMaxTsNotPushed)) {
    concurrency.UpdateMaxTs(backup_ts);
  }
  if (!job.raw() && !bugs.On(sim::Bug::kMemoryLockUnseen)) {
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
  if (!job->Decode(start).ok() || !job->Decode(end).ok()) {
    sim::Task<Status> sending = SendError(job, MessageOf("a region boundary is no encoded key"));
    co_return co_await std::move(sending);
  }
  const std::unique_ptr<PinnedSnapshot> pinned = cluster_->Pin();
  // With the planted bug nothing is smaller than the empty end key, and the last region reads as empty.
  const bool nothing = (end.empty() && cluster_->world()->bugs().On(sim::Bug::kLastRegionEmptyEndKey)) ||
                       (job->raw() && !FindColumnFamily(job->raw_family).has_value());
  std::unique_ptr<BackupEntryScanner> scanner;
  if (job->raw()) {
    scanner = std::make_unique<RawBackupScanner>(pinned->get(), FindColumnFamily(job->raw_family).value_or(ColumnFamily::kDefault),
                                                 start, end);
  } else {
    BackupScanOptions options;
    options.start_version = Timestamp(job->request->start_version());
    options.backup_ts = Timestamp(job->request->end_version());
    options.ignore_locks = cluster_->world()->bugs().On(sim::Bug::kOneKeyOfAPair);
    scanner = std::make_unique<BackupScanner>(pinned->get(), start, end, options);
  }
  RegionScan scan{std::move(region), start, end, job->NewFiles(), 0};
  if (!nothing) {
    sim::Task<Result<std::optional<backup::Error>>> scanning = ScanRegion(job, &scan, scanner.get());
    Result<std::optional<backup::Error>> failed = co_await std::move(scanning);
    if (!failed.ok()) {
      co_return failed.error();
    }
    if (failed->has_value()) {
      sim::Task<Status> sending = SendError(job, *std::move(*failed));
      co_return co_await std::move(sending);
    }
  }
  sim::Task<Status> finishing = FinishFiles(job, &scan, end);
  co_return co_await std::move(finishing);
}

sim::Task<BackupBatch> BackupService::NextBatch(BackupEntryScanner* scanner) {
  BackupBatch batch;
  while (!scanner->Fill(&batch, kBatchEntries, kVisitsInOneGo)) {
    // Nothing to do elsewhere, but behind real ports others come first.
    sim::Task<void> giving_way = cluster_->world()->Offload([]() {});
    co_await std::move(giving_way);
  }
  co_return batch;
}

sim::Task<Result<std::optional<backup::Error>>> BackupService::ScanRegion(Job* job, RegionScan* scan,
                                                                          BackupEntryScanner* scanner) {
  using End = std::optional<backup::Error>;
  const uint64_t order = job->context.label.hash();
  for (bool done = false; !done;) {
    sim::Task<BackupBatch> reading = NextBatch(scanner);
    const BackupBatch batch = co_await std::move(reading);
    if (batch.locked.has_value()) {
      backup::Error error;
      *error.mutable_kv_error() = *batch.locked;
      co_return End(std::move(error));
    }
    if (batch.broken.has_value()) {
      co_return End(MessageOf(batch.broken->abort()));
    }
    done = batch.done;
    if (batch.entries.empty()) {
      continue;
    }
    if (!job->raw() && scan->files->counted_bytes() >= cluster_->options().sst_bytes_max) {
      const Bytes cut = EncodeKey(batch.entries.front().user_key);
      sim::Task<Status> finishing = FinishFiles(job, scan, cut);
      CO_RETURN_IF_ERROR(co_await std::move(finishing));
      scan->file_start = cut;
      scan->files = job->NewFiles();
    }
    const auto build = [files = scan->files.get(), &batch]() {
      for (const BackupEntry& entry : batch.entries) {
        files->Add(entry);
      }
    };
    sim::Task<void> building = cluster_->world()->Offload(build);
    co_await std::move(building);
    sim::Task<bool> working = cluster_->Work(store_, job->run, kBatchUs, order);
    if (!co_await std::move(working)) {
      co_return Status::Unavailable("the store is down");
    }
  }
  co_return End();
}

sim::Task<Status> BackupService::FinishFiles(Job* job, RegionScan* scan, Bytes end) {
  backup::BackupResponse response;
  response.set_start_key(*job->Decode(scan->file_start));
  response.set_end_key(*job->Decode(end));
  response.set_api_version(job->request->dst_api_version());
  if (!scan->files->empty()) {
    sim::Task<void> saving = SaveFiles(job, scan, &response);
    co_await std::move(saving);
    if (const uint64_t rate = job->request->rate_limit(); rate > 0) {
      // TiKV limits the upload of the files. In a simulation what a library makes of the bytes must not decide about time.
      const uint64_t bytes = cluster_->options().instant ? SizeOf(response) : scan->files->raw_bytes();
      const Micros us = static_cast<Micros>(bytes * static_cast<uint64_t>(kMicrosPerSecond) / rate);
      co_await cluster_->world()->scheduler().Sleep(us, job->context.label.hash());
    }
  }
  ++scan->pieces;
  if (!job->run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  sim::Task<Status> sending = Send(job, std::move(response));
  co_return co_await std::move(sending);
}

sim::Task<void> BackupService::SaveFiles(Job* job, RegionScan* scan, backup::BackupResponse* response) {
  BackupFileName name;
  name.store = store_.value();
  name.region = scan->region.region_id();
  name.version = scan->region.region_epoch().version();
  if (!job->raw() || !scan->file_start.empty()) {
    name.start_key = response->start_key();
  }
  name.clock_ms = cluster_->pd().oracle().ClockMs(cluster_->world()->scheduler().now_us());
  name.in_folder = job->request->storage_backend().has_local();
  Result<std::vector<BackupFiles::Output>> outputs = Status::Unavailable("not begun");
  const auto finish = [files = scan->files.get(), stem = name.ToString(), &outputs]() { outputs = files->Finish(stem); };
  sim::Task<void> finishing = cluster_->world()->Offload(finish);
  co_await std::move(finishing);
  if (!outputs.ok()) {
    *response->mutable_error() = MessageOf("Other(\"" + outputs.error().message() + "\")");
    co_return;
  }
  objects::WorldObjectStore storage(cluster_->world(), job->storage);
  for (BackupFiles::Output& output : *outputs) {
    sim::Label label = job->context.label.Keyed("upload-" + output.file.cf(), scan->file_start, scan->pieces + 1);
    sim::Task<Status> putting = storage.Put(std::move(label), output.file.name(), std::move(output.content));
    const Status put = co_await std::move(putting);
    if (!put.ok()) {
      response->clear_files();
      *response->mutable_error() = MessageOf(IoWords(put));
      co_return;
    }
    backup::File& file = *response->add_files() = std::move(output.file);
    file.set_start_key(response->start_key());
    file.set_end_key(response->end_key());
    file.set_start_version(job->raw() ? 0 : job->request->start_version());
    file.set_end_version(job->raw() ? 0 : job->request->end_version());
  }
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
