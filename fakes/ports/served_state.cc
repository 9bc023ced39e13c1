#include "fakes/ports/served_state.h"

#include "proto/kvjury/state.pb.h"

namespace kvjury::ports {

namespace {

constexpr char kServedName[] = "served";

Status InFolder(const std::string& folder, const Status& status) {
  return Status(status.code(), "the state in " + folder + " cannot be used: " + status.message());
}

}  // namespace

void ServedState::WritePorts(const ServedPorts& now) const {
  record::ServedState record;
  for (const int port : now.pd) {
    record.add_pd_port(static_cast<uint32_t>(port));
  }
  for (const ServedPorts::Store& store : now.stores) {
    record::ServedState::Store* added = record.add_store();
    added->set_port(static_cast<uint32_t>(store.port));
    added->set_status_port(static_cast<uint32_t>(store.status_port));
  }
  state->Write({}, {{kServedName, record.SerializeAsString()}});
}

Result<ServedState> OpenServedState(const std::string& folder, RocksDbState::Options options) {
  ServedState served;
  ASSIGN_OR_RETURN(served.state, RocksDbState::Open(folder, std::move(options)));
  Result<tikv::SavedCluster> saved = tikv::ReadSavedCluster(served.state.get());
  if (!saved.ok()) {
    return InFolder(folder, saved.error());
  }
  served.saved = *std::move(saved);
  if (served.is_new()) {
    return served;
  }
  Result<std::map<Bytes, Bytes>> meta = served.state->LoadMeta();
  if (!meta.ok()) {
    return InFolder(folder, meta.error());
  }
  const auto found = meta->find(kServedName);
  if (found == meta->end()) {
    return Status::DataLoss("the cluster in " + folder + " was never finished: the program ended while it was made; remove the folder");
  }
  record::ServedState record;
  if (!record.ParseFromString(found->second)) {
    return InFolder(folder, Status::DataLoss("the record of its ports is damaged"));
  }
  for (const uint32_t port : record.pd_port()) {
    served.ports.pd.push_back(static_cast<int>(port));
  }
  for (const record::ServedState::Store& store : record.store()) {
    served.ports.stores.push_back({static_cast<int>(store.port()), static_cast<int>(store.status_port())});
  }
  return served;
}

}  // namespace kvjury::ports
