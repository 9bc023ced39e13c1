// Latches: write commands on a common key run one after another, in the order of asking.
//
// A command holds the latches of all its keys from before it looks at the data until its effect is applied. Asking puts it
// into the queues of all its keys at once, so that no two commands can wait for each other.
// Source: TiKV 8.5, the scheduler of its transaction layer (there over hashed slots, here over the keys themselves).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/sim/scheduler.h"

namespace kvjury::tikv {

class Latches : public std::enable_shared_from_this<Latches> {
 private:
  struct Ticket;

 public:
  explicit Latches(sim::Scheduler* scheduler) : scheduler_(scheduler) {}
  Latches(const Latches&) = delete;
  Latches& operator=(const Latches&) = delete;

  /// Releases when it dies.
  class Guard {
   public:
    Guard() = default;
    Guard(Guard&& other) noexcept = default;
    Guard& operator=(Guard&& other) noexcept {
      if (this != &other) {
        Release();
        latches_ = std::move(other.latches_);
        ticket_ = std::move(other.ticket_);
      }
      return *this;
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { Release(); }
    void Release();

   private:
    friend class Latches;
    std::shared_ptr<Latches> latches_;
    std::shared_ptr<Ticket> ticket_;
  };

  /// Waits until all earlier askers of any of `keys` are through. Suspends only if there are such.
  sim::Task<Guard> Acquire(std::vector<Bytes> keys, uint64_t order);

  [[nodiscard]] size_t keys_held() const { return queues_.size(); }

 private:
  struct Ticket {
    Ticket(sim::Scheduler* scheduler, uint64_t order) : granted(scheduler, order) {}
    std::vector<Bytes> keys;  // ascending, without repetition
    size_t fronts = 0;        // queues in which this ticket is the first
    sim::OneShot<bool> granted;
  };
  void Release(const std::shared_ptr<Ticket>& ticket);

  sim::Scheduler* scheduler_;
  std::map<Bytes, std::deque<std::shared_ptr<Ticket>>> queues_;
};

}  // namespace kvjury::tikv
