// ServedState: the folder of `serve --data`: a cluster's state in RocksDB and the ports that its clients know.
//
// The record of the ports is written last when a cluster is made: without it the making was not finished, and the folder is
// refused, so that half a volume is never served as a whole one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fakes/ports/rocksdb_state.h"
#include "fakes/tikv/cluster.h"

namespace kvjury::ports {

struct ServedPorts {
  std::vector<int> pd;
  struct Store {
    int port = 0;
    int status_port = 0;
  };
  std::vector<Store> stores;
};

struct ServedState {
  std::unique_ptr<RocksDbState> state;
  /// Both empty in a new folder.
  tikv::SavedCluster saved;
  ServedPorts ports;

  [[nodiscard]] bool is_new() const { return saved.stores.empty(); }
  void WritePorts(const ServedPorts& now) const;
};

/// Errors: those of RocksDbState::Open and tikv::ReadSavedCluster with the folder named; kDataLoss for half a cluster.
Result<ServedState> OpenServedState(const std::string& folder, RocksDbState::Options options);

}  // namespace kvjury::ports
