// HistoryCollector: how a JuiceFS client ends the cluster's history, all volumes and tenants alike. Stores in memory have no such thing.
//
// Source: JuiceFS 1.4, TiKV engine: it looks at nobody's service safe points.
#pragma once

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/sim/label.h"
#include "fakes/sim/task.h"

namespace kvjury::client {

class HistoryCollector {
 public:
  virtual ~HistoryCollector() = default;
  /// Resolves every lock older than `keep_us` before now, in the whole cluster, ending live transactions; then PD's GC safe point moves there.
  /// Errors: those of the store and of PD; the locks may be resolved then. Suspends.
  virtual sim::Task<Status> CollectHistory(Micros keep_us, sim::Label label) = 0;
};

}  // namespace kvjury::client
