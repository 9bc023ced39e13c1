// The client's commit protocols, message by message, seen from a scripted cluster.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/client/scripted_cluster.h"

namespace kvjury::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<Transaction> Begin(ScriptedCluster* cluster) {
  Result<std::unique_ptr<Transaction>> begun = cluster->Await(cluster->client.Begin(sim::Label("w1/op1/txn#1")));
  CHECK(begun.ok()) << begun.error();
  return *std::move(begun);
}

/// Commits writes of `value` to the keys, and waits for the background too.
Result<CommitInfo> CommitKeys(ScriptedCluster* cluster, const std::vector<Bytes>& keys, const Bytes& value = "v") {
  std::unique_ptr<Transaction> transaction = Begin(cluster);
  for (const Bytes& key : keys) {
    transaction->Put(key, value);
  }
  Result<CommitInfo> committed = cluster->Await(transaction->Commit());
  cluster->Join();
  return committed;
}

std::vector<Bytes> ManyKeys(size_t count) {
  std::vector<Bytes> keys;
  for (size_t i = 0; i < count; ++i) {
    keys.push_back("a" + std::to_string(1000 + i));
  }
  return keys;
}

kvrpcpb::PrewriteResponse MinCommitTs(uint64_t ts) {
  kvrpcpb::PrewriteResponse response;
  response.set_min_commit_ts(ts);
  return response;
}

kvrpcpb::PrewriteResponse ConflictAt(const Bytes& key) {
  kvrpcpb::PrewriteResponse response;
  response.add_errors()->mutable_conflict()->set_key(key);
  return response;
}

void SetStoresDown(ScriptedCluster* cluster, bool down) {
  for (const char* address : {"store-1", "store-2", "store-3"}) {
    cluster->world.fabric().SetDown(address, down);
  }
}

TEST(Commit, OneBatchIsCommittedByItsPrewrite) {
  ScriptedCluster cluster;
  cluster.prewrite.Next([](const auto& seen) {
    kvrpcpb::PrewriteResponse response;
    response.set_one_pc_commit_ts(seen.request.min_commit_ts());
    return response;
  });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"b", "a"});
  ASSERT_TRUE(committed.ok()) << committed.error();
  EXPECT_EQ(committed->mode, CommitMode::kOnePhase);
  ASSERT_EQ(cluster.prewrite.seen.size(), 1U);
  const kvrpcpb::PrewriteRequest& request = cluster.prewrite.seen[0].request;
  EXPECT_EQ(committed->commit_ts.value(), request.min_commit_ts());
  EXPECT_TRUE(request.try_one_pc());
  EXPECT_TRUE(request.use_async_commit());
  EXPECT_THAT(request.secondaries(), ElementsAre("b"));
  EXPECT_EQ(request.primary_lock(), "a");
  EXPECT_EQ(request.lock_ttl(), 3000U);
  EXPECT_EQ(request.txn_size(), 2U);
  EXPECT_EQ(cluster.tso.seen.size(), 2U) << "one to begin, one for the order of commits";
  EXPECT_GT(request.min_commit_ts(), request.start_version() + 1);
  EXPECT_EQ(Timestamp(request.max_commit_ts()).physical_ms(), Timestamp(request.start_version()).physical_ms() + 2000);
  EXPECT_TRUE(cluster.commit.seen.empty());
}

TEST(Commit, TwoRegionsAreCommittedAsyncAtTheLargestLeastTimestamp) {
  ScriptedCluster cluster;
  cluster.prewrite.Always([](const auto& seen) {
    return MinCommitTs(seen.request.min_commit_ts() + (seen.request.mutations(0).key() == "z" ? 9 : 0));
  });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"z", "a"});
  ASSERT_TRUE(committed.ok()) << committed.error();
  EXPECT_EQ(committed->mode, CommitMode::kAsync);
  ASSERT_EQ(cluster.prewrite.seen.size(), 2U);
  size_t with_secondaries = 0;
  for (const auto& seen : cluster.prewrite.seen) {
    EXPECT_FALSE(seen.request.try_one_pc());
    EXPECT_TRUE(seen.request.use_async_commit());
    with_secondaries += static_cast<size_t>(seen.request.secondaries_size());
    EXPECT_EQ(committed->commit_ts.value(), seen.request.min_commit_ts() + 9);
  }
  EXPECT_EQ(with_secondaries, 1U) << "in the primary's batch alone";
  ASSERT_EQ(cluster.commit.seen.size(), 2U);
  for (const auto& seen : cluster.commit.seen) {
    EXPECT_EQ(seen.request.commit_version(), committed->commit_ts.value());
  }
}

TEST(Commit, ManyKeysGoInTwoPhasesWithTheSecondariesInTheBackground) {
  ScriptedCluster cluster;
  std::vector<Bytes> keys = ManyKeys(300);
  keys.push_back("z");
  std::unique_ptr<Transaction> transaction = Begin(&cluster);
  for (const Bytes& key : keys) {
    transaction->Put(key, "v");
  }
  const Result<CommitInfo> committed = cluster.Await(transaction->Commit());
  ASSERT_TRUE(committed.ok()) << committed.error();
  EXPECT_EQ(committed->mode, CommitMode::kTwoPhase);
  EXPECT_EQ(transaction->primary_key(), "a1000");
  EXPECT_EQ(cluster.commit.seen.size(), 1U) << "the primary's batch comes first and alone";
  cluster.Join();
  ASSERT_EQ(cluster.commit.seen.size(), 2U);
  EXPECT_EQ(cluster.commit.seen[0].request.keys(0), "a1000");
  EXPECT_THAT(cluster.commit.seen[1].request.keys(), ElementsAre("z"));
  EXPECT_FALSE(cluster.prewrite.seen.at(0).request.use_async_commit());
  EXPECT_EQ(cluster.tso.seen.size(), 3U);
}

TEST(Commit, ABatchIsAboutSixteenKibibytes) {
  ScriptedCluster cluster;
  cluster.prewrite.Always([](const auto& seen) { return MinCommitTs(seen.request.min_commit_ts()); });
  ASSERT_TRUE(CommitKeys(&cluster, {"a", "b", "c", "d", "e"}, Bytes(8192, 'v')).ok());
  ASSERT_EQ(cluster.prewrite.seen.size(), 3U);
  EXPECT_EQ(cluster.prewrite.seen[0].request.lock_ttl(), 3000U);
  EXPECT_EQ(cluster.prewrite.seen[0].request.txn_size(), 5U);
}

TEST(Commit, TheTimeToLiveGrowsWithTheRootOfTheSize) {
  ScriptedCluster cluster;
  cluster.prewrite.Always([](const auto& seen) { return MinCommitTs(seen.request.min_commit_ts()); });
  ASSERT_TRUE(CommitKeys(&cluster, {"a", "b", "c", "d"}, Bytes((1 << 20) - 1, 'v')).ok());
  EXPECT_EQ(cluster.prewrite.seen.at(0).request.lock_ttl(), 12000U);
}

TEST(Commit, FallsBackToTwoPhasesWhenTheStoreDeclines) {
  for (const std::vector<Bytes>& keys : {std::vector<Bytes>{"a", "b"}, std::vector<Bytes>{"a", "z"}}) {
    ScriptedCluster cluster;
    const Result<CommitInfo> committed = CommitKeys(&cluster, keys);
    ASSERT_TRUE(committed.ok()) << committed.error();
    EXPECT_EQ(committed->mode, CommitMode::kTwoPhase);
    EXPECT_GE(cluster.client.counters().fallbacks_to_two_phase, 1U);
    EXPECT_FALSE(cluster.commit.seen.empty());
  }
}

TEST(Commit, TakesALaterTimestampWhenAReaderPushedThePrimary) {
  ScriptedCluster cluster;
  cluster.commit.Next([](const auto& seen) {
    kvrpcpb::CommitResponse response;
    auto* expired = response.mutable_error()->mutable_commit_ts_expired();
    expired->set_key("a");
    expired->set_attempted_commit_ts(seen.request.commit_version());
    expired->set_min_commit_ts(seen.request.commit_version() + 1);
    return response;
  });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"a"});
  ASSERT_TRUE(committed.ok()) << committed.error();
  ASSERT_EQ(cluster.commit.seen.size(), 2U);
  EXPECT_GT(cluster.commit.seen[1].request.commit_version(), cluster.commit.seen[0].request.commit_version());
  EXPECT_EQ(committed->commit_ts.value(), cluster.commit.seen[1].request.commit_version());
}

TEST(Commit, AConflictRollsBackWhatWasPrewritten) {
  ScriptedCluster cluster;
  cluster.prewrite.Always([](const auto& seen) {
    return seen.request.mutations(0).key() == "z" ? ConflictAt("z") : MinCommitTs(seen.request.min_commit_ts());
  });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"a", "z"});
  ASSERT_EQ(committed.status().code(), StatusCode::kConflict);
  EXPECT_THAT(committed.error().message(), HasSubstr("write conflict"));
  ASSERT_EQ(cluster.rollback.seen.size(), 2U);
  EXPECT_THAT(cluster.rollback.seen[0].request.keys(), ElementsAre("a"));
  EXPECT_THAT(cluster.rollback.seen[1].request.keys(), ElementsAre("z"));
  EXPECT_TRUE(cluster.commit.seen.empty());
}

TEST(Commit, ALostLockOfThePrimaryMayBeTriedAgain) {
  ScriptedCluster cluster;
  kvrpcpb::CommitResponse lost;
  lost.mutable_error()->set_retryable("Error(Txn(Error(Mvcc(Error(TxnLockNotFound { start_ts: 1 })))))");
  cluster.commit.Next(lost);
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"a"});
  ASSERT_EQ(committed.status().code(), StatusCode::kConflict);
  EXPECT_THAT(committed.error().message(), HasSubstr("TxnLockNotFound"));
}

TEST(Commit, APrewriteResolvesTheLocksItMeetsAndGoesOn) {
  ScriptedCluster cluster;
  kvrpcpb::PrewriteResponse locked;
  kvrpcpb::LockInfo* lock = locked.add_errors()->mutable_locked();
  lock->set_key("a");
  lock->set_primary_lock("z");
  lock->set_lock_version(Timestamp::Compose(900'000, 0).value());
  lock->set_lock_ttl(3000);
  cluster.prewrite.Next(locked);
  cluster.check_txn_status.Next([](const auto&) {
    kvrpcpb::CheckTxnStatusResponse response;
    response.set_action(kvrpcpb::TTLExpireRollback);
    return response;
  });
  ASSERT_TRUE(CommitKeys(&cluster, {"a"}).ok());
  ASSERT_EQ(cluster.prewrite.seen.size(), 2U);
  ASSERT_EQ(cluster.resolve_lock.seen.size(), 1U);
  EXPECT_LT(cluster.resolve_lock.seen[0].at_us, cluster.prewrite.seen[1].at_us) << "a write waits for it";
  EXPECT_EQ(cluster.check_txn_status.seen.at(0).request.caller_start_ts(),
            cluster.prewrite.seen[0].request.start_version());
}

TEST(Commit, TheLockOfAYoungerTransactionIsAConflict) {
  ScriptedCluster cluster;
  kvrpcpb::PrewriteResponse locked;
  locked.add_errors()->mutable_locked()->set_lock_version(Timestamp::Compose(2'000'000, 0).value());
  cluster.prewrite.Next(locked);
  EXPECT_EQ(CommitKeys(&cluster, {"a"}).status().code(), StatusCode::kConflict);
  EXPECT_TRUE(cluster.check_txn_status.seen.empty());
}

TEST(Commit, IsUndeterminedWhenThePrimarysReplyIsLostForGood) {
  ScriptedCluster cluster;
  cluster.commit.Next([&cluster](const auto&) {
    SetStoresDown(&cluster, true);
    return kvrpcpb::CommitResponse();
  });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"a"});
  EXPECT_EQ(committed.status().code(), StatusCode::kUndetermined);
  EXPECT_EQ(cluster.client.counters().undetermined, 1U);
  EXPECT_TRUE(cluster.rollback.seen.empty()) << "what may be committed is not rolled back";
}

TEST(Commit, IsUndeterminedWhenTheReplyOfAOnePhasePrewriteIsLostForGood) {
  ScriptedCluster cluster;
  cluster.prewrite.Next([&cluster](const auto&) {
    SetStoresDown(&cluster, true);
    return kvrpcpb::PrewriteResponse();
  });
  EXPECT_EQ(CommitKeys(&cluster, {"a"}).status().code(), StatusCode::kUndetermined);
}

TEST(Commit, IsUndeterminedWhenAPrewriteFailsAfterALostReply) {
  ScriptedCluster cluster;
  cluster.prewrite.Next([&cluster](const auto&) {
    SetStoresDown(&cluster, true);
    cluster.world.scheduler().After(50'000, 0, [&cluster]() { SetStoresDown(&cluster, false); });
    return kvrpcpb::PrewriteResponse();
  });
  cluster.prewrite.Next(ConflictAt("a"));
  EXPECT_EQ(CommitKeys(&cluster, {"a"}).status().code(), StatusCode::kUndetermined);
  EXPECT_EQ(cluster.prewrite.seen.size(), 2U);
}

TEST(Commit, IsDeterminedWhenAPrewriteOfTwoPhasesGetsNoReply) {
  ScriptedCluster cluster;
  cluster.prewrite.Next([&cluster](const auto&) {
    SetStoresDown(&cluster, true);
    return kvrpcpb::PrewriteResponse();
  });
  EXPECT_EQ(CommitKeys(&cluster, ManyKeys(300), Bytes(100, 'v')).status().code(), StatusCode::kUnavailable);
}

TEST(Commit, ALostReplyThatALaterAttemptMakesGoodIsNoTrouble) {
  ScriptedCluster cluster;
  cluster.commit.Next([&cluster](const auto&) {
    SetStoresDown(&cluster, true);
    cluster.world.scheduler().After(50'000, 0, [&cluster]() { SetStoresDown(&cluster, false); });
    return kvrpcpb::CommitResponse();
  });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"a"});
  ASSERT_TRUE(committed.ok()) << committed.error();
  ASSERT_EQ(cluster.commit.seen.size(), 2U);
  EXPECT_EQ(cluster.commit.seen[0].request.commit_version(), cluster.commit.seen[1].request.commit_version());
}

TEST(Commit, APrewriteIsSplitWithItsRegion) {
  ScriptedCluster cluster;
  kvrpcpb::PrewriteResponse moved;
  auto* current = moved.mutable_region_error()->mutable_epoch_not_match();
  *current->add_current_regions() = ScriptedCluster::MakeRegion(9, "", "b", 6);
  *current->add_current_regions() = ScriptedCluster::MakeRegion(2, "b", "m", 6);
  cluster.prewrite.Next(moved);
  cluster.prewrite.Always([](const auto& seen) { return MinCommitTs(seen.request.min_commit_ts()); });
  const Result<CommitInfo> committed = CommitKeys(&cluster, {"a", "b"});
  ASSERT_TRUE(committed.ok()) << committed.error();
  EXPECT_EQ(committed->mode, CommitMode::kAsync);
  ASSERT_EQ(cluster.prewrite.seen.size(), 3U);
  EXPECT_TRUE(cluster.prewrite.seen[0].request.try_one_pc());
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_FALSE(cluster.prewrite.seen[i].request.try_one_pc());
    EXPECT_EQ(cluster.prewrite.seen[i].request.mutations_size(), 1);
    EXPECT_EQ(cluster.prewrite.seen[i].request.txn_size(), UINT64_MAX);
  }
}

TEST(Commit, NothingWrittenSendsNothing) {
  ScriptedCluster cluster;
  std::unique_ptr<Transaction> transaction = Begin(&cluster);
  const Result<CommitInfo> committed = cluster.Await(transaction->Commit());
  ASSERT_TRUE(committed.ok()) << committed.error();
  EXPECT_EQ(committed->mode, CommitMode::kNothing);
  EXPECT_TRUE(cluster.prewrite.seen.empty());
  EXPECT_EQ(cluster.tso.seen.size(), 1U);
}

TEST(Commit, ADeadClientLeavesItsLocksBehind) {
  ScriptedCluster cluster;
  cluster.prewrite.Always([&cluster](const auto& seen) {
    if (seen.request.mutations(0).key() == "z") {
      cluster.client.Crash();
    }
    return MinCommitTs(seen.request.min_commit_ts());
  });
  EXPECT_EQ(CommitKeys(&cluster, {"a", "z"}).status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(cluster.commit.seen.empty());
  EXPECT_TRUE(cluster.rollback.seen.empty());
}

kvrpcpb::KvPair MakePair(const Bytes& key, const Bytes& value) {
  kvrpcpb::KvPair pair;
  pair.set_key(key);
  pair.set_value(value);
  return pair;
}

TEST(Snapshot, AScanGoesRegionByRegionAndSeesOwnWrites) {
  ScriptedCluster cluster;
  kvrpcpb::ScanResponse left;
  *left.add_pairs() = MakePair("b", "1");
  *left.add_pairs() = MakePair("d", "2");
  kvrpcpb::ScanResponse right;
  *right.add_pairs() = MakePair("n", "3");
  cluster.scan.Next(left);
  cluster.scan.Next(right);
  std::unique_ptr<Transaction> transaction = Begin(&cluster);
  transaction->Put("c", "own");
  transaction->Delete("d");
  transaction->Put("x", "own");
  const auto pairs = cluster.Await(transaction->Scan("a", "zz", 0));
  ASSERT_TRUE(pairs.ok()) << pairs.error();
  EXPECT_THAT(*pairs, ElementsAre(Pair("b", "1"), Pair("c", "own"), Pair("n", "3"), Pair("x", "own")));
  ASSERT_EQ(cluster.scan.seen.size(), 2U);
  EXPECT_EQ(cluster.scan.seen[0].request.end_key(), "m") << "never past the region";
  EXPECT_EQ(cluster.scan.seen[0].request.limit(), 10240U);
  EXPECT_EQ(cluster.scan.seen[1].request.start_key(), "m");
  EXPECT_EQ(cluster.scan.seen[1].request.end_key(), "zz");
}

TEST(Snapshot, AScanReadsLockedKeysByThemselvesAndStopsAtItsLimit) {
  ScriptedCluster cluster;
  kvrpcpb::ScanResponse page;
  *page.add_pairs() = MakePair("b", "1");
  kvrpcpb::KvPair* locked = page.add_pairs();
  locked->set_key("c");
  locked->mutable_error()->mutable_locked()->set_key("c");
  *page.add_pairs() = MakePair("d", "3");
  cluster.scan.Next(page);
  kvrpcpb::GetResponse value;
  value.set_value("2");
  cluster.get.Next(value);
  std::unique_ptr<Transaction> transaction = Begin(&cluster);
  const auto pairs = cluster.Await(transaction->Scan("a", "", 2));
  ASSERT_TRUE(pairs.ok()) << pairs.error();
  EXPECT_THAT(*pairs, ElementsAre(Pair("b", "1"), Pair("c", "2")));
  EXPECT_EQ(cluster.scan.seen.at(0).request.limit(), 256U);
  EXPECT_EQ(cluster.scan.seen.size(), 1U);
}

TEST(Snapshot, ABatchGetAsksEachRegionAndRemembers) {
  ScriptedCluster cluster;
  cluster.batch_get.Always([](const auto& seen) {
    kvrpcpb::BatchGetResponse response;
    for (const Bytes& key : seen.request.keys()) {
      if (key != "c") {
        *response.add_pairs() = MakePair(key, "value of " + key);
      }
    }
    return response;
  });
  std::unique_ptr<Transaction> transaction = Begin(&cluster);
  transaction->Delete("b");
  for (int round = 0; round < 2; ++round) {
    const auto found = cluster.Await(transaction->BatchGet({"z", "a", "b", "c"}));
    ASSERT_TRUE(found.ok()) << found.error();
    EXPECT_THAT(*found, ElementsAre(Pair("a", "value of a"), Pair("z", "value of z")));
  }
  ASSERT_EQ(cluster.batch_get.seen.size(), 2U) << "one for each region, and none to read the same again";
  EXPECT_EQ(*cluster.Await(transaction->Get("c")), std::nullopt);
  EXPECT_TRUE(cluster.get.seen.empty());
}

}  // namespace
}  // namespace kvjury::client
