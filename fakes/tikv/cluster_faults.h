// FaultExecutor: carries the faults of a case out on the clusters of its world.
//
// The message that a fault hangs on says where: its address names the cluster and store, its request names the region (the
// region id of its context, or a key in it). A step that is no message means the first cluster. What has no effect there,
// or would leave a region without a majority, is refused and not counted.
// Not here: faults of messages (the fabric) and of objects (the object store's own steps).
#pragma once

#include <vector>

#include "fakes/sim/world.h"
#include "fakes/tikv/cluster.h"

namespace kvjury::tikv {

class FaultExecutor {
 public:
  /// Registers with the world's fault plan. The clusters must outlive the run; the first is the source.
  FaultExecutor(sim::World* world, std::vector<Cluster*> clusters);
  FaultExecutor(const FaultExecutor&) = delete;
  FaultExecutor& operator=(const FaultExecutor&) = delete;
  ~FaultExecutor();

  /// True if the fault had an effect.
  bool Execute(const record::Fault& fault, const sim::FaultSite& site);

 private:
  [[nodiscard]] Cluster* ClusterOf(const sim::FaultSite& site) const;

  sim::World* world_;
  std::vector<Cluster*> clusters_;
};

/// The region that a request addresses: by its context, else by the first key in it; invalid if it names none.
RegionId AddressedRegion(const Cluster& cluster, const google::protobuf::Message& request);

}  // namespace kvjury::tikv
