#include "fakes/ports/folder_at.h"

#include "fakes/ports/served_state.h"
#include "fakes/tikv/settled_read.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::ports {

namespace {

struct KeptCluster {
  /// All timestamps that were given out are smaller.
  Timestamp end;
  Timestamp gc_safe_point;
  tikv::Engine engine;
};

Status ReadKept(const std::string& folder, KeptCluster* cluster) {
  ASSIGN_OR_RETURN(const ServedState kept, OpenServedState(folder, {.read_only = true}));
  if (kept.is_new()) {
    return Status::Environment("the folder " + folder + " holds no cluster");
  }
  record::PdState pd;
  CHECK(pd.ParseFromString(kept.saved.pd));  // ReadSavedCluster has tried
  cluster->end = Timestamp::Compose(pd.timestamp_limit_ms(), 0);
  cluster->gc_safe_point = Timestamp(pd.gc_safe_point());
  return kept.state->LoadData([cluster](tikv::ColumnFamily cf, std::string_view key, std::string_view value) {
    cluster->engine.Load(cf, Bytes(key), Bytes(value));
  });
}

Result<tikv::SettledRead> SettledIn(const std::string& folder, const KeptCluster& kept, Timestamp at, std::vector<std::string>* warnings) {
  Result<tikv::SettledRead> settled = tikv::ReadSettledAt(kept.engine.Latest(), at);
  if (!settled.ok()) {
    return settled.error().WithContext("the state in " + folder);
  }
  if (settled->undecided_locks > 0) {
    warnings->push_back(std::to_string(settled->undecided_locks) +
                        " locks of transactions that nobody had decided are shown as not committed; the first: " + settled->first_undecided);
  }
  return settled;
}

}  // namespace

Result<FolderAt> ReadFolderAt(const std::string& folder, std::optional<Timestamp> at) {
  KeptCluster kept;
  RETURN_IF_ERROR(ReadKept(folder, &kept));
  FolderAt read;
  read.at = at.value_or(kept.end);
  if (read.at > kept.end) {
    return Status::Undetermined("the timestamp " + std::to_string(read.at.value()) + " is in the future of the cluster in " + folder +
                                ", which ended before " + std::to_string(kept.end.value()));
  }
  if (read.at < kept.gc_safe_point) {
    return Status::Undetermined("the GC safe point " + std::to_string(kept.gc_safe_point.value()) + " of the cluster in " + folder +
                                " is above the timestamp " + std::to_string(read.at.value()) +
                                ": versions that were visible there may be gone");
  }
  ASSIGN_OR_RETURN(tikv::SettledRead settled, SettledIn(folder, kept, read.at, &read.warnings));
  read.versions = std::move(settled.versions);
  return read;
}

Result<FolderHistory> ReadFolderHistory(const std::string& folder) {
  KeptCluster kept;
  RETURN_IF_ERROR(ReadKept(folder, &kept));
  FolderHistory history;
  history.from = kept.gc_safe_point;
  history.to = kept.end;
  std::vector<std::string> of_the_past;  // locks of a moment that others settled later
  ASSIGN_OR_RETURN(tikv::SettledRead settled, SettledIn(folder, kept, history.from, &of_the_past));
  history.versions = std::move(settled.versions);
  RETURN_IF_ERROR(SettledIn(folder, kept, history.to, &history.warnings).status());
  Result<std::vector<tikv::UserChange>> changes = tikv::ReadSettledChanges(kept.engine.Latest(), history.from, history.to);
  if (!changes.ok()) {
    return changes.error().WithContext("the state in " + folder);
  }
  history.changes = *std::move(changes);
  return history;
}

}  // namespace kvjury::ports
