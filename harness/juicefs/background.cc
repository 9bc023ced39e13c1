// What a session does by itself, and when: loops that sleep until something is due, and the elections between clients.
#include <fmt/format.h>

#include <algorithm>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr Micros kHeartbeatByDefaultUs = 12'000'000;  // of a mount that sends none: it reads its setting all the same

}  // namespace

Micros Writer::Jittered(Micros period_us, const sim::Label& label) const {
  const auto spread = static_cast<uint64_t>(period_us / 10 + 1);
  return period_us - period_us / 20 + static_cast<Micros>(label.hash() % spread);
}

sim::Task<bool> Writer::SleepUntil(Micros due_us, std::string name) {
  if (stopped_) {
    co_return false;
  }
  sim::Scheduler* scheduler = store_->scheduler();
  sim::Notifier alarm(scheduler);
  timers_.After(std::max<Micros>(due_us - scheduler->now_us(), 0), name, [&alarm]() { alarm.NotifyAll(); });
  sleepers_.push_back(&alarm);
  co_await alarm.Wait();
  sleepers_.erase(std::find(sleepers_.begin(), sleepers_.end(), &alarm));
  co_return !stopped_;
}

void Writer::EndBackground() {
  stopped_ = true;
  timers_.Cancel();
  for (sim::Notifier* sleeper : sleepers_) {
    sleeper->NotifyAll();
  }
  changed_.NotifyAll();
}

sim::Task<void> Writer::RunBackground() {
  while (!started_ && !stopped_) {
    co_await changed_.Wait();
  }
  if (stopped_) {
    co_return;
  }
  sim::Scope scope(store_->scheduler());
  background_ = &scope;
  const std::string name = label_.text();
  scope.Spawn(name + "/heartbeats", HeartbeatLoop());
  if (!options_.mount.read_only) {
    scope.Spawn(name + "/flushes", FlushLoop());
    scope.Spawn(name + "/quota-flushes", QuotaFlushLoop());
  }
  if (!options_.mount.read_only && !options_.mount.no_background_jobs) {
    SpawnJobs(&scope);
  }
  sim::Task<void> join = scope.Join();
  co_await std::move(join);
  background_ = nullptr;
}

sim::Task<void> Writer::FlushLoop() {
  const Micros period_us = options_.mount.flush_period_us;
  const Micros begin_us = store_->scheduler()->now_us();
  while (!stopped_) {
    if (!HasPendingUsage()) {
      co_await changed_.Wait();
      continue;
    }
    // The clock ticks whether or not there is something to flush.
    const Micros ticks = (store_->scheduler()->now_us() - begin_us) / period_us + 1;
    sim::Task<bool> sleep = SleepUntil(begin_us + ticks * period_us, label_.text() + "/flush");
    const bool due = co_await std::move(sleep);
    if (!due) {
      break;
    }
    flushes_ += 1;
    Context context = MakeContext(label_.Numbered("flush", flushes_));
    co_await Flush(&context);
  }
}

sim::Task<void> Writer::HeartbeatLoop() {
  const Micros period_us = options_.mount.heartbeat_period_us > 0 ? options_.mount.heartbeat_period_us : kHeartbeatByDefaultUs;
  for (uint64_t number = 1;; ++number) {
    sim::Label label = label_.Numbered("heartbeat", number);
    sim::Task<bool> sleep = SleepUntil(store_->scheduler()->now_us() + Jittered(period_us, label), label.text());
    const bool due = co_await std::move(sleep);
    if (!due) {
      co_return;
    }
    Context context = MakeContext(std::move(label));
    co_await Beat(&context);
  }
}

sim::Task<Status> Writer::SetIfOld(Attempt* attempt, IdArguments* arguments) {
  arguments->changed = false;
  const Key key = CounterKey(arguments->counter);
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  Result<int64_t> old_s = value->has_value() ? DecodeInt64Be(**value) : Result<int64_t>(0);
  if (!old_s.ok()) {
    co_return old_s.error();
  }
  if (*old_s <= arguments->value - arguments->step) {
    arguments->changed = true;
    attempt->PutRaw(key, EncodeInt64Be(arguments->value));
    attempt->log = fmt::format("SET({},{})", arguments->counter, arguments->value);
  }
  co_return Status::Ok();
}

sim::Task<bool> Writer::Elected(Context* context, const char* counter, Micros period_us) {
  IdArguments arguments{counter, period_us * 9 / 10 / 1'000'000, WallSeconds()};
  const int error = co_await Run(context, TransactionKind::kElection, &Writer::SetIfOld, &arguments);
  co_return error == 0 && arguments.changed;
}

}  // namespace kvjury::juicefs
