// What the client does about locks in its way, seen from a scripted cluster.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/client/scripted_cluster.h"

namespace kvjury::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int64_t kClockMs = 1'000'000;

/// A transaction that began this long before the cluster's clock started.
uint64_t StartedMsAgo(int64_t ms) { return Timestamp::Compose(kClockMs - ms, 1).value(); }

kvrpcpb::LockInfo MakeLock(const Bytes& key, const Bytes& primary, uint64_t start_ts, uint64_t ttl_ms = 3000) {
  kvrpcpb::LockInfo lock;
  lock.set_key(key);
  lock.set_primary_lock(primary);
  lock.set_lock_version(start_ts);
  lock.set_lock_ttl(ttl_ms);
  lock.set_txn_size(2);
  return lock;
}

kvrpcpb::GetResponse Locked(const kvrpcpb::LockInfo& lock) {
  kvrpcpb::GetResponse response;
  *response.mutable_error()->mutable_locked() = lock;
  return response;
}

kvrpcpb::GetResponse Value(const Bytes& value) {
  kvrpcpb::GetResponse response;
  response.set_value(value);
  return response;
}

kvrpcpb::CheckTxnStatusResponse Alive(uint64_t ttl_ms, kvrpcpb::Action action) {
  kvrpcpb::CheckTxnStatusResponse response;
  response.set_lock_ttl(ttl_ms);
  response.set_action(action);
  return response;
}

kvrpcpb::CheckTxnStatusResponse CommittedAt(uint64_t ts) {
  kvrpcpb::CheckTxnStatusResponse response;
  response.set_commit_version(ts);
  return response;
}

kvrpcpb::CheckTxnStatusResponse RolledBack() {
  kvrpcpb::CheckTxnStatusResponse response;
  response.set_action(kvrpcpb::TTLExpireRollback);
  return response;
}

/// The answer for an async-commit primary "a" with the secondaries "b" and "z" (two regions).
kvrpcpb::CheckTxnStatusResponse AsyncPrimary(uint64_t start_ts) {
  kvrpcpb::CheckTxnStatusResponse response;
  response.set_lock_ttl(3000);
  kvrpcpb::LockInfo* lock = response.mutable_lock_info();
  *lock = MakeLock("a", "a", start_ts);
  lock->set_use_async_commit(true);
  lock->set_min_commit_ts(start_ts + 5);
  lock->add_secondaries("b");
  lock->add_secondaries("z");
  return response;
}

kvrpcpb::CheckSecondaryLocksResponse StillLocked(const Bytes& key, uint64_t start_ts, uint64_t min_commit_ts, bool async) {
  kvrpcpb::CheckSecondaryLocksResponse response;
  kvrpcpb::LockInfo* lock = response.add_locks();
  *lock = MakeLock(key, "a", start_ts);
  lock->set_use_async_commit(async);
  lock->set_min_commit_ts(min_commit_ts);
  return response;
}

Result<std::optional<Bytes>> GetAt(ScriptedCluster* cluster, const Bytes& key, Timestamp ts) {
  std::unique_ptr<Transaction> transaction = cluster->client.BeginAt(ts, sim::Label("w1/read"));
  Result<std::optional<Bytes>> read = cluster->Await(transaction->Get(key));
  cluster->Join();
  return read;
}

const Timestamp kNow = Timestamp::Compose(kClockMs, 0);

TEST(LockResolver, AReadGoesPastALiveTransactionItHasPushed) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(10);
  cluster.get.Next(Locked(MakeLock("b", "z", start_ts)));
  cluster.get.Next(Value("old"));
  cluster.check_txn_status.Next(Alive(3000, kvrpcpb::MinCommitTSPushed));
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "old");
  ASSERT_EQ(cluster.check_txn_status.seen.size(), 1U);
  const auto& check = cluster.check_txn_status.seen[0].request;
  EXPECT_EQ(check.primary_key(), "z");
  EXPECT_EQ(check.lock_ts(), start_ts);
  EXPECT_EQ(check.caller_start_ts(), kNow.value());
  EXPECT_GE(check.current_ts(), kNow.value());
  EXPECT_LT(check.current_ts(), UINT64_MAX);
  EXPECT_FALSE(check.rollback_if_not_exist());
  EXPECT_THAT(cluster.get.seen.at(1).request.context().resolved_locks(), ElementsAre(start_ts));
  EXPECT_THAT(cluster.get.seen.at(1).request.context().committed_locks(), IsEmpty());
  EXPECT_TRUE(cluster.resolve_lock.seen.empty());
}

TEST(LockResolver, AReadLooksThroughALockCommittedBelowItAndClearsItMeanwhile) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(10);
  cluster.get.Next(Locked(MakeLock("b", "z", start_ts)));
  cluster.get.Next(Value("new"));
  cluster.check_txn_status.Next(CommittedAt(start_ts + 1));
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "new");
  EXPECT_THAT(cluster.get.seen.at(1).request.context().committed_locks(), ElementsAre(start_ts));
  ASSERT_EQ(cluster.resolve_lock.seen.size(), 1U);
  EXPECT_EQ(cluster.resolve_lock.seen[0].request.commit_version(), start_ts + 1);
  EXPECT_THAT(cluster.resolve_lock.seen[0].request.keys(), ElementsAre("b"));
}

TEST(LockResolver, AReadIgnoresALockCommittedAboveItOrRolledBack) {
  for (const bool committed : {true, false}) {
    ScriptedCluster cluster;
    const uint64_t start_ts = StartedMsAgo(10);
    cluster.get.Next(Locked(MakeLock("b", "z", start_ts)));
    cluster.get.Next(Value("old"));
    cluster.check_txn_status.Next(committed ? CommittedAt(kNow.value() + 1) : RolledBack());
    EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "old");
    EXPECT_THAT(cluster.get.seen.at(1).request.context().resolved_locks(), ElementsAre(start_ts));
    ASSERT_EQ(cluster.resolve_lock.seen.size(), 1U);
    EXPECT_EQ(cluster.resolve_lock.seen[0].request.commit_version(), committed ? kNow.value() + 1 : 0);
  }
}

TEST(LockResolver, AReadWaitsForALiveTransactionItCannotPush) {
  ScriptedCluster cluster;
  cluster.get.Next(Locked(MakeLock("b", "z", StartedMsAgo(10))));
  cluster.get.Next(Value("v"));
  cluster.check_txn_status.Next(Alive(3000, kvrpcpb::NoAction));
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "v");
  EXPECT_GE(cluster.get.seen.at(1).at_us - cluster.get.seen.at(0).at_us, 5'000);
  EXPECT_THAT(cluster.get.seen.at(1).request.context().resolved_locks(), IsEmpty());
}

TEST(LockResolver, AsksAboutTheSameTransactionOnce) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(10);
  cluster.check_txn_status.Next(CommittedAt(start_ts + 1));
  for (const char* key : {"b", "c"}) {
    cluster.get.Next(Locked(MakeLock(key, "z", start_ts)));
    cluster.get.Next(Value("v"));
    EXPECT_EQ(GetAt(&cluster, key, kNow)->value_or(""), "v");
  }
  EXPECT_EQ(cluster.check_txn_status.seen.size(), 1U);
  EXPECT_EQ(cluster.resolve_lock.seen.size(), 2U);
}

TEST(LockResolver, AReadOfTheLatestWaitsForItsFirstLockOnly) {
  ScriptedCluster cluster;
  const uint64_t first = StartedMsAgo(10);
  const uint64_t second = StartedMsAgo(5);
  cluster.get.Next(Locked(MakeLock("b", "z", first)));
  cluster.get.Next(Locked(MakeLock("b", "z", second)));
  cluster.get.Next(Value("v"));
  cluster.check_txn_status.Next(CommittedAt(first + 1));
  EXPECT_EQ(GetAt(&cluster, "b", Timestamp::Max())->value_or(""), "v");
  EXPECT_EQ(cluster.check_txn_status.seen.size(), 1U);
  EXPECT_THAT(cluster.get.seen.at(2).request.context().resolved_locks(), ElementsAre(second));
  EXPECT_THAT(cluster.get.seen.at(2).request.context().committed_locks(), ElementsAre(first));
}

TEST(LockResolver, RollsBackAMissingPrimaryOnlyWhenTheLocksTimeIsUp) {
  ScriptedCluster cluster;
  cluster.get.Next(Locked(MakeLock("b", "z", StartedMsAgo(10), 3000)));
  cluster.get.Next(Value("v"));
  cluster.check_txn_status.Always([](const auto& seen) {
    kvrpcpb::CheckTxnStatusResponse response;
    if (seen.request.rollback_if_not_exist()) {
      response.set_action(kvrpcpb::LockNotExistRollback);
    } else {
      response.mutable_error()->mutable_txn_not_found();
    }
    return response;
  });
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "v");
  const auto& seen = cluster.check_txn_status.seen;
  ASSERT_GT(seen.size(), 3U);
  for (size_t i = 0; i + 1 < seen.size(); ++i) {
    EXPECT_FALSE(seen[i].request.rollback_if_not_exist());
  }
  EXPECT_TRUE(seen.back().request.rollback_if_not_exist());
  EXPECT_GE(seen.back().at_us, 2'990'000);
  EXPECT_LE(seen.back().at_us, 3'600'000);
}

TEST(LockResolver, CommitsAnExpiredAsyncTransactionAtItsLargestLeastTimestamp) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(60'000);
  cluster.get.Next(Locked(MakeLock("b", "a", start_ts)));
  cluster.get.Next(Value("new"));
  cluster.check_txn_status.Next(AsyncPrimary(start_ts));
  cluster.check_secondary_locks.Next(StillLocked("b", start_ts, start_ts + 7, true));
  cluster.check_secondary_locks.Next(StillLocked("z", start_ts, start_ts + 6, true));
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "new");
  ASSERT_EQ(cluster.check_secondary_locks.seen.size(), 2U);
  EXPECT_THAT(cluster.check_secondary_locks.seen[0].request.keys(), ElementsAre("b"));
  EXPECT_THAT(cluster.check_secondary_locks.seen[1].request.keys(), ElementsAre("z"));
  ASSERT_EQ(cluster.resolve_lock.seen.size(), 2U);
  for (const auto& seen : cluster.resolve_lock.seen) {
    EXPECT_EQ(seen.request.commit_version(), start_ts + 7);
  }
  EXPECT_THAT(cluster.resolve_lock.seen[0].request.keys(), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(cluster.resolve_lock.seen[1].request.keys(), ElementsAre("z"));
  EXPECT_THAT(cluster.get.seen.at(1).request.context().committed_locks(), ElementsAre(start_ts));
  EXPECT_EQ(cluster.client.counters().async_recoveries, 1U);
}

TEST(LockResolver, RollsAnExpiredAsyncTransactionBackWhenASecondaryIsMissing) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(60'000);
  cluster.get.Next(Locked(MakeLock("b", "a", start_ts)));
  cluster.get.Next(Value("old"));
  cluster.check_txn_status.Next(AsyncPrimary(start_ts));
  cluster.check_secondary_locks.Next(StillLocked("b", start_ts, start_ts + 7, true));
  cluster.check_secondary_locks.Next(kvrpcpb::CheckSecondaryLocksResponse());
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "old");
  ASSERT_FALSE(cluster.resolve_lock.seen.empty());
  for (const auto& seen : cluster.resolve_lock.seen) {
    EXPECT_EQ(seen.request.commit_version(), 0U);
  }
  EXPECT_THAT(cluster.get.seen.at(1).request.context().resolved_locks(), ElementsAre(start_ts));
}

TEST(LockResolver, TakesTheCommitTimestampOfASecondaryThatIsCommittedAlready) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(60'000);
  cluster.get.Next(Locked(MakeLock("b", "a", start_ts)));
  cluster.get.Next(Value("new"));
  cluster.check_txn_status.Next(AsyncPrimary(start_ts));
  kvrpcpb::CheckSecondaryLocksResponse committed;
  committed.set_commit_ts(start_ts + 9);
  cluster.check_secondary_locks.Next(StillLocked("b", start_ts, start_ts + 7, true));
  cluster.check_secondary_locks.Next(committed);
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "new");
  ASSERT_EQ(cluster.resolve_lock.seen.size(), 1U);
  EXPECT_EQ(cluster.resolve_lock.seen[0].request.commit_version(), start_ts + 9);
}

TEST(LockResolver, LetsThePrimaryDecideWhenASecondaryFellBackToTwoPhases) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(60'000);
  cluster.get.Next(Locked(MakeLock("b", "a", start_ts)));
  cluster.get.Next(Value("old"));
  cluster.check_txn_status.Next(AsyncPrimary(start_ts));
  cluster.check_txn_status.Next(RolledBack());
  cluster.check_secondary_locks.Next(StillLocked("b", start_ts, 0, false));
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "old");
  ASSERT_EQ(cluster.check_txn_status.seen.size(), 2U);
  EXPECT_FALSE(cluster.check_txn_status.seen[0].request.force_sync_commit());
  EXPECT_TRUE(cluster.check_txn_status.seen[1].request.force_sync_commit());
}

TEST(LockResolver, LeavesALiveAsyncTransactionAlone) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(10);
  cluster.get.Next(Locked(MakeLock("b", "a", start_ts)));
  cluster.get.Next(Value("v"));
  cluster.check_txn_status.Next(AsyncPrimary(start_ts));
  EXPECT_EQ(GetAt(&cluster, "b", kNow)->value_or(""), "v");
  EXPECT_TRUE(cluster.check_secondary_locks.seen.empty());
  EXPECT_TRUE(cluster.resolve_lock.seen.empty());
}

TEST(LockResolver, ClearsAWholeRegionForALargeTransactionAndEachRegionOnce) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(60'000);
  std::vector<kvrpcpb::LockInfo> locks = {MakeLock("b", "a", start_ts), MakeLock("c", "a", start_ts),
                                          MakeLock("z", "a", start_ts)};
  for (kvrpcpb::LockInfo& lock : locks) {
    lock.set_txn_size(100);
  }
  cluster.check_txn_status.Next(RolledBack());
  const Result<ResolveOutcome> outcome =
      cluster.Await(cluster.client.ResolveLocks(locks, Timestamp(), sim::Label("tool/locks")));
  ASSERT_TRUE(outcome.ok()) << outcome.error();
  EXPECT_EQ(outcome->wait_ms, 0);
  ASSERT_EQ(cluster.resolve_lock.seen.size(), 2U);
  for (const auto& seen : cluster.resolve_lock.seen) {
    EXPECT_THAT(seen.request.keys(), IsEmpty());
  }
  EXPECT_EQ(cluster.resolve_lock.seen[0].label, "tool/locks/resolve_lock[]#1");
  EXPECT_EQ(cluster.resolve_lock.seen[1].label, "tool/locks/resolve_lock[m]#1");
}

TEST(LockResolver, SaysHowLongALiveTransactionMayTake) {
  ScriptedCluster cluster;
  cluster.check_txn_status.Next(Alive(3000, kvrpcpb::NoAction));
  const Result<ResolveOutcome> outcome = cluster.Await(
      cluster.client.ResolveLocks({MakeLock("b", "a", StartedMsAgo(1000))}, Timestamp(), sim::Label("tool/locks")));
  ASSERT_TRUE(outcome.ok()) << outcome.error();
  EXPECT_GE(outcome->wait_ms, 1990);
  EXPECT_LE(outcome->wait_ms, 2000);
}

TEST(LockResolver, ResolvesEveryLockOfARangeRegionByRegion) {
  ScriptedCluster cluster;
  const uint64_t start_ts = StartedMsAgo(60'000);
  kvrpcpb::ScanLockResponse memory;
  *memory.mutable_error()->mutable_locked() = MakeLock("c", "a", start_ts);
  kvrpcpb::ScanLockResponse first;
  *first.add_locks() = MakeLock("b", "a", start_ts);
  kvrpcpb::ScanLockResponse second;
  *second.add_locks() = MakeLock("z", "a", start_ts);
  cluster.scan_lock.Next(memory);
  cluster.scan_lock.Next(first);
  cluster.scan_lock.Next(second);
  cluster.check_txn_status.Next(RolledBack());
  const Result<uint64_t> met =
      cluster.Await(cluster.client.ResolveLocksBelow(kNow, "a", "zz", false, sim::Label("tool/gc")));
  ASSERT_TRUE(met.ok()) << met.error();
  EXPECT_EQ(*met, 2U);
  ASSERT_EQ(cluster.scan_lock.seen.size(), 3U);
  EXPECT_EQ(cluster.scan_lock.seen[1].request.start_key(), "a");
  EXPECT_EQ(cluster.scan_lock.seen[1].request.end_key(), "m");
  EXPECT_EQ(cluster.scan_lock.seen[2].request.start_key(), "m");
  EXPECT_EQ(cluster.scan_lock.seen[2].request.end_key(), "zz");
  EXPECT_EQ(cluster.scan_lock.seen[2].request.max_version(), kNow.value());
  EXPECT_EQ(cluster.resolve_lock.seen.size(), 2U);
}

TEST(LockResolver, SettlesATransactionForGood) {
  ScriptedCluster cluster;
  cluster.check_txn_status.Next(CommittedAt(77));
  cluster.check_txn_status.Next(RolledBack());
  auto committed = cluster.Await(cluster.client.Settle(Timestamp(70), "a", sim::Label("judge/settle#1")));
  auto rolled_back = cluster.Await(cluster.client.Settle(Timestamp(71), "a", sim::Label("judge/settle#2")));
  ASSERT_TRUE(committed.ok() && rolled_back.ok());
  EXPECT_EQ(*committed, std::optional<Timestamp>(Timestamp(77)));
  EXPECT_EQ(*rolled_back, std::nullopt);
  EXPECT_EQ(cluster.check_txn_status.seen.at(0).request.current_ts(), UINT64_MAX) << "dead or alive";
}

}  // namespace
}  // namespace kvjury::client
