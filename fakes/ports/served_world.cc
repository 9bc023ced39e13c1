#include "fakes/ports/served_world.h"

namespace kvjury::ports {

namespace {

sim::FabricOptions NoLatency() {
  sim::FabricOptions options;
  options.latency_us = 0;
  return options;
}

// Keys at which the versions, or without any the bytes that keys may begin with, fall into `regions` parts.
std::vector<Bytes> EvenCuts(const std::vector<tikv::UserVersion>& versions, uint32_t regions) {
  std::vector<Bytes> cuts;
  for (uint32_t i = 1; i < regions; ++i) {
    if (versions.empty()) {
      cuts.emplace_back(1, static_cast<char>(256 * i / regions));
    } else {
      cuts.push_back(versions[versions.size() * i / regions].key);
    }
  }
  return cuts;
}

tikv::ClusterOptions OptionsOf(const record::RecordingBegin& begin) {
  tikv::ClusterOptions options;
  options.cluster_id = begin.cluster_id();
  options.keep_collected = begin.keep_collected();
  options.stores = begin.stores();
  options.pd_members = begin.pd_members();
  options.clock_start_ms = begin.clock_start_ms();
  options.sst_codec = tikv::SstCodec::kRocksDb;
  options.instant = true;
  options.raft.commit_us = 0;
  options.pd_client_urls.assign(begin.pd_client_url().begin(), begin.pd_client_url().end());
  for (const record::RecordingBegin::Advertised& store : begin.advertised()) {
    options.advertised.push_back({store.address(), store.status_address()});
  }
  return options;
}

}  // namespace

ServedWorld::ServedWorld(const record::Case& faults, objects::Storages::Factory storages)
    : world_(faults, NoLatency()), storages_(std::move(storages)), script_(&world_) {}

Status ServedWorld::MakeCluster(const record::RecordingBegin& begin, std::vector<tikv::UserVersion> versions, tikv::DurableState* durable,
                                bool is_new) {
  CHECK(cluster_ == nullptr);
  tikv::ClusterOptions options = OptionsOf(begin);
  options.durable = durable;
  options.storages = &storages_;
  cluster_ = std::make_unique<tikv::Cluster>(&world_, options);
  RETURN_IF_ERROR(cluster_->loaded());
  for (const record::RecordingBegin::Version& version : begin.version()) {
    versions.push_back({version.key(), version.value(), Timestamp(version.start_ts()), Timestamp(version.commit_ts())});
  }
  if (!versions.empty()) {
    cluster_->LoadVersions(versions);
  }
  for (const Bytes& cut : EvenCuts(versions, is_new ? begin.regions() : 0)) {
    static_cast<void>(cluster_->SplitAt(cut));  // false where two cuts fall on one key
  }
  if (is_new && begin.faults().trigger().empty_key_region()) {
    CHECK(cluster_->SplitAt(""));
  }
  if (is_new) {
    cluster_->SpreadLeaders();
  }
  script_.SetRegionStart([this](const google::protobuf::Message& request) {
    return cluster_->RegionStart(tikv::AddressedRegion(*cluster_, request));
  });
  faults_ = std::make_unique<tikv::FaultExecutor>(&world_, std::vector<tikv::Cluster*>{cluster_.get()});
  return Status::Ok();
}

}  // namespace kvjury::ports
