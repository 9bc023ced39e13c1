#include "fakes/tikv/import_service.h"

#include <algorithm>

#include "fakes/tikv/backup_files.h"
#include "fakes/tikv/import_rewrite.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

constexpr Micros kImportModeUs = 600'000'000;
constexpr Micros kDownloadUs = 1'000;
constexpr Micros kIngestUs = 1'000;

constexpr uint64_t kSuspendSecondsMax = 6 * 60 * 60;
constexpr uint64_t kMicrosPerSecond = 1'000'000;
constexpr size_t kUuidBytes = 16;

// "c83767fa-a440-4f72-bff8-727c073ade89_16_1_9_write_2.sst"
std::string FileNameOf(const import_sstpb::SSTMeta& meta) {
  std::string uuid = ToHex(meta.uuid());
  for (const size_t at : {size_t{20}, size_t{16}, size_t{12}, size_t{8}}) {
    uuid.insert(std::min(at, uuid.size()), "-");
  }
  return uuid + "_" + std::to_string(meta.region_id()) + "_" + std::to_string(meta.region_epoch().conf_ver()) + "_" +
         std::to_string(meta.region_epoch().version()) + "_" + meta.cf_name() + "_2.sst";
}

bool SameEpoch(const import_sstpb::SSTMeta& meta, const Region& region) {
  return meta.region_epoch().conf_ver() == region.conf_ver && meta.region_epoch().version() == region.version;
}

// Of the cluster's API version 1: files of version 1, and those of version 2 that hold nothing but TiDB's keys (prefixes m and t;
// TiKV looks below m and between the two).
bool IsApiVersionCompatible(const StoreMemory::ImportFile& file) {
  if (file.meta.api_version() == kvrpcpb::V1) {
    return true;
  }
  if (file.meta.api_version() == kvrpcpb::V1TTL) {
    return false;
  }
  for (const SstEntry& entry : file.entries) {
    if (entry.key < "m" || (entry.key >= "n" && entry.key < "t")) {
      return false;
    }
  }
  return true;
}

std::string UrlOf(const backup::StorageBackend& backend) {
  if (!backend.has_local()) {
    return "noop://";
  }
  const std::string& path = backend.local().path();
  return "local://" + (path.rfind('/', 0) == 0 ? path : "/" + path);
}

import_sstpb::DownloadResponse FailedDownload(const std::string& message) {
  import_sstpb::DownloadResponse response;
  response.mutable_error()->set_message(message);
  return response;
}

// What RocksDB says, as TiKV's Rust prints it; clients match on parts of it.
std::string EngineWords(const Status& damage, const std::string& path) {
  std::string words = damage.message();
  if (const size_t at = words.find(kSstFileWord); at != std::string::npos) {
    words.replace(at, kSstFileWord.size(), path);
  }
  return "Engine Engine(Status { code: IoError, sub_code: None, sev: NoError, state: \"Corruption: " + words + "\" })";
}

// As Rust prints a duration of whole milliseconds.
std::string DurationWords(uint64_t ms) {
  if (ms < 1000) {
    return std::to_string(ms) + "ms";
  }
  std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return std::to_string(ms / 1000) + (fraction.empty() ? "" : "." + fraction) + "s";
}

// Takes a name out of a set of a store's run when it goes out of scope.
class Claim {
 public:
  Claim(StoreRunPtr run, std::set<std::string>* names, std::vector<std::string> claimed)
      : run_(std::move(run)), names_(names), claimed_(std::move(claimed)) {
    names_->insert(claimed_.begin(), claimed_.end());
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    for (const std::string& name : claimed_) {
      names_->erase(name);
    }
    run_->memory.import_changed.NotifyAll();
  }

 private:
  StoreRunPtr run_;
  std::set<std::string>* names_;
  std::vector<std::string> claimed_;
};

}  // namespace

void ImportService::Register(sim::MethodTable* methods) {
  methods->Add(kSwitchMode, this, &ImportService::SwitchMode);
  methods->Add(kDownload, this, &ImportService::Download);
  methods->Add(kIngest, this, &ImportService::IngestOne);
  methods->Add(kMultiIngest, this, &ImportService::MultiIngest);
  methods->Add(kSetDownloadSpeedLimit, this, &ImportService::SetDownloadSpeedLimit);
  methods->Add(kClearFiles, this, &ImportService::ClearFiles);
  methods->Add(kImportCompact, this, &ImportService::Compact);
  methods->Add(kSuspendImportRpc, this, &ImportService::SuspendImportRpc);
}

ImportService::Answer<import_sstpb::SwitchModeResponse> ImportService::SwitchMode(
    Ptr<import_sstpb::SwitchModeRequest> request, sim::CallContext) {
  const bool import = request->mode() == import_sstpb::Import;
  const Micros now_us = cluster_->world()->scheduler().now_us();
  cluster_->Run(store_)->memory.import_mode_until_us = import ? now_us + kImportModeUs : 0;
  cluster_->Log(store_, "switch mode", import ? 1 : 0);
  co_return import_sstpb::SwitchModeResponse();
}

// --- download ---

ImportService::Answer<import_sstpb::DownloadResponse> ImportService::Download(
    Ptr<import_sstpb::DownloadRequest> request, sim::CallContext context) {
  if (request->sst().uuid().size() != kUuidBytes) {
    co_return FailedDownload("invalid bytes length: expected 16, found " + std::to_string(request->sst().uuid().size()));
  }
  const StoreRunPtr run = cluster_->Run(store_);
  const std::string name = FileNameOf(request->sst());
  while (run->alive && run->memory.downloading.count(name) > 0) {
    co_await run->memory.import_changed.Wait();
  }
  if (!run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  const Claim claim(run, &run->memory.downloading, {name});
  const uint64_t order = context.label.hash();
  sim::Task<bool> working = cluster_->Work(store_, run, kDownloadUs, order);
  if (!co_await std::move(working)) {
    co_return Status::Unavailable("the store is down");
  }
  if (const uint64_t backoff_ms = cluster_->TakeBusy(context.label); backoff_ms > 0) {
    import_sstpb::DownloadResponse response = FailedDownload("the store is busy");
    *response.mutable_error()->mutable_store_error() = ServerIsBusyError("the store is busy", backoff_ms);
    co_return response;
  }
  sim::Task<Result<import_sstpb::DownloadResponse>> fetching = Fetch(*request, run, context);
  Result<import_sstpb::DownloadResponse> response = co_await std::move(fetching);
  if (response.ok()) {
    cluster_->Log(store_, "download", Hash64(request->sst().range().start()), response->has_error() ? 1 : 0);
  }
  co_return response;
}

Result<objects::ObjectStore*> ImportService::StorageOf(const import_sstpb::DownloadRequest& request, StoreMemory* memory) {
  if (cluster_->options().storages == nullptr) {
    return Status::Unsupported("no storages in this cluster");
  }
  const auto cached = memory->cached_storages.find(request.storage_cache_id());
  if (cached != memory->cached_storages.end()) {
    return cached->second;
  }
  ASSIGN_OR_RETURN(objects::ObjectStore* const storage, cluster_->options().storages->Open(request.storage_backend()));
  if (!request.storage_cache_id().empty()) {
    memory->cached_storages[request.storage_cache_id()] = storage;
  }
  return storage;
}

sim::Task<void> ImportService::Throttle(StoreRunPtr run, uint64_t bytes, uint64_t order) {
  StoreMemory& memory = run->memory;
  if (memory.download_bytes_per_s == 0) {
    co_return;
  }
  const Micros now_us = cluster_->world()->scheduler().now_us();
  memory.download_busy_until_us = std::max(memory.download_busy_until_us, now_us) +
                                  static_cast<Micros>(bytes * kMicrosPerSecond / memory.download_bytes_per_s);
  co_await cluster_->world()->scheduler().Sleep(memory.download_busy_until_us - now_us, order);
}

sim::Task<Result<import_sstpb::DownloadResponse>> ImportService::Fetch(const import_sstpb::DownloadRequest& request,
                                                                       StoreRunPtr run, sim::CallContext context) {
  const import_sstpb::SSTMeta& meta = request.sst();
  if (meta.cf_name() != "default" && meta.cf_name() != "write") {
    co_return FailedDownload("invalid column family " + meta.cf_name());
  }
  const Result<objects::ObjectStore*> plain = StorageOf(request, &run->memory);
  if (!plain.ok()) {
    co_return FailedDownload(plain.status().code() == StatusCode::kNotFound
                                 ? "No such file or directory (os error 2)"
                                 : "bad storage backend: " + plain.status().message());
  }
  const std::string name = FileNameOf(meta);
  const std::string path = "store-" + std::to_string(store_.value()) + "/import/.temp/" + name;
  const std::string cannot_read = "Cannot read " + UrlOf(request.storage_backend()) + "/" + request.name() + " into " + path + ": ";
  const Result<Cipher> cipher = request.has_cipher_info() ? CipherOf(request.cipher_info()) : Result<Cipher>(Cipher());
  if (!cipher.ok()) {
    co_return FailedDownload(cannot_read + cipher.status().message());
  }
  objects::WorldObjectStore storage(cluster_->world(), *plain);
  sim::Task<Result<Bytes>> getting = storage.Get(context.label / "fetch", request.name());
  Result<Bytes> content = co_await std::move(getting);
  if (!run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  if (!content.ok()) {
    const bool missing = content.status().code() == StatusCode::kNotFound;
    co_return FailedDownload(cannot_read + (missing ? "No such file or directory (os error 2)" : content.status().message()));
  }
  if (meta.length() != 0 && content->size() != meta.length()) {
    co_return FailedDownload(cannot_read + "downloaded size " + std::to_string(content->size()) + ", expected " +
                             std::to_string(meta.length()));
  }
  const uint64_t file_bytes = content->size();
  Result<ImportedFile> file = Status::Unavailable("not begun");
  const auto open = [&cipher, &content, &meta, &request, &file]() {
    Result<Bytes> decrypted = cipher->encrypts() ? ApplyCipher(*cipher, meta.cipher_iv(), *content) : std::move(content);
    file = decrypted.ok() ? ImportFile(*decrypted, meta, request.rewrite_rule()) : Result<ImportedFile>(decrypted.status());
  };
  sim::Task<void> opening = cluster_->world()->Offload(open);
  co_await std::move(opening);
  if (!run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  if (!file.ok()) {
    co_return FailedDownload(file.status().code() == StatusCode::kDataLoss ? EngineWords(file.status(), path)
                                                                           : file.status().message());
  }
  // TiKV counts the file's bytes as it reads them. In a simulation what a library makes of them must not decide about time.
  const uint64_t bytes = cluster_->options().instant ? file_bytes : file->raw_bytes;
  sim::Task<void> throttling = Throttle(run, bytes, context.label.hash());
  co_await std::move(throttling);
  if (!run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  co_return Keep(meta, *std::move(file), &run->memory);
}

import_sstpb::DownloadResponse ImportService::Keep(const import_sstpb::SSTMeta& meta, ImportedFile file, StoreMemory* memory) {
  import_sstpb::DownloadResponse response;
  response.mutable_range();
  const std::string name = FileNameOf(meta);
  memory->import_files.erase(name);
  if (file.entries.empty() && !file.is_unchanged) {
    response.set_is_empty(true);
    return response;
  }
  if (file.entries.empty()) {
    *response.mutable_range() = meta.range();
  } else {
    response.mutable_range()->set_start(file.entries.front().key);
    response.mutable_range()->set_end(file.entries.back().key);
  }
  memory->import_files[name] = StoreMemory::ImportFile{meta, std::move(file.entries)};
  return response;
}

// --- ingest ---

ImportService::Answer<import_sstpb::IngestResponse> ImportService::IngestOne(Ptr<import_sstpb::IngestRequest> request,
                                                                             sim::CallContext context) {
  auto multi = std::make_shared<import_sstpb::MultiIngestRequest>();
  *multi->mutable_context() = request->context();
  *multi->add_ssts() = request->sst();
  Answer<import_sstpb::IngestResponse> ingesting = MultiIngest(std::move(multi), std::move(context));
  co_return co_await std::move(ingesting);
}

ImportService::Answer<import_sstpb::IngestResponse> ImportService::MultiIngest(
    Ptr<import_sstpb::MultiIngestRequest> request, sim::CallContext context) {
  const StoreRunPtr run = cluster_->Run(store_);
  const uint64_t order = context.label.hash();
  sim::Task<bool> working = cluster_->Work(store_, run, kIngestUs, order);
  if (!co_await std::move(working)) {
    co_return Status::Unavailable("the store is down");
  }
  import_sstpb::IngestResponse response;
  const Micros now_us = cluster_->world()->scheduler().now_us();
  if (run->memory.import_suspended_until_us > now_us) {
    const auto left_ms = static_cast<uint64_t>((run->memory.import_suspended_until_us - now_us) / 1000);
    *response.mutable_error() = MessageError("imports are suspended for " + DurationWords(left_ms));
    response.mutable_error()->mutable_server_is_busy()->set_backoff_ms(left_ms);
    co_return response;
  }
  if (const uint64_t backoff_ms = cluster_->TakeBusy(context.label); backoff_ms > 0) {
    *response.mutable_error() = ServerIsBusyError("too many sst files are ingesting", backoff_ms);
    co_return response;
  }
  StoreMemory& memory = run->memory;
  std::vector<std::string> names;
  for (const import_sstpb::SSTMeta& meta : request->ssts()) {
    names.push_back(FileNameOf(meta));
    if (meta.uuid().size() != kUuidBytes || memory.ingesting.count(names.back()) > 0) {
      *response.mutable_error() = MessageError("ingest file conflict");
      co_return response;
    }
  }
  for (const std::string& name : names) {
    const auto found = memory.import_files.find(name);
    if (found != memory.import_files.end() && !IsApiVersionCompatible(found->second)) {
      co_return Status::Rejected("IncompatibleApiVersion");
    }
  }
  if (std::optional<errorpb::Error> error = cluster_->Check(store_, request->context(), false)) {
    *response.mutable_error() = std::move(*error);
    co_return response;
  }
  const RegionId region(request->context().region_id());
  if (cluster_->regions().Find(region)->merging) {
    *response.mutable_error() = ProposalInMergingModeError(region);
    co_return response;
  }
  std::vector<StoreMemory::ImportFile> files;
  for (int i = 0; i < request->ssts_size(); ++i) {
    const auto found = memory.import_files.find(names[static_cast<size_t>(i)]);
    if (found == memory.import_files.end()) {
      *response.mutable_error() = StaleCommandError();
      response.mutable_error()->set_message("The file which would be ingested doest not exist.");
      co_return response;
    }
    files.push_back(found->second);
  }
  const Claim claim(run, &memory.ingesting, names);
  std::optional<errorpb::Error> refused;
  sim::Task<ProposalEnd> proposing = cluster_->Propose(
      region, store_, context.label, [this, &request, &files, &refused]() { refused = Ingest(*request, files); });
  const ProposalEnd end = co_await std::move(proposing);
  std::optional<errorpb::Error> failed = cluster_->ProposalError(end, store_, request->context());
  if (failed.has_value() || refused.has_value()) {
    *response.mutable_error() = failed.has_value() ? std::move(*failed) : std::move(*refused);
  }
  if (end == ProposalEnd::kApplied) {
    // Taken in or refused for good: the files are gone either way.
    for (const std::string& name : names) {
      memory.import_files.erase(name);
    }
  }
  cluster_->Log(store_, "ingest", region.value(), response.has_error() ? 1 : 0);
  co_return response;
}

std::optional<errorpb::Error> ImportService::Ingest(const import_sstpb::MultiIngestRequest& request,
                                                    const std::vector<StoreMemory::ImportFile>& files) {
  const Region* region = cluster_->regions().Find(RegionId(request.context().region_id()));
  CHECK(region != nullptr);
  for (const import_sstpb::SSTMeta& meta : request.ssts()) {
    if (meta.region_id() != region->id.value() || !SameEpoch(meta, *region)) {
      return EpochNotMatchError(*region, meta.region_epoch(), {region});
    }
    for (const Bytes* bound : {&meta.range().start(), &meta.range().end()}) {
      if (!region->Contains(*bound)) {
        return KeyNotInRegionError(*bound, *region);
      }
    }
  }
  WriteBatch batch;
  for (const StoreMemory::ImportFile& file : files) {
    const ColumnFamily cf = file.meta.cf_name() == "write" ? ColumnFamily::kWrite : ColumnFamily::kDefault;
    for (const SstEntry& entry : file.entries) {
      batch.Put(cf, entry.key, entry.value);
    }
  }
  cluster_->ApplyBatch(std::move(batch));
  return std::nullopt;
}

// --- the folder and its limits ---

ImportService::Answer<import_sstpb::SetDownloadSpeedLimitResponse> ImportService::SetDownloadSpeedLimit(
    Ptr<import_sstpb::SetDownloadSpeedLimitRequest> request, sim::CallContext) {
  StoreMemory& memory = cluster_->Run(store_)->memory;
  memory.download_bytes_per_s = request->speed_limit();
  memory.download_busy_until_us = 0;
  co_return import_sstpb::SetDownloadSpeedLimitResponse();
}

ImportService::Answer<import_sstpb::ClearResponse> ImportService::ClearFiles(Ptr<import_sstpb::ClearRequest> request,
                                                                             sim::CallContext) {
  StoreMemory& memory = cluster_->Run(store_)->memory;
  import_sstpb::ClearResponse response;
  if (request->prefix().empty()) {
    memory.import_files.clear();
  } else if (memory.import_files.count(request->prefix()) > 0) {
    // The prefix is joined to the folder's path and removed as a folder; files are none.
    response.mutable_error()->set_message("failed to remove directory: Not a directory (os error 20)");
  }
  co_return response;
}

ImportService::Answer<import_sstpb::CompactResponse> ImportService::Compact(Ptr<import_sstpb::CompactRequest>,
                                                                            sim::CallContext) {
  co_return import_sstpb::CompactResponse();
}

ImportService::Answer<import_sstpb::SuspendImportRPCResponse> ImportService::SuspendImportRpc(
    Ptr<import_sstpb::SuspendImportRPCRequest> request, sim::CallContext) {
  if (request->should_suspend_imports() && request->duration_in_secs() > kSuspendSecondsMax) {
    const std::string text = "you are going to suspend the import RPCs too long. (for " +
                             std::to_string(request->duration_in_secs()) + " seconds, max acceptable duration is " +
                             std::to_string(kSuspendSecondsMax) + " seconds)";
    co_return Status::Rejected("Io(Custom { kind: InvalidInput, error: \"" + text + "\" })");
  }
  StoreMemory& memory = cluster_->Run(store_)->memory;
  const Micros now_us = cluster_->world()->scheduler().now_us();
  import_sstpb::SuspendImportRPCResponse response;
  response.set_already_suspended(memory.import_suspended_until_us > now_us);
  const auto duration_us = static_cast<Micros>(request->duration_in_secs() * kMicrosPerSecond);
  memory.import_suspended_until_us = request->should_suspend_imports() ? now_us + duration_us : 0;
  co_return response;
}

size_t ImportService::CleanUp() {
  StoreMemory& memory = cluster_->Run(store_)->memory;
  size_t removed = 0;
  for (auto file = memory.import_files.begin(); file != memory.import_files.end();) {
    const import_sstpb::SSTMeta& meta = file->second.meta;
    const Region* region = cluster_->regions().Find(RegionId(meta.region_id()));
    if (region != nullptr && SameEpoch(meta, *region)) {
      ++file;
      continue;
    }
    file = memory.import_files.erase(file);
    ++removed;
  }
  return removed;
}

}  // namespace kvjury::tikv
