#include "fakes/tikv/pessimistic_service.h"

#include <gtest/gtest.h>

#include "fakes/sim/http.h"
#include "fakes/tikv/cluster_test_bench.h"

namespace kvjury::tikv {
namespace {

using LockRequest = kvrpcpb::PessimisticLockRequest;
using LockResponse = kvrpcpb::PessimisticLockResponse;

constexpr Micros kMs = 1'000;

class PessimisticLocks : public testing::Test {
 protected:
  PessimisticLocks() : bench_(3) {}
  ~PessimisticLocks() override { bench_.cluster.Shutdown(); }

  LockRequest Lock(const Bytes& key, Timestamp start_ts, Timestamp for_update_ts = Timestamp()) {
    LockRequest request;
    StoreId leader;
    *request.mutable_context() = bench_.ContextFor(key, &leader);
    request.add_mutations()->set_op(kvrpcpb::PessimisticLock);
    request.mutable_mutations(0)->set_key(key);
    request.set_primary_lock(key);
    request.set_start_version(start_ts.value());
    request.set_for_update_ts(for_update_ts.valid() ? for_update_ts.value() : start_ts.value());
    request.set_lock_ttl(20'000);
    return request;
  }
  ClusterBench::Timed At(Micros at_us, const LockRequest& request) {
    return Timed(at_us, kKvPessimisticLock.path, request.context(), std::make_shared<const LockRequest>(request));
  }
  ClusterBench::Timed Rollback(Micros at_us, const Bytes& key, Timestamp start_ts) {
    kvrpcpb::PessimisticRollbackRequest request;
    StoreId leader;
    *request.mutable_context() = bench_.ContextFor(key, &leader);
    request.add_keys(key);
    request.set_start_version(start_ts.value());
    request.set_for_update_ts(UINT64_MAX);
    return Timed(at_us, kKvPessimisticRollback.path, request.context(),
                 std::make_shared<const kvrpcpb::PessimisticRollbackRequest>(request));
  }
  static ClusterBench::Timed Timed(Micros at_us, const char* path, const kvrpcpb::Context& context, sim::MessagePtr request) {
    ClusterBench::Timed call;
    call.at_us = at_us;
    call.path = path;
    call.store = StoreId(context.peer().store_id());
    call.request = std::move(request);
    return call;
  }
  static const LockResponse& Answer(const ClusterBench::Timed& call) {
    CHECK(call.answer->ok()) << call.answer->status();
    return static_cast<const LockResponse&>(***call.answer);
  }
  LockResponse Take(const LockRequest& request) {
    return *bench_.Ask(kKvPessimisticLock, StoreId(request.context().peer().store_id()), request);
  }
  /// Writes and commits the key that the transaction has locked.
  Timestamp WriteAndCommit(const Bytes& key, Timestamp start_ts, const Bytes& value) {
    StoreId leader;
    kvrpcpb::PrewriteRequest prewrite;
    *prewrite.mutable_context() = bench_.ContextFor(key, &leader);
    prewrite.add_mutations()->set_key(key);
    prewrite.mutable_mutations(0)->set_value(value);
    prewrite.add_pessimistic_actions(kvrpcpb::PrewriteRequest::DO_PESSIMISTIC_CHECK);
    prewrite.set_primary_lock(key);
    prewrite.set_start_version(start_ts.value());
    prewrite.set_for_update_ts(start_ts.value());
    prewrite.set_lock_ttl(20'000);
    EXPECT_EQ(bench_.Ask(kKvPrewrite, leader, prewrite)->ShortDebugString(), "");
    kvrpcpb::CommitRequest commit;
    *commit.mutable_context() = prewrite.context();
    commit.add_keys(key);
    commit.set_start_version(start_ts.value());
    const Timestamp commit_ts = bench_.Tso();
    commit.set_commit_version(commit_ts.value());
    EXPECT_FALSE(bench_.Ask(kKvCommit, leader, commit)->has_error());
    return commit_ts;
  }

  ClusterBench bench_;
};

TEST_F(PessimisticLocks, AWaiterIsToldOfTheReleaseAtOnceAndAsAConflict) {
  const Timestamp owner = bench_.Tso();
  const Timestamp waiter = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  std::vector<ClusterBench::Timed> all = {At(0, Lock("k", waiter)), Rollback(300 * kMs, "k", owner)};
  bench_.AskTogether(&all);
  const LockResponse& answer = Answer(all[0]);
  ASSERT_EQ(answer.errors_size(), 1) << answer.ShortDebugString();
  const kvrpcpb::WriteConflict& conflict = answer.errors(0).conflict();
  EXPECT_EQ(conflict.reason(), kvrpcpb::WriteConflict::PessimisticRetry);
  EXPECT_EQ(conflict.start_ts(), waiter.value());
  EXPECT_EQ(conflict.conflict_ts(), owner.value());
  EXPECT_EQ(conflict.conflict_commit_ts(), 0U) << "it was rolled back";
  EXPECT_EQ(conflict.key(), "k");
  EXPECT_GE(all[0].answered_us, 300 * kMs);
  EXPECT_LT(all[0].answered_us, 303 * kMs);
  EXPECT_EQ(answer.results_size(), 0);
}

TEST_F(PessimisticLocks, AWaitEndsInTimeWithTheLockThatIsInTheWay) {
  const Timestamp owner = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  const std::pair<int64_t, Micros> rows[] = {{-1, 0}, {200, 200 * kMs}, {0, 1'000 * kMs}, {5'000, 1'000 * kMs}};
  for (const auto& [timeout_ms, expected_us] : rows) {
    LockRequest request = Lock("k", bench_.Tso());
    request.set_wait_timeout(timeout_ms);
    std::vector<ClusterBench::Timed> all = {At(0, request)};
    bench_.AskTogether(&all);
    const LockResponse& answer = Answer(all[0]);
    ASSERT_EQ(answer.errors_size(), 1);
    EXPECT_EQ(answer.errors(0).locked().lock_version(), owner.value());
    EXPECT_EQ(answer.errors(0).locked().lock_type(), kvrpcpb::PessimisticLock);
    EXPECT_EQ(answer.errors(0).locked().duration_to_last_update_ms(), 0U);
    EXPECT_GE(all[0].answered_us, expected_us) << timeout_ms;
    EXPECT_LT(all[0].answered_us, expected_us + 3 * kMs) << timeout_ms;
  }
}

TEST_F(PessimisticLocks, TheOldestWaiterIsWokenFirstAndTheOthersALittleLater) {
  const Timestamp owner = bench_.Tso();
  const Timestamp oldest = bench_.Tso();
  const Timestamp second = bench_.Tso();
  const Timestamp third = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  std::vector<ClusterBench::Timed> all = {At(0, Lock("k", third)), At(1 * kMs, Lock("k", second)), At(2 * kMs, Lock("k", oldest)),
                                          Rollback(100 * kMs, "k", owner)};
  bench_.AskTogether(&all);
  EXPECT_LT(all[2].answered_us, 103 * kMs);
  for (const int late : {0, 1}) {
    EXPECT_TRUE(Answer(all[late]).errors(0).has_conflict());
    EXPECT_GE(all[late].answered_us, 120 * kMs);
    EXPECT_LT(all[late].answered_us, 123 * kMs);
  }
}

TEST_F(PessimisticLocks, WhoWaitsForTheNextOwnerIsNotWokenWithTheOthers) {
  const Timestamp owner = bench_.Tso();
  const Timestamp first = bench_.Tso();
  const Timestamp second = bench_.Tso();
  const Timestamp next_owner = bench_.Tso();
  const Timestamp late = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  std::vector<ClusterBench::Timed> all = {At(0, Lock("k", first)), At(1 * kMs, Lock("k", second)), Rollback(100 * kMs, "k", owner),
                                          At(105 * kMs, Lock("k", next_owner)), At(110 * kMs, Lock("k", late)),
                                          Rollback(300 * kMs, "k", next_owner)};
  bench_.AskTogether(&all);
  EXPECT_LT(all[1].answered_us, 123 * kMs);
  EXPECT_EQ(Answer(all[3]).ShortDebugString(), "");
  EXPECT_GE(all[4].answered_us, 300 * kMs);
  EXPECT_EQ(Answer(all[4]).errors(0).conflict().conflict_ts(), next_owner.value());
}

TEST_F(PessimisticLocks, ATimeOutTellsSinceWhenTheLockHasItsOwner) {
  const Timestamp owner = bench_.Tso();
  const Timestamp woken = bench_.Tso();
  const Timestamp waiter = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  LockRequest forced = Lock("k", woken);
  forced.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  LockRequest last = Lock("k", waiter);
  last.set_wait_timeout(400);
  std::vector<ClusterBench::Timed> all = {At(0, forced), At(1 * kMs, last), Rollback(100 * kMs, "k", owner)};
  bench_.AskTogether(&all);
  EXPECT_EQ(Answer(all[0]).results(0).type(), kvrpcpb::LockResultNormal) << Answer(all[0]).ShortDebugString();
  EXPECT_EQ(Answer(all[1]).errors(0).locked().lock_version(), woken.value());
  EXPECT_NEAR(static_cast<double>(Answer(all[1]).errors(0).locked().duration_to_last_update_ms()), 300.0, 5.0);
}

TEST_F(PessimisticLocks, ACircleOverTwoStoresIsAnsweredWithItsChain) {
  // Two keys whose regions are led by different stores.
  ASSERT_TRUE(bench_.cluster.SplitAt("b"));
  ASSERT_TRUE(bench_.cluster.TransferLeader(bench_.cluster.regions().FindByKey(EncodeKey("b"))->id));
  StoreId left;
  StoreId right;
  bench_.ContextFor("a", &left);
  bench_.ContextFor("b", &right);
  ASSERT_NE(left, right);
  const Timestamp one = bench_.Tso();
  const Timestamp two = bench_.Tso();
  ASSERT_EQ(Take(Lock("a", one)).ShortDebugString(), "");
  ASSERT_EQ(Take(Lock("b", two)).ShortDebugString(), "");
  LockRequest closing = Lock("a", two);
  closing.mutable_context()->set_resource_group_tag("tag");
  std::vector<ClusterBench::Timed> all = {At(0, Lock("b", one)), At(50 * kMs, closing), Rollback(100 * kMs, "b", two)};
  bench_.AskTogether(&all);
  EXPECT_LT(all[1].answered_us, 53 * kMs);
  const kvrpcpb::Deadlock& deadlock = Answer(all[1]).errors(0).deadlock();
  EXPECT_EQ(deadlock.lock_ts(), one.value());
  EXPECT_EQ(deadlock.lock_key(), "a");
  EXPECT_EQ(deadlock.deadlock_key_hash(), DeadlockKeyHash("b"));
  ASSERT_EQ(deadlock.wait_chain_size(), 2) << deadlock.ShortDebugString();
  EXPECT_EQ(deadlock.wait_chain(0).txn(), one.value());
  EXPECT_EQ(deadlock.wait_chain(0).wait_for_txn(), two.value());
  EXPECT_EQ(deadlock.wait_chain(0).key(), "b");
  EXPECT_EQ(deadlock.wait_chain(1).txn(), two.value());
  EXPECT_EQ(deadlock.wait_chain(1).wait_for_txn(), one.value());
  EXPECT_EQ(deadlock.wait_chain(1).key(), "a");
  EXPECT_EQ(deadlock.wait_chain(1).resource_group_tag(), "tag");
  EXPECT_TRUE(Answer(all[0]).errors(0).has_conflict()) << "the other one goes on when the victim gives up";
  EXPECT_TRUE(bench_.cluster.Deadlocks()->empty());
}

TEST_F(PessimisticLocks, AFirstLockIsNoCircle) {
  const Timestamp one = bench_.Tso();
  const Timestamp two = bench_.Tso();
  ASSERT_EQ(Take(Lock("a", one)).ShortDebugString(), "");
  ASSERT_EQ(Take(Lock("b", two)).ShortDebugString(), "");
  LockRequest first = Lock("a", two);
  first.set_is_first_lock(true);
  first.set_wait_timeout(100);
  LockRequest waits = Lock("b", one);
  waits.set_wait_timeout(200);
  std::vector<ClusterBench::Timed> all = {At(0, waits), At(50 * kMs, first)};
  bench_.AskTogether(&all);
  EXPECT_TRUE(Answer(all[1]).errors(0).has_locked());
}

TEST_F(PessimisticLocks, AForcedRequestTakesTheLockAndTellsTheConflictAndTheValue) {
  const Timestamp owner = bench_.Tso();
  const Timestamp waiter = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  LockRequest forced = Lock("k", waiter);
  forced.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  std::optional<Timestamp> commit_ts;
  struct Owner {
    static sim::Task<void> Run(ClusterBench* bench, std::vector<ClusterBench::Timed>* all) {
      sim::Task<void> running = ClusterBench::RunAll(bench, all);
      co_await std::move(running);
    }
  };
  // The wait goes on while the owner writes and commits through calls of their own.
  std::vector<ClusterBench::Timed> all = {At(0, forced)};
  sim::Scope scope(&bench_.world.scheduler());
  scope.Spawn("waiter", Owner::Run(&bench_, &all));
  bench_.Pass(50 * kMs);
  EXPECT_FALSE(all[0].answer.has_value());
  kvrpcpb::GetLockWaitInfoRequest info;
  const auto waits = bench_.Ask(kGetLockWaitInfo, all[0].store, info);
  ASSERT_EQ(waits->entries_size(), 1);
  EXPECT_EQ(waits->entries(0).txn(), waiter.value());
  EXPECT_EQ(waits->entries(0).wait_for_txn(), owner.value());
  EXPECT_EQ(waits->entries(0).key(), "k");
  commit_ts = WriteAndCommit("k", owner, "new");
  ASSERT_EQ(bench_.world.Run(scope.Join(), 10'000 * kMs), sim::RunEnd::kDone);
  const LockResponse& answer = Answer(all[0]);
  ASSERT_EQ(answer.results_size(), 1) << answer.ShortDebugString();
  EXPECT_EQ(answer.errors_size(), 0);
  EXPECT_EQ(answer.results(0).type(), kvrpcpb::LockResultLockedWithConflict);
  EXPECT_EQ(answer.results(0).locked_with_conflict_ts(), commit_ts->value());
  EXPECT_EQ(answer.results(0).value(), "new");
  EXPECT_TRUE(answer.results(0).existence());
  EXPECT_EQ(MvccReader(bench_.cluster.engine().Latest()).LoadLock(EncodeKey("k"))->start_ts, waiter);
}

TEST_F(PessimisticLocks, AForcedRequestIsPartOfACircleWhenItsLockPassesOn) {
  const Timestamp owner = bench_.Tso();
  const Timestamp one = bench_.Tso();
  const Timestamp two = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  ASSERT_EQ(Take(Lock("x", two)).ShortDebugString(), "");
  LockRequest first = Lock("k", one);
  first.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  LockRequest second = Lock("k", two);
  second.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  // `one` gets k from the owner at 50 ms, which makes `two` wait for `one`; then it wants what `two` has.
  std::vector<ClusterBench::Timed> all = {At(0, first), At(10 * kMs, second), Rollback(50 * kMs, "k", owner),
                                          At(100 * kMs, Lock("x", one))};
  bench_.AskTogether(&all);
  EXPECT_EQ(Answer(all[0]).results(0).type(), kvrpcpb::LockResultNormal);
  EXPECT_TRUE(Answer(all[3]).errors(0).has_deadlock()) << Answer(all[3]).ShortDebugString();
  EXPECT_TRUE(Answer(all[1]).errors(0).has_locked()) << "nobody gave up, so time did";
  EXPECT_EQ(Answer(all[1]).results(0).type(), kvrpcpb::LockResultFailed);
}

TEST_F(PessimisticLocks, AnOrdinaryRequestIsPartOfACircleWhenItsLockPassesOn) {
  const Timestamp owner = bench_.Tso();
  const Timestamp one = bench_.Tso();
  const Timestamp two = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  ASSERT_EQ(Take(Lock("x", two)).ShortDebugString(), "");
  LockRequest first = Lock("k", one);
  first.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  std::vector<ClusterBench::Timed> all = {At(0, first), At(10 * kMs, Lock("k", two)), Rollback(50 * kMs, "k", owner),
                                          At(100 * kMs, Lock("x", one))};
  bench_.AskTogether(&all);
  EXPECT_TRUE(Answer(all[3]).errors(0).has_deadlock());
  EXPECT_LT(all[3].answered_us, 103 * kMs);
}

TEST_F(PessimisticLocks, WhoWasThereIsWokenAlsoBehindOneThatCameAgain) {
  const Timestamp owner = bench_.Tso();
  const Timestamp oldest = bench_.Tso();
  const Timestamp younger = bench_.Tso();
  const Timestamp next_owner = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  std::vector<ClusterBench::Timed> all = {At(0, Lock("k", oldest)), At(1 * kMs, Lock("k", younger)), Rollback(100 * kMs, "k", owner),
                                          At(105 * kMs, Lock("k", next_owner)), At(110 * kMs, Lock("k", oldest))};
  bench_.AskTogether(&all);
  EXPECT_TRUE(Answer(all[1]).errors(0).has_conflict());
  EXPECT_LT(all[1].answered_us, 123 * kMs);
}

TEST_F(PessimisticLocks, AWokenRequestThatTakesNoLockPassesItsTurnOn) {
  const Timestamp owner = bench_.Tso();
  const Timestamp lost = bench_.Tso();
  const Timestamp absent = bench_.Tso();
  const Timestamp last = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  LockRequest rolled_back = Lock("k", lost);
  rolled_back.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  LockRequest if_exists = Lock("k", absent);
  if_exists.set_wake_up_mode(kvrpcpb::WakeUpModeForceLock);
  if_exists.set_lock_only_if_exists(true);
  if_exists.set_return_values(true);
  kvrpcpb::CleanupRequest cleanup;
  *cleanup.mutable_context() = rolled_back.context();
  cleanup.set_key("k");
  cleanup.set_start_version(lost.value());
  std::vector<ClusterBench::Timed> all = {
      At(0, rolled_back), At(1 * kMs, if_exists), At(2 * kMs, Lock("k", last)),
      Timed(50 * kMs, kKvCleanup.path, cleanup.context(), std::make_shared<const kvrpcpb::CleanupRequest>(cleanup)),
      Rollback(100 * kMs, "k", owner)};
  bench_.AskTogether(&all);
  EXPECT_NE(Answer(all[0]).errors(0).abort().find("PessimisticLockRolledBack"), std::string::npos);
  EXPECT_EQ(Answer(all[0]).results(0).type(), kvrpcpb::LockResultFailed);
  EXPECT_EQ(Answer(all[1]).results(0).type(), kvrpcpb::LockResultNormal) << Answer(all[1]).ShortDebugString();
  EXPECT_FALSE(Answer(all[1]).results(0).existence());
  EXPECT_TRUE(Answer(all[2]).errors(0).has_conflict());
  EXPECT_LT(all[2].answered_us, 106 * kMs);
}

TEST_F(PessimisticLocks, TheStoreThatDiesForgetsItsWaits) {
  const Timestamp owner = bench_.Tso();
  ASSERT_EQ(Take(Lock("k", owner)).ShortDebugString(), "");
  const LockRequest request = Lock("k", bench_.Tso());
  std::vector<ClusterBench::Timed> all = {At(0, request)};
  sim::Scope scope(&bench_.world.scheduler());
  scope.Spawn("waiter", ClusterBench::RunAll(&bench_, &all));
  bench_.Pass(50 * kMs);
  ASSERT_TRUE(bench_.cluster.KillStore(all[0].store, 3'000 * kMs));
  ASSERT_EQ(bench_.world.Run(scope.Join(), 10'000 * kMs), sim::RunEnd::kDone);
  EXPECT_EQ(all[0].answer->error().code(), StatusCode::kUnavailable);
  bench_.Pass(5'000 * kMs);
  EXPECT_TRUE(bench_.cluster.Run(all[0].store)->memory.lock_waits->empty());
}

TEST_F(PessimisticLocks, TheStoresConfigurationBoundsTheWait) {
  StoreId leader;
  bench_.ContextFor("k", &leader);
  ::http::Request change;
  change.set_method("POST");
  change.set_path("/config");
  change.set_body(R"({"pessimistic-txn.wait-for-lock-timeout":"300ms"})");
  ASSERT_EQ(bench_.Ask(sim::kHttp, leader, change)->status(), 200U);
  ASSERT_EQ(Take(Lock("k", bench_.Tso())).ShortDebugString(), "");
  std::vector<ClusterBench::Timed> all = {At(0, Lock("k", bench_.Tso()))};
  bench_.AskTogether(&all);
  EXPECT_TRUE(Answer(all[0]).errors(0).has_locked());
  EXPECT_GE(all[0].answered_us, 300 * kMs);
  EXPECT_LT(all[0].answered_us, 303 * kMs);
}

}  // namespace
}  // namespace kvjury::tikv
