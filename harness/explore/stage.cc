#include "harness/explore/stage.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"

namespace kvjury::explore {

namespace {

constexpr int64_t kLoadedBeforeStartMs = 60'000;
constexpr uint64_t kSourceClusterId = 7'000'000'000'000'000'001;
constexpr uint64_t kTargetClusterId = 7'000'000'000'000'000'002;
constexpr uint32_t kStoresByDefault = 3;
constexpr uint32_t kRegionsByDefault = 4;

}  // namespace

Stage::Stage(const record::Case& c, std::shared_ptr<const LoadedVolume> volume) : world_(c), volume_(std::move(volume)), bucket_(&world_.scheduler()) {
  clock_start_ms_ = c.cluster().clock_start_ms() > 0 ? c.cluster().clock_start_ms() : volume_->clock_start_ms();
  MakeClusters();
  PutVolumeIn();
  FillBucket(volume_->image, &bucket_);
  CutIntoRegions();
}

void Stage::MakeClusters() {
  const record::Case& c = spec();
  tikv::ClusterOptions options;
  options.name = kSourceName;
  options.cluster_id = kSourceClusterId;
  options.stores = c.cluster().stores() > 0 ? c.cluster().stores() : kStoresByDefault;
  options.clock_start_ms = clock_start_ms_;
  options.storages = &storages_;
  options.sst_codec = c.tool().memory_sst() ? tikv::SstCodec::kMemory : tikv::SstCodec::kRocksDb;
  if (c.tool().sst_bytes_max() > 0) {
    options.sst_bytes_max = c.tool().sst_bytes_max();
  }
  const uint32_t source_stores = options.stores;
  source_ = std::make_unique<tikv::Cluster>(&world_, options);
  options.name = kTargetName;
  options.cluster_id = kTargetClusterId;
  options.stores = c.cluster().target_stores() > 0 ? c.cluster().target_stores() : source_stores;
  options.clock_start_ms = clock_start_ms_ - c.trigger().target_clock_lag_ms();
  target_ = std::make_unique<tikv::Cluster>(&world_, options);
  faults_ = std::make_unique<tikv::FaultExecutor>(&world_, std::vector<tikv::Cluster*>{source_.get(), target_.get()});
}

void Stage::PutVolumeIn() {
  const Bytes prefix = juicefs::VolumePrefix(volume_->name);
  std::vector<std::pair<Bytes, Bytes>> pairs;
  pairs.reserve(volume_->pairs.size());
  for (const auto& [key, value] : volume_->pairs) {
    pairs.emplace_back(prefix + key, value);
  }
  source_->LoadPairs(pairs, Timestamp::Compose(clock_start_ms_ - kLoadedBeforeStartMs, 0));
}

void Stage::CutIntoRegions() {
  const uint32_t regions = spec().cluster().regions() > 0 ? spec().cluster().regions() : kRegionsByDefault;
  const Bytes prefix = juicefs::VolumePrefix(volume_->name);
  std::vector<Bytes> keys;
  keys.reserve(volume_->pairs.size());
  for (const auto& [key, value] : volume_->pairs) {
    keys.push_back(prefix + key);
  }
  for (uint32_t i = 1; i < regions; ++i) {
    const size_t at = keys.size() * i / regions;
    if (at > 0 && at < keys.size()) {
      static_cast<void>(source_->SplitAt(keys[at]));  // false where two cuts fall on one key
    }
  }
  if (spec().trigger().empty_key_region()) {
    static_cast<void>(source_->SplitAt(Bytes()));
  }
}

void Stage::Heal() {
  world_.faults().Heal();
  source_->Heal();
  target_->Heal();
}

void Stage::Shutdown() {
  source_->Shutdown();
  target_->Shutdown();
}

}  // namespace kvjury::explore
