#include "fakes/ports/folder_at.h"

#include "fakes/ports/served_state.h"
#include "fakes/tikv/settled_read.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::ports {

Result<FolderAt> ReadFolderAt(const std::string& folder, std::optional<Timestamp> at) {
  ASSIGN_OR_RETURN(const ServedState kept, OpenServedState(folder, {.read_only = true}));
  if (kept.is_new()) {
    return Status::Environment("the folder " + folder + " holds no cluster");
  }
  record::PdState pd;
  CHECK(pd.ParseFromString(kept.saved.pd));  // ReadSavedCluster has tried
  // All that was given out is smaller.
  const Timestamp end = Timestamp::Compose(pd.timestamp_limit_ms(), 0);
  FolderAt read;
  read.at = at.value_or(end);
  if (read.at > end) {
    return Status::Undetermined("the timestamp " + std::to_string(read.at.value()) + " is in the future of the cluster in " + folder +
                                ", which ended before " + std::to_string(end.value()));
  }
  if (read.at < Timestamp(pd.gc_safe_point())) {
    return Status::Undetermined("the GC safe point " + std::to_string(pd.gc_safe_point()) + " of the cluster in " + folder +
                                " is above the timestamp " + std::to_string(read.at.value()) +
                                ": versions that were visible there may be gone");
  }
  tikv::Engine engine;
  RETURN_IF_ERROR(kept.state->LoadData([&engine](tikv::ColumnFamily cf, std::string_view key, std::string_view value) {
    engine.Load(cf, Bytes(key), Bytes(value));
  }));
  Result<tikv::SettledRead> settled = tikv::ReadSettledAt(engine.Latest(), read.at);
  if (!settled.ok()) {
    return settled.error().WithContext("the state in " + folder);
  }
  read.versions = std::move(settled->versions);
  if (settled->undecided_locks > 0) {
    read.warnings.push_back(std::to_string(settled->undecided_locks) +
                            " locks of transactions that nobody had decided are shown as not committed; the first: " +
                            settled->first_undecided);
  }
  return read;
}

}  // namespace kvjury::ports
