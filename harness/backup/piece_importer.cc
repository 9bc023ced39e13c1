#include "harness/backup/piece_importer.h"

#include "fakes/base/digest.h"
#include "fakes/tikv/methods.h"

namespace kvjury::backup {

using sim::Bug;
using sim::Label;
using sim::Task;

Task<Status> PieceImporter::Import(const RangeFiles& range, RegionRoute route, Bytes cursor) {
  import_sstpb::MultiIngestRequest ingest;
  *ingest.mutable_context() = ContextOf(route);
  for (const File* file : range.files) {
    CO_ASSIGN_OR_RETURN(const ColumnFamily family, FamilyOfFile(*file));
    if (family == ColumnFamily::kDefault && calls_->world()->bugs().On(Bug::kValueOrCommitFamilyMissing)) {
      continue;
    }
    auto download = Download(*file, family, route, cursor);
    CO_ASSIGN_OR_RETURN(const std::optional<import_sstpb::SSTMeta> sst, co_await std::move(download));
    if (sst.has_value()) {
      *ingest.add_ssts() = *sst;
    }
  }
  if (ingest.ssts_size() == 0) {
    co_return Status::Ok();
  }
  auto find = calls_->StoreAddress(route.leader.store_id());
  CO_ASSIGN_OR_RETURN(const sim::Address address, co_await std::move(find));
  auto call = calls_->Call(tikv::kMultiIngest, address, std::move(ingest), calls_->labels()->Keyed("ingest", cursor));
  CO_ASSIGN_OR_RETURN(const std::shared_ptr<const import_sstpb::IngestResponse> answer, co_await std::move(call));
  if (answer->has_error()) {
    co_return FromRegionError(answer->error());
  }
  co_return Status::Ok();
}

Task<Result<std::optional<import_sstpb::SSTMeta>>> PieceImporter::Download(const File& file, ColumnFamily family,
                                                                           RegionRoute route, Bytes cursor) {
  const std::string piece = std::string("download-") + ColumnFamilyName(family) + "-";
  import_sstpb::DownloadRequest request;
  FillDownload(file, family, route, cursor, &request);
  std::optional<import_sstpb::SSTMeta> sst;
  for (const metapb::Peer& peer : route.region.peers()) {
    auto find = calls_->StoreAddress(peer.store_id());
    CO_ASSIGN_OR_RETURN(const sim::Address address, co_await std::move(find));
    Label label = calls_->labels()->Keyed(piece + std::to_string(peer.store_id()), cursor);
    auto call = calls_->Call(tikv::kDownload, address, request, std::move(label));
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<const import_sstpb::DownloadResponse> answer, co_await std::move(call));
    if (answer->has_error()) {
      co_return Status::Unavailable("store " + std::to_string(peer.store_id()) + " cannot download " + file.name() +
                                    ": " + answer->error().message());
    }
    if (answer->is_empty()) {
      continue;
    }
    sst = request.sst();
    *sst->mutable_range() = answer->range();
  }
  co_return sst;
}

void PieceImporter::FillDownload(const File& file, ColumnFamily family, const RegionRoute& route, const Bytes& cursor,
                                 import_sstpb::DownloadRequest* request) {
  import_sstpb::SSTMeta* sst = request->mutable_sst();
  Bytes uuid;
  AppendBe64(&uuid, calls_->labels()->Keyed("uuid", cursor).hash());
  AppendBe64(&uuid, Hash64(file.name()));
  sst->set_uuid(uuid);
  sst->mutable_range()->set_start(route.region.start_key());
  // Keys carry a timestamp, so that none of this region equals the next one's start; empty is no bound.
  sst->mutable_range()->set_end(route.region.end_key());
  sst->set_length(file.size());
  sst->set_cf_name(ColumnFamilyName(family));
  sst->set_region_id(route.region.id());
  *sst->mutable_region_epoch() = route.region.region_epoch();
  sst->set_cipher_iv(file.cipher_iv());
  request->set_name(file.name());
  *request->mutable_storage_backend() = calls_->host().storage;
  request->set_is_raw_kv(true);  // br sends it for transactional files, too
  request->mutable_cipher_info()->set_cipher_type(encryptionpb::PLAINTEXT);
  request->set_storage_cache_id("kvjury");
}

}  // namespace kvjury::backup
