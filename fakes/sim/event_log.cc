#include "fakes/sim/event_log.h"

namespace kvjury::sim {

void EventLog::Note(std::string text) {
  tail_.push_back(std::to_string(scheduler_->now_us()) + " us " + std::move(text));
  if (tail_.size() > kTailLines) {
    tail_.pop_front();
  }
}

RollingDigest EventLog::Total() const {
  RollingDigest total;
  total.Add(scheduler_->digest().value());
  for (const auto& [component, digest] : digests_) {
    total.Add(component);
    total.Add(digest.value());
  }
  return total;
}

}  // namespace kvjury::sim
