// DurableState: where the state of a cluster is kept so that a restart finds it. A cluster without one lives in memory alone.
//
// The engine and the regions are in memory; every change of them is handed over, in order, before it takes effect. Keeping it may
// take longer than the step that made it: what is answered to the outside then waits, which is the transport's to see to. What is kept: the records of all families, regions with epochs, peers and terms, the ids of the stores, PD.
// What is not, as in a real restart: memory locks, max_ts, latches, downloaded files, import mode, uncommitted proposals; and
// older versions of a record that only a running read could see.
// How much "kept" means (a killed process, a lost machine) is the implementation's to say.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/status.h"
#include "fakes/tikv/engine.h"

namespace kvjury::tikv {

/// A record about the cluster ("cluster", "pd", "region/..."): its new value, or none to remove it.
struct MetaChange {
  Bytes name;
  std::optional<Bytes> value;
};

class DurableState {
 public:
  virtual ~DurableState() = default;

  /// All records about the cluster by name; empty for a new one. Errors: kDataLoss, kEnvironment.
  [[nodiscard]] virtual Result<std::map<Bytes, Bytes>> LoadMeta() = 0;
  /// Every record of the data, family by family, ascending keys. Errors: kDataLoss, kEnvironment.
  virtual Status LoadData(const std::function<void(ColumnFamily cf, std::string_view key, std::string_view value)>& visit) = 0;

  /// All or nothing, in the order of the calls: a restart finds the first so many of them, all that were answered for included.
  /// kCollect removes the record: what garbage collection took is not kept. Does not suspend.
  virtual void Write(const WriteBatch& data, const std::vector<MetaChange>& meta) = 0;
};

}  // namespace kvjury::tikv
