#include "fakes/tikv/cluster_faults.h"

#include "fakes/base/memcomparable.h"
#include "proto/tikv/backup.pb.h"
#include "proto/tikv/import_sstpb.pb.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::tikv {

namespace {


const kvrpcpb::Context* ContextOf(const google::protobuf::Message& request) {
  const auto* field = request.GetDescriptor()->FindFieldByName("context");
  if (field == nullptr || field->message_type() != kvrpcpb::Context::descriptor() || field->is_repeated() ||
      !request.GetReflection()->HasField(request, field)) {
    return nullptr;
  }
  return static_cast<const kvrpcpb::Context*>(&request.GetReflection()->GetMessage(request, field));
}

RegionId RegionOfKey(const Cluster& cluster, std::string_view encoded_key) {
  return cluster.regions().FindByKey(encoded_key)->id;
}

}  // namespace

RegionId AddressedRegion(const Cluster& cluster, const google::protobuf::Message& request) {
  if (const kvrpcpb::Context* context = ContextOf(request); context != nullptr && context->region_id() != 0) {
    const RegionId id(context->region_id());
    return cluster.regions().Find(id) == nullptr ? RegionId() : id;
  }
  if (const auto* get = dynamic_cast<const pdpb::GetRegionRequest*>(&request)) {
    return RegionOfKey(cluster, get->region_key());
  }
  if (const auto* scan = dynamic_cast<const pdpb::ScanRegionsRequest*>(&request)) {
    return RegionOfKey(cluster, scan->start_key());
  }
  if (const auto* asked = dynamic_cast<const backup::BackupRequest*>(&request)) {
    return RegionOfKey(cluster, EncodeBoundary(asked->sub_ranges_size() > 0 ? asked->sub_ranges(0).start_key()
                                                                            : asked->start_key()));
  }
  if (const auto* answered = dynamic_cast<const backup::BackupResponse*>(&request)) {
    return RegionOfKey(cluster, EncodeBoundary(answered->start_key()));
  }
  if (const auto* download = dynamic_cast<const import_sstpb::DownloadRequest*>(&request)) {
    const RegionId id(download->sst().region_id());
    return cluster.regions().Find(id) == nullptr ? RegionId() : id;
  }
  return RegionId();
}

FaultExecutor::FaultExecutor(sim::World* world, std::vector<Cluster*> clusters)
    : world_(world), clusters_(std::move(clusters)) {
  CHECK(!clusters_.empty());
  world_->faults().SetExecutor(
      [this](const record::Fault& fault, const sim::FaultSite& site) { return Execute(fault, site); });
}

FaultExecutor::~FaultExecutor() { world_->faults().SetExecutor(nullptr); }

Cluster* FaultExecutor::ClusterOf(const sim::FaultSite& site) const {
  if (site.to.empty()) {
    return clusters_.front();
  }
  for (Cluster* cluster : clusters_) {
    if (cluster->Owns(site.to)) {
      return cluster;
    }
  }
  return nullptr;
}

bool FaultExecutor::Execute(const record::Fault& fault, const sim::FaultSite& site) {
  Cluster* cluster = ClusterOf(site);
  if (cluster == nullptr) {
    return false;
  }
  const StoreId store = cluster->StoreAt(site.to);
  const RegionId region = site.request == nullptr ? RegionId() : AddressedRegion(*cluster, *site.request);
  switch (fault.kind_case()) {
    case record::Fault::kSplitRegion:
      if (!fault.split_region().key().empty()) {
        return cluster->SplitAt(fault.split_region().key());
      }
      return region.valid() && cluster->SplitMiddle(region);
    case record::Fault::kMergeRegion:
      return region.valid() && cluster->MergeWithNext(region);
    case record::Fault::kTransferLeader:
      return region.valid() && cluster->TransferLeader(region);
    case record::Fault::kKillStore:
      return store.valid() && fault.kill_store().down_us() > 0 && cluster->KillStore(store, fault.kill_store().down_us());
    case record::Fault::kPauseStore:
      return store.valid() && cluster->PauseStore(store, fault.pause_store().pause_us());
    case record::Fault::kStaleRoute:
      return cluster->StaleRoutes(fault.stale_route().age_us(), fault.stale_route().duration_us());
    case record::Fault::kServerBusy:
      return store.valid() && cluster->PlanBusy(site.label, static_cast<uint64_t>(fault.server_busy().backoff_ms()));
    case record::Fault::kPdLeaderChange:
      return cluster->PdLeaderChange(fault.pd_leader_change().down_us());
    case record::Fault::kDropProposal:
      return store.valid() && cluster->PlanDrop(site.label);
    case record::Fault::kClockJump:
      return cluster->JumpClock(fault.clock_jump().forward_ms());
    case record::Fault::kGcNow:
      return cluster->GcNow();
    default:
      return false;  // carried out by the fabric, by object steps, or unknown to this version
  }
}

}  // namespace kvjury::tikv
