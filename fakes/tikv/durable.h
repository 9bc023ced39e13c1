// DurableState: where the state of a cluster is kept so that a restart finds it. A cluster without one lives in memory alone.
//
// The engine and the regions are in memory; every change of them is handed over before it takes effect, thus before anything
// is acknowledged. What is kept: the records of all families, regions with epochs, peers and terms, the ids of the stores, PD.
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

  /// All records about the cluster by name; empty for a new one.
  [[nodiscard]] virtual std::map<Bytes, Bytes> LoadMeta() = 0;
  /// Every record of the data, family by family, ascending keys.
  virtual void LoadData(const std::function<void(ColumnFamily cf, std::string_view key, std::string_view value)>& visit) = 0;

  /// All or nothing, kept when it returns. Does not return if it fails: a store that cannot write its log must not answer.
  /// kCollect removes the record: what garbage collection took is not kept. Does not suspend.
  virtual void Write(const WriteBatch& data, const std::vector<MetaChange>& meta) = 0;
};

}  // namespace kvjury::tikv
