#include "fakes/tikv/import_service.h"

#include "fakes/tikv/import_rewrite.h"
#include "fakes/tikv/methods.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

constexpr Micros kImportModeUs = 600'000'000;
constexpr Micros kDownloadUs = 1'000;
constexpr Micros kIngestUs = 1'000;

std::string FileNameOf(const import_sstpb::SSTMeta& meta) {
  return ToHex(meta.uuid()) + "_" + std::to_string(meta.region_id()) + "_" +
         std::to_string(meta.region_epoch().conf_ver()) + "_" + std::to_string(meta.region_epoch().version()) + "_" +
         meta.cf_name() + "_2.sst";
}

bool SameEpoch(const import_sstpb::SSTMeta& meta, const Region& region) {
  return meta.region_epoch().conf_ver() == region.conf_ver && meta.region_epoch().version() == region.version;
}

import_sstpb::DownloadResponse FailedDownload(const std::string& message) {
  import_sstpb::DownloadResponse response;
  response.mutable_error()->set_message(message);
  return response;
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
  methods->Add(kMultiIngest, this, &ImportService::MultiIngest);
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
  if (request->ssts_size() > 0) {
    co_return FailedDownload("`ssts` must be empty, use BatchDownload instead");
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

sim::Task<Result<import_sstpb::DownloadResponse>> ImportService::Fetch(const import_sstpb::DownloadRequest& request,
                                                                       StoreRunPtr run, sim::CallContext context) {
  const import_sstpb::SSTMeta& meta = request.sst();
  if (request.cipher_info().cipher_type() > encryptionpb::PLAINTEXT || cluster_->options().storages == nullptr) {
    co_return FailedDownload("encrypted files are not served");
  }
  if (meta.cf_name() != "default" && meta.cf_name() != "write") {
    co_return FailedDownload("invalid column family " + meta.cf_name());
  }
  Result<objects::ObjectStore*> plain = cluster_->options().storages->Open(request.storage_backend());
  if (!plain.ok()) {
    co_return FailedDownload(plain.error().message());
  }
  objects::WorldObjectStore storage(cluster_->world(), *plain);
  sim::Task<Result<Bytes>> getting = storage.Get(context.label / "fetch", request.name());
  Result<Bytes> content = co_await std::move(getting);
  if (!run->alive) {
    co_return Status::Unavailable("the store is down");
  }
  if (!content.ok()) {
    co_return FailedDownload("Cannot read " + request.name() + ": " + content.error().message());
  }
  if (meta.length() != 0 && content->size() != meta.length()) {
    co_return FailedDownload("\"downloaded size " + std::to_string(content->size()) + ", expected " +
                             std::to_string(meta.length()) + "\"");
  }
  Result<ImportedFile> file = ImportFile(*content, meta, request.rewrite_rule());
  if (!file.ok()) {
    co_return FailedDownload(file.error().message());
  }
  import_sstpb::DownloadResponse response;
  response.mutable_range();
  const std::string name = FileNameOf(meta);
  run->memory.import_files.erase(name);
  if (file->entries.empty() && !file->is_unchanged) {
    response.set_is_empty(true);
    co_return response;
  }
  if (file->entries.empty()) {
    *response.mutable_range() = meta.range();
  } else {
    response.mutable_range()->set_start(file->entries.front().key);
    response.mutable_range()->set_end(file->entries.back().key);
  }
  run->memory.import_files[name] = StoreMemory::ImportFile{meta, std::move(file->entries)};
  co_return response;
}

// --- ingest ---

ImportService::Answer<import_sstpb::IngestResponse> ImportService::MultiIngest(
    Ptr<import_sstpb::MultiIngestRequest> request, sim::CallContext context) {
  const StoreRunPtr run = cluster_->Run(store_);
  const uint64_t order = context.label.hash();
  sim::Task<bool> working = cluster_->Work(store_, run, kIngestUs, order);
  if (!co_await std::move(working)) {
    co_return Status::Unavailable("the store is down");
  }
  import_sstpb::IngestResponse response;
  if (const uint64_t backoff_ms = cluster_->TakeBusy(context.label); backoff_ms > 0) {
    *response.mutable_error() = ServerIsBusyError("too many sst files are ingesting", backoff_ms);
    co_return response;
  }
  StoreMemory& memory = run->memory;
  std::vector<std::string> names;
  for (const import_sstpb::SSTMeta& meta : request->ssts()) {
    names.push_back(FileNameOf(meta));
    if (memory.ingesting.count(names.back()) > 0) {
      *response.mutable_error() = MessageError("ingest file conflict");
      co_return response;
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
