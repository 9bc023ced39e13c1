// Timers: things that an owner wants to happen later, and that die with the owner.
//
// For the background of a service: an election, a store that comes back, a tick. Unlike a spawned task a timer needs no
// joining: cancelling forgets it at once, and an event that comes up afterwards does nothing. Callbacks do not suspend.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "fakes/base/digest.h"
#include "fakes/sim/scheduler.h"

namespace kvjury::sim {

class Timers {
 public:
  explicit Timers(Scheduler* scheduler) : scheduler_(scheduler), alive_(std::make_shared<bool>(true)) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;
  ~Timers() { Cancel(); }

  /// Calls `callback` in `delay_us`, unless cancelled before. `name` gives the order among things of one time.
  void After(Micros delay_us, std::string_view name, std::function<void()> callback) {
    After(delay_us, Hash64(name), std::move(callback));
  }
  /// The same with the order key itself, for example a label's hash.
  void After(Micros delay_us, uint64_t order, std::function<void()> callback) {
    scheduler_->After(delay_us, order, [alive = alive_, callback = std::move(callback)]() {
      if (*alive) {
        callback();
      }
    });
  }

  /// Forgets everything that has not happened yet. New timers may be set afterwards.
  void Cancel() {
    *alive_ = false;
    alive_ = std::make_shared<bool>(true);
  }

 private:
  Scheduler* scheduler_;
  std::shared_ptr<bool> alive_;
};

}  // namespace kvjury::sim
