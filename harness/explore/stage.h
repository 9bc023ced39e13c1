// Stage: one world with what a case needs to be played in it: a source cluster holding the volume, an empty target
// cluster, object storage for backups, the bucket with the volume's blocks, and the clock that they share.
//
// The clocks of both clusters start after everything that is stored in the volume (the target's earlier by the lag that the case asks
// for). The source is cut into regions at even distances of the volume's keys.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fakes/objects/object_store.h"
#include "fakes/sim/world.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/cluster_faults.h"
#include "harness/explore/bucket.h"
#include "harness/explore/volume_library.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::explore {

inline constexpr char kSourceName[] = "source";
inline constexpr char kTargetName[] = "target";

class Stage {
 public:
  Stage(const record::Case& c, std::shared_ptr<const LoadedVolume> volume);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  sim::World& world() { return world_; }
  sim::Scheduler& scheduler() { return world_.scheduler(); }
  [[nodiscard]] const record::Case& spec() const { return world_.spec(); }
  tikv::Cluster& source() { return *source_; }
  tikv::Cluster& target() { return *target_; }
  objects::Storages& storages() { return storages_; }
  /// Where the volume's blocks are, at the source.
  VolumeBucket& bucket() { return bucket_; }
  [[nodiscard]] juicefs::BlockLayout block_layout() const { return LayoutOf(volume_->image.setting->format); }
  [[nodiscard]] const LoadedVolume& volume() const { return *volume_; }

  /// Wall time of the source's clock now, nanoseconds since the epoch.
  [[nodiscard]] int64_t wall_ns() { return clock_start_ms_ * 1'000'000 + scheduler().now_us() * 1'000; }

  /// Ends all lasting faults of both clusters; nothing fires any more.
  void Heal();
  /// Ends the clusters' background work.
  void Shutdown();

 private:
  void MakeClusters();
  void PutVolumeIn();
  void CutIntoRegions();

  sim::World world_;
  std::shared_ptr<const LoadedVolume> volume_;
  objects::Storages storages_;
  VolumeBucket bucket_;
  int64_t clock_start_ms_ = 0;
  std::unique_ptr<tikv::Cluster> source_;
  std::unique_ptr<tikv::Cluster> target_;
  std::unique_ptr<tikv::FaultExecutor> faults_;
};

}  // namespace kvjury::explore
