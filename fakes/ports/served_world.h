// ServedWorld: the world behind a served cluster, without ports, clock and threads: PD, the stores, their faults, the labels of calls.
//
// Made from a plain record (RecordingBegin) alone, so that a recording makes the same one again (replayed_cluster.h).
#pragma once

#include <memory>
#include <vector>

#include "fakes/objects/object_store.h"
#include "fakes/ports/call_script.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/cluster_faults.h"
#include "proto/kvjury/recording.pb.h"

namespace kvjury::ports {

class ServedWorld {
 public:
  ServedWorld(const record::Case& faults, objects::Storages::Factory storages);
  ServedWorld(const ServedWorld&) = delete;
  ServedWorld& operator=(const ServedWorld&) = delete;

  /// Once, before anything happens. The cluster holds `versions`, then those of `begin`; each has timestamps, together they ascend. `durable`
  /// may be null; a cluster that it holds goes on (not `is_new`). Errors: kDataLoss if that cannot be used.
  Status MakeCluster(const record::RecordingBegin& begin, std::vector<tikv::UserVersion> versions, tikv::DurableState* durable, bool is_new);

  sim::World& world() { return world_; }
  objects::Storages& storages() { return storages_; }
  CallScript& script() { return script_; }
  /// After MakeCluster.
  tikv::Cluster& cluster() { return *cluster_; }
  [[nodiscard]] bool has_cluster() const { return cluster_ != nullptr; }

 private:
  sim::World world_;
  objects::Storages storages_;
  CallScript script_;
  std::unique_ptr<tikv::Cluster> cluster_;
  std::unique_ptr<tikv::FaultExecutor> faults_;
};

}  // namespace kvjury::ports
