// StorageWaits: which calls of served stores to object storages are under way, for who_waits.h: a backup whose store waits for S3 waits for
// that.
//
// A storage that is watched says when a call to it begins and ends, from whichever thread makes it. Times are of the clock of this machine.
// Not told: which call from outside is behind it; the object's name tells.
// Any thread.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fakes/objects/object_store.h"

namespace kvjury::ports {

class StorageWaits {
 public:
  using Clock = std::chrono::steady_clock;
  struct Open {
    /// "1/x.sst"
    std::string name;
    /// "Put of \"1/x.sst\" in s3://bkt/backup at http://127.0.0.1:9000"
    std::string what;
    Clock::time_point begun = Clock::now();
  };

  /// `store`, which tells this of each call. This must outlive it.
  std::unique_ptr<objects::ObjectStore> Watched(std::unique_ptr<objects::ObjectStore> store);

  /// The calls that are under way, in the order in which they began.
  [[nodiscard]] std::vector<Open> open() const;

 private:
  class WatchedStore;
  mutable std::mutex mutex_;
  std::list<Open> open_;
};

}  // namespace kvjury::ports
