// EventLog: every component adds its decisions to a rolling digest of its own, so that a mismatch between two runs names the
// component and the step. A short tail of decisions is kept as text for failed checks and findings.
//
// Add only what the simulation decides: labels, timestamps, ids, counts, our own hashes. Never library bytes, pointers or
// sizes chosen by a library.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "fakes/base/digest.h"
#include "fakes/sim/scheduler.h"

namespace kvjury::sim {

class EventLog {
 public:
  explicit EventLog(const Scheduler* scheduler) : scheduler_(scheduler) {}

  /// The rolling digest of `component`; stays valid. Components: "fabric", "pd", "store-1", "client-w1", ...
  RollingDigest* Component(const std::string& component) { return &digests_[component]; }

  /// Adds (time, kind, a, b) to the component's digest.
  void Add(RollingDigest* component, std::string_view kind, uint64_t a, uint64_t b = 0) {
    component->Add(Mix64(static_cast<uint64_t>(scheduler_->now_us()), Mix64(Hash64(kind), Mix64(a, b))));
  }

  /// Keeps a line for people; the last 40 are shown by failed checks. No part of any digest.
  void Note(std::string text);
  [[nodiscard]] const std::deque<std::string>& tail() const { return tail_; }

  [[nodiscard]] const std::map<std::string, RollingDigest>& digests() const { return digests_; }
  /// One digest over all components, the scheduler's own included.
  [[nodiscard]] RollingDigest Total() const;

 private:
  static constexpr size_t kTailLines = 40;
  const Scheduler* scheduler_;
  std::map<std::string, RollingDigest> digests_;
  std::deque<std::string> tail_;
};

}  // namespace kvjury::sim
