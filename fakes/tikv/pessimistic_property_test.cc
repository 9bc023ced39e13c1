// Many transactions that each lock two keys, in whatever order, on several stores: nobody waits in vain.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "fakes/tikv/cluster_test_bench.h"

namespace kvjury::tikv {
namespace {

using LockRequest = kvrpcpb::PessimisticLockRequest;
using LockResponse = kvrpcpb::PessimisticLockResponse;

constexpr Micros kMs = 1'000;

struct Plan {
  int first = 0;
  int second = 0;
  bool forced = false;
  Micros begin_us = 0;
  Micros hold_us = 0;
};

struct Tally {
  std::set<Bytes> held;
  uint64_t done = 0;
  uint64_t waits_ended = 0;
  uint64_t deadlocks = 0;
  uint64_t timed_out = 0;
  bool shared = false;  // two had one lock at a time
};

struct Client {
  ClusterBench* bench;
  Tally* tally;
  bool forced;
  Timestamp start_ts;
  std::vector<Bytes> mine;

  /// True once the key is locked; false if the transaction must begin anew.
  static sim::Task<bool> Take(Client* client, Bytes key) {
    Timestamp for_update_ts = client->start_ts;
    while (true) {
      LockRequest request;
      StoreId leader;
      *request.mutable_context() = client->bench->ContextFor(key, &leader);
      request.add_mutations()->set_op(kvrpcpb::PessimisticLock);
      request.mutable_mutations(0)->set_key(key);
      request.set_primary_lock(client->mine.empty() ? key : client->mine.front());
      request.set_start_version(client->start_ts.value());
      request.set_for_update_ts(for_update_ts.value());
      request.set_lock_ttl(20'000);
      request.set_is_first_lock(client->mine.empty());
      request.set_wake_up_mode(client->forced ? kvrpcpb::WakeUpModeForceLock : kvrpcpb::WakeUpModeNormal);
      sim::CallOptions options;
      options.label = sim::Label("lock").Numbered("n", ++client->bench->calls);
      auto call = sim::Call(client->bench->channel, kKvPessimisticLock, client->bench->cluster.store_address(leader),
                            std::move(request), std::move(options));
      const Result<std::shared_ptr<const LockResponse>> answer = co_await std::move(call);
      CHECK(answer.ok() && !(*answer)->has_region_error());
      if ((*answer)->errors_size() == 0) {
        client->tally->shared |= !client->tally->held.insert(key).second;
        client->mine.push_back(key);
        co_return true;
      }
      const kvrpcpb::KeyError& error = (*answer)->errors(0);
      client->tally->waits_ended += error.has_conflict() ? 1 : 0;
      client->tally->deadlocks += error.has_deadlock() ? 1 : 0;
      client->tally->timed_out += error.has_locked() ? 1 : 0;
      if (!error.has_conflict()) {
        co_return false;
      }
      for_update_ts = client->bench->Tso();
    }
  }

  static sim::Task<void> Release(Client* client) {
    for (const Bytes& key : client->mine) {
      kvrpcpb::PessimisticRollbackRequest request;
      StoreId leader;
      *request.mutable_context() = client->bench->ContextFor(key, &leader);
      request.add_keys(key);
      request.set_start_version(client->start_ts.value());
      request.set_for_update_ts(UINT64_MAX);
      client->tally->held.erase(key);
      sim::CallOptions options;
      options.label = sim::Label("release").Numbered("n", ++client->bench->calls);
      auto call = sim::Call(client->bench->channel, kKvPessimisticRollback, client->bench->cluster.store_address(leader),
                            std::move(request), std::move(options));
      const Result<std::shared_ptr<const kvrpcpb::PessimisticRollbackResponse>> answer = co_await std::move(call);
      CHECK(answer.ok() && !(*answer)->has_region_error());
    }
    client->mine.clear();
  }

  static sim::Task<void> Run(ClusterBench* bench, Plan plan, Tally* tally) {
    co_await bench->world.scheduler().Sleep(plan.begin_us);
    Client client{bench, tally, plan.forced, bench->Tso(), {}};
    for (bool done = false; !done;) {
      sim::Task<bool> first = Take(&client, "k" + std::to_string(plan.first));
      done = co_await std::move(first);
      if (done) {
        co_await bench->world.scheduler().Sleep(plan.hold_us);
        sim::Task<bool> second = Take(&client, "k" + std::to_string(plan.second));
        done = co_await std::move(second);
      }
      if (done) {
        co_await bench->world.scheduler().Sleep(plan.hold_us);
        ++tally->done;
      }
      sim::Task<void> releasing = Release(&client);
      co_await std::move(releasing);
      client.start_ts = bench->Tso();
    }
  }
};

RC_GTEST_PROP(PessimisticLocks, EveryWaitEndsByAReleaseOrADeadlockAndNoLockHasTwoOwners, ()) {
  ClusterBench bench(3);
  RC_ASSERT(bench.cluster.SplitAt("k2"));
  bench.cluster.TransferLeader(bench.cluster.regions().FindByKey(EncodeKey("k2"))->id);
  bench.Pass(50 * kMs);
  const auto seeds = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 1'000'000));
  Tally tally;
  sim::Scope scope(&bench.world.scheduler());
  const size_t clients = std::min<size_t>(seeds.size(), 8);
  for (size_t i = 0; i < clients; ++i) {
    Plan plan;
    plan.first = static_cast<int>(seeds[i] % 4);
    plan.second = (plan.first + 1 + static_cast<int>(seeds[i] / 4 % 3)) % 4;
    plan.forced = seeds[i] / 12 % 2 == 0;
    plan.begin_us = seeds[i] / 24 % 20 * kMs;
    plan.hold_us = seeds[i] / 480 % 8 * kMs;
    scope.Spawn("client " + std::to_string(i), Client::Run(&bench, plan, &tally));
  }
  RC_ASSERT(bench.world.Run(scope.Join(), 120'000 * kMs) == sim::RunEnd::kDone);
  RC_CLASSIFY(tally.waits_ended > 0, "woken");
  RC_CLASSIFY(tally.deadlocks > 0, "deadlock");
  RC_ASSERT(tally.done == clients);
  RC_ASSERT(tally.timed_out == 0U);
  RC_ASSERT(!tally.shared);
  RC_ASSERT(tally.held.empty());
  RC_ASSERT(bench.cluster.LockCount() == 0U);
  for (const StoreId store : bench.cluster.store_ids()) {
    RC_ASSERT(bench.cluster.Run(store)->memory.lock_waits->empty());
  }
  RC_ASSERT(bench.cluster.Deadlocks()->empty());
  bench.cluster.Shutdown();
}

}  // namespace
}  // namespace kvjury::tikv
