#include "harness/client/backoff.h"

#include <algorithm>

namespace kvjury::client {

namespace {

struct Series {
  Micros base_us;
  Micros cap_us;
  bool jitter;  // half of the wait is drawn
};

constexpr std::array<Series, kBackoffKindCount> kSeries = {{
    {100'000, 2'000'000, true},      // kTikvRpc
    {500'000, 3'000'000, true},      // kPdRpc
    {100'000, 3'000'000, true},      // kTxnLock
    {10'000, 3'000'000, true},       // kTxnLockFast
    {2'000, 500'000, false},         // kTxnNotFound
    {2'000, 500'000, false},         // kRegionMiss
    {2'000, 500'000, false},         // kRegionScheduling
    {2'000, 500'000, false},         // kMaxTsNotSynced
    {2'000'000, 10'000'000, true},   // kServerBusy
    {500'000, 5'000'000, false},     // kDiskFull
    {100'000, 10'000'000, true},     // kRegionRecovery
    {2'000, 1'000'000, false},       // kRegionNotReady
}};

constexpr Micros kBusyBudgetUs = 600'000'000;
constexpr uint32_t kTriesMax = 2000;

}  // namespace

Backoffer::Backoffer(Messenger* messenger, LabelsPtr labels, Micros budget_us)
    : messenger_(messenger),
      labels_(std::move(labels)),
      budget_us_(budget_us) {}

sim::Task<Status> Backoffer::Wait(BackoffKind kind, std::string reason, Micros at_most_us) {
  CO_RETURN_IF_ERROR(CountTry(reason));
  const auto index = static_cast<size_t>(kind);
  const Series& series = kSeries[index];
  const bool busy = kind == BackoffKind::kServerBusy;
  if (waited_us_ >= budget_us_ || busy_waited_us_ >= kBusyBudgetUs) {
    co_return Status::Unavailable("gave up after " + std::to_string((waited_us_ + busy_waited_us_) / 1000) + " ms of waiting: " +
                                  reason);
  }
  const uint32_t step = std::min<uint32_t>(steps_[index]++, 24);
  Micros wait_us = std::min(series.cap_us, series.base_us << step);
  if (series.jitter) {
    if (!random_.has_value()) {
      random_.emplace(labels_->Numbered("backoff").hash());
    }
    const Micros half_us = wait_us / 2;
    wait_us = half_us + static_cast<Micros>(random_->Below(static_cast<uint64_t>(half_us)));
  }
  if (at_most_us >= 0) {
    wait_us = std::min(wait_us, at_most_us);
  }
  (busy ? busy_waited_us_ : waited_us_) += wait_us;
  ++messenger_->counters().backoffs;
  messenger_->Note("backoff", index, static_cast<uint64_t>(wait_us));
  co_await messenger_->scheduler()->Sleep(wait_us, labels_->base().hash());
  if (messenger_->off()) {
    co_return Status::Cancelled(messenger_->name() + " is dead");
  }
  co_return Status::Ok();
}

Status Backoffer::CountTry(const std::string& reason) {
  if (messenger_->off()) {
    return Status::Cancelled(messenger_->name() + " is dead");
  }
  if (++tries_ > kTriesMax) {
    return Status::Unavailable("gave up after " + std::to_string(kTriesMax) + " tries: " + reason);
  }
  return Status::Ok();
}

Backoffer Backoffer::Fork() const {
  Backoffer fork(messenger_, labels_, budget_us_);
  fork.waited_us_ = waited_us_;
  fork.busy_waited_us_ = busy_waited_us_;
  fork.tries_ = tries_;
  fork.steps_ = steps_;
  return fork;
}

}  // namespace kvjury::client
