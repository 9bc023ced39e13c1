// Client: a transactional client of TiKV with client-go's habits, written against a channel only.
//
// One object is one process's client: region cache, lock resolver, background work (secondary commits, clearing of locks,
// rollbacks). It can be killed: Crash() stops every further message, and its locks stay behind for others to resolve.
// Not modelled: see the parts (region_cache.h, region_request.h, lock_resolver.h, snapshot.h, committer.h); also: raw
// access, several PD members.
// Source: client-go v2.0.7 (JuiceFS 1.4). Determinism: no draw depends on anything but labels; decisions go to the digest
// component with the client's name.
#pragma once

#include "harness/client/history_collector.h"
#include "harness/client/transaction.h"

namespace kvjury::client {

class Client : public Store, public HistoryCollector {
 public:
  /// `name` is the digest component, for example "client-w1"; `log` may be null. All must outlive the client.
  Client(sim::Channel* channel, sim::Scheduler* scheduler, std::string name, sim::Address pd, sim::EventLog* log,
         ClientOptions options = ClientOptions());

  sim::Task<Result<std::unique_ptr<Transaction>>> Begin(sim::Label label) override;
  std::unique_ptr<Transaction> BeginAt(Timestamp ts, sim::Label label) override;
  sim::Task<Result<Timestamp>> CurrentTimestamp(sim::Label label) override;
  sim::Scheduler* scheduler() override { return scheduler_; }

  /// Deals once with locks that somebody else met (the backup tool): resolves those whose transactions are over. A wait_ms
  /// that is not zero: some are alive, back off and ask again. Errors as Transaction::Get. Suspends.
  sim::Task<Result<ResolveOutcome>> ResolveLocks(std::vector<kvrpcpb::LockInfo> locks, Timestamp caller_start_ts,
                                                 sim::Label label);
  /// Resolves every lock of [start, end) up to `below`, waiting for live transactions, or with `force` ending them (as the GC
  /// of JuiceFS does). Returns the number of locks. Errors as Transaction::Get. Suspends.
  sim::Task<Result<uint64_t>> ResolveLocksBelow(Timestamp below, Bytes start, Bytes end, bool force, sim::Label label);
  sim::Task<Status> CollectHistory(Micros keep_us, sim::Label label) override;
  /// Decides an undetermined transaction for good: its commit timestamp, or no value when it is and stays rolled back. Ends
  /// it when it is still alive. Errors as Transaction::Get. Suspends.
  sim::Task<Result<std::optional<Timestamp>>> Settle(Timestamp start_ts, Bytes primary, sim::Label label);

  /// Ends when no background work is left. To be awaited before the client dies, after Crash() too. Suspends.
  sim::Task<void> Join() { return background_.Join(); }
  /// Join, and then nothing more is sent. Suspends.
  sim::Task<void> Close();
  /// The process dies: from now on nothing is sent, and what waits ends with kCancelled.
  void Crash();
  [[nodiscard]] bool crashed() const { return messenger_.off(); }

  [[nodiscard]] const Counters& counters() { return messenger_.counters(); }
  [[nodiscard]] const std::string& name() const { return messenger_.name(); }
  [[nodiscard]] std::vector<std::string> background_names() const { return background_.running_names(); }
  /// For tools that send requests of their own to regions.
  [[nodiscard]] Services services() { return {&messenger_, &pd_, &regions_, &background_}; }

 private:
  sim::Scheduler* scheduler_;
  Messenger messenger_;
  PdClient pd_;
  RegionCache regions_;
  sim::Scope background_;
  LockResolver resolver_;
};

}  // namespace kvjury::client
