#include "harness/client/client.h"

namespace kvjury::client {

Client::Client(sim::Channel* channel, sim::Scheduler* scheduler, std::string name, sim::Address pd, sim::EventLog* log,
               ClientOptions options)
    : scheduler_(scheduler),
      messenger_(channel, scheduler, std::move(name), log, options),
      pd_(&messenger_, std::move(pd)),
      regions_(&messenger_, &pd_),
      background_(scheduler),
      resolver_(services()) {}

sim::Task<Result<std::unique_ptr<Transaction>>> Client::Begin(sim::Label label) {
  auto labels = std::make_shared<Labels>(std::move(label));
  Backoffer backoff(&messenger_, labels, kTimestampBudgetUs);
  auto ask = pd_.GetTimestamp(&backoff);
  CO_ASSIGN_OR_RETURN(const Timestamp start_ts, co_await std::move(ask));
  messenger_.Note("begin", labels->base().hash(), start_ts.value());
  std::unique_ptr<Transaction> transaction =
      std::make_unique<ClientTransaction>(services(), &resolver_, start_ts, std::move(labels));
  co_return transaction;
}

std::unique_ptr<Transaction> Client::BeginAt(Timestamp ts, sim::Label label) {
  CHECK(ts.valid()) << "a transaction at no timestamp";
  auto labels = std::make_shared<Labels>(std::move(label));
  return std::make_unique<ClientTransaction>(services(), &resolver_, ts, std::move(labels));
}

sim::Task<Result<Timestamp>> Client::CurrentTimestamp(sim::Label label) {
  auto labels = std::make_shared<Labels>(std::move(label));
  Backoffer backoff(&messenger_, labels, kTimestampBudgetUs);
  auto ask = pd_.GetTimestamp(&backoff);
  co_return co_await std::move(ask);
}

sim::Task<Result<ResolveOutcome>> Client::ResolveLocks(std::vector<kvrpcpb::LockInfo> locks, Timestamp caller_start_ts,
                                                       sim::Label label) {
  auto labels = std::make_shared<Labels>(std::move(label));
  Backoffer backoff(&messenger_, labels, kResolveBudgetUs);
  ResolveOptions options;
  options.caller_start_ts = caller_start_ts;
  auto resolve = resolver_.Resolve(std::move(locks), options, &backoff);
  co_return co_await std::move(resolve);
}

sim::Task<Result<uint64_t>> Client::ResolveLocksBelow(Timestamp below, Bytes start, Bytes end, bool force,
                                                      sim::Label label) {
  auto labels = std::make_shared<Labels>(std::move(label));
  auto resolve = resolver_.ResolveBelow(below, std::move(start), std::move(end), force, std::move(labels));
  co_return co_await std::move(resolve);
}

sim::Task<Status> Client::CollectHistory(Micros keep_us, sim::Label label) {
  auto now = CurrentTimestamp(label);
  CO_ASSIGN_OR_RETURN(const Timestamp newest, co_await std::move(now));
  const Timestamp target = Timestamp::Compose(newest.physical_ms() - keep_us / 1000, 0);
  auto resolve = ResolveLocksBelow(target, Bytes(), Bytes(), true, label / "locks");
  CO_RETURN_IF_ERROR((co_await std::move(resolve)).status());
  auto labels = std::make_shared<Labels>(label / "safe-point");
  Backoffer backoff(&messenger_, labels, kResolveBudgetUs);
  auto update = pd_.UpdateGcSafePoint(target, &backoff);
  co_return (co_await std::move(update)).status();
}

sim::Task<Result<std::optional<Timestamp>>> Client::Settle(Timestamp start_ts, Bytes primary, sim::Label label) {
  auto labels = std::make_shared<Labels>(std::move(label));
  Backoffer backoff(&messenger_, labels, kResolveBudgetUs);
  auto settle = resolver_.Settle(start_ts, std::move(primary), &backoff);
  co_return co_await std::move(settle);
}

sim::Task<void> Client::Close() {
  auto join = Join();
  co_await std::move(join);
  messenger_.SwitchOff();
}

void Client::Crash() {
  messenger_.Note("crash", 0);
  messenger_.SwitchOff();
}

}  // namespace kvjury::client
