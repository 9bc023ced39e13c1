// StoreConfig: the part of a store's configuration that means something here, as its status port shows and changes it.
//
// Shown: API version, time to live, region sizes, import threads, waiting of pessimistic locks, addresses; under TiKV's names,
// with the values of a fresh 8.5. Changed while it runs: the waiting of pessimistic locks, with effect; `pipelined` and
// `in-memory`, which no client can see. Not modelled: all other items, keeping changes over a restart.
// Source: TiKV 8.5.0, src/server/status_server and src/config (texts of refusals).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"

namespace kvjury::tikv {

class StoreConfig {
 public:
  StoreConfig(const std::string& address, const std::string& status_address);
  StoreConfig(const StoreConfig&) = delete;
  StoreConfig& operator=(const StoreConfig&) = delete;
  ~StoreConfig();

  /// Nested objects: {"storage":{"api-version":1,...},...}.
  [[nodiscard]] std::string ToJson() const;
  /// A flat object of names and values: {"pessimistic-txn.in-memory":"false"}. All or nothing.
  /// Errors: kInvalidArgument with TiKV's words.
  Status Change(std::string_view json);

  /// How long a pessimistic lock request waits at most, and if it names no time.
  [[nodiscard]] Micros wait_for_lock_timeout_us() const { return wait_for_lock_timeout_us_; }
  /// From waking the first to waking the others.
  [[nodiscard]] Micros wake_up_delay_us() const { return wake_up_delay_us_; }

 private:
  struct Items;
  std::unique_ptr<Items> items_;
  Micros wait_for_lock_timeout_us_;
  Micros wake_up_delay_us_;
};

/// TiKV's way of writing a duration, "1s" or "1m30s500ms". Errors: kInvalidArgument.
Result<Micros> ParseReadableDuration(std::string_view text);

}  // namespace kvjury::tikv
