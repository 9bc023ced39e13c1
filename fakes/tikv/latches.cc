#include "fakes/tikv/latches.h"

#include <algorithm>

namespace kvjury::tikv {

void Latches::Guard::Release() {
  if (ticket_ != nullptr) {
    latches_->Release(ticket_);
    ticket_ = nullptr;
    latches_ = nullptr;
  }
}

sim::Task<Latches::Guard> Latches::Acquire(std::vector<Bytes> keys, uint64_t order) {
  auto ticket = std::make_shared<Ticket>(scheduler_, order);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  ticket->keys = std::move(keys);
  Guard guard;
  guard.latches_ = shared_from_this();
  guard.ticket_ = ticket;
  for (const Bytes& key : ticket->keys) {
    auto& queue = queues_[key];
    queue.push_back(ticket);
    if (queue.size() == 1) {
      ++ticket->fronts;
    }
  }
  if (ticket->fronts < ticket->keys.size()) {
    co_await ticket->granted;
  }
  co_return guard;
}

void Latches::Release(const std::shared_ptr<Ticket>& ticket) {
  for (const Bytes& key : ticket->keys) {
    const auto found = queues_.find(key);
    CHECK(found != queues_.end());
    auto& queue = found->second;
    const bool was_first = queue.front() == ticket;
    queue.erase(std::remove(queue.begin(), queue.end(), ticket), queue.end());
    if (queue.empty()) {
      queues_.erase(found);
      continue;
    }
    Ticket& next = *queue.front();
    if (was_first && ++next.fronts == next.keys.size()) {
      next.granted.Set(true);
    }
  }
}

}  // namespace kvjury::tikv
