// Where a load puts the keys and values of a volume: a map here, a store's transactions elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/sim/planted_bugs.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

class LoadTarget {
 public:
  virtual ~LoadTarget() = default;
  /// The last value of a key holds. What is returned ends the load.
  virtual Status Put(const Bytes& key, const Bytes& value) = 0;
  /// What was put.
  virtual Result<std::optional<Bytes>> Get(const Bytes& key) = 0;
};

/// `pairs` must outlive it.
class KeyValuesTarget : public LoadTarget {
 public:
  explicit KeyValuesTarget(KeyValues* pairs) : pairs_(pairs) {}
  Status Put(const Bytes& key, const Bytes& value) override {
    (*pairs_)[key] = value;
    return Status::Ok();
  }
  Result<std::optional<Bytes>> Get(const Bytes& key) override {
    const auto found = pairs_->find(key);
    return found == pairs_->end() ? std::optional<Bytes>() : std::optional<Bytes>(found->second);
  }

 private:
  KeyValues* pairs_;
};

struct LoadReport {
  uint64_t entry_count = 0;  // names in the trees
  uint64_t pair_count = 0;   // put; a key that was put twice counts twice
};

}  // namespace kvjury::juicefs
