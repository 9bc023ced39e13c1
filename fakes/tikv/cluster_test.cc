#include "fakes/tikv/cluster.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "fakes/tikv/cluster_test_bench.h"

namespace kvjury::tikv {
namespace {

Bytes KeyAt(uint64_t n) { return "k" + std::to_string(1000 + n % 1000); }

// Every key in exactly one region, the regions in order without holes. Returns the number of regions.
size_t CheckTiling(const RegionMap& regions) {
  Bytes expected_start;
  size_t count = 0;
  for (const auto& [start, region] : regions.by_start()) {
    RC_ASSERT(region->start == start);
    RC_ASSERT(start == expected_start);
    RC_ASSERT(regions.Find(region->id) == region);
    expected_start = region->end;
    ++count;
  }
  RC_ASSERT(expected_start.empty());
  RC_ASSERT(count == regions.size());
  return count;
}

RC_GTEST_PROP(RegionMap, SplitsMergesAndTransfersKeepEveryKeyInExactlyOneRegionAndEpochsGrow, ()) {
  ClusterBench bench(3);
  std::map<RegionId, std::pair<uint64_t, uint64_t>> epochs;
  uint64_t splits = 0;
  uint64_t merges = 0;
  const auto steps = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 60'000));
  for (const uint32_t step : steps) {
    const Bytes key = KeyAt(step / 6);
    const RegionId region = bench.cluster.regions().FindByKey(EncodeKey(key))->id;
    const bool changed = step % 6 < 3   ? bench.cluster.SplitAt(key)
                         : step % 6 < 5 ? bench.cluster.MergeWithNext(region)
                                        : bench.cluster.TransferLeader(region);
    splits += changed && step % 6 < 3 ? 1 : 0;
    merges += changed && step % 6 >= 3 && step % 6 < 5 ? 1 : 0;
    if (step % 7 == 0) {
      bench.Pass(20'000);
    }
    CheckTiling(bench.cluster.regions());
    for (const auto& [start, at] : bench.cluster.regions().by_start()) {
      auto& epoch = epochs[at->id];
      RC_ASSERT(at->version >= epoch.first);
      RC_ASSERT(at->conf_ver >= epoch.second);
      epoch = {at->version, at->conf_ver};
    }
  }
  RC_CLASSIFY(splits > 0, "split");
  RC_CLASSIFY(merges > 0, "merged");
  bench.cluster.Shutdown();
  CheckTiling(bench.cluster.regions());
  for (const auto& [start, region] : bench.cluster.regions().by_start()) {
    RC_ASSERT(!region->merging);
  }
}

TEST(RegionMap, NamesTheSiblingsThatWereSplitOff) {
  ClusterBench bench(1, {}, true, false);
  const RegionId id = bench.cluster.regions().FindByKey("")->id;
  ASSERT_TRUE(bench.cluster.SplitAt("b"));
  ASSERT_TRUE(bench.cluster.SplitAt("d"));
  const Region* region = bench.cluster.regions().Find(id);
  EXPECT_EQ(region->version, 3U);
  EXPECT_EQ(region->start, EncodeKey("d")) << "the old id keeps the right piece";
  const auto listed = bench.cluster.regions().Siblings(*region, 1);
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[1]->start, EncodeKey("b"));
  EXPECT_EQ(bench.cluster.regions().Siblings(*region, 3).size(), 1U);
}

TEST(Latches, RunCommandsOnACommonKeyOneAfterAnotherInTheOrderOfAsking) {
  sim::World world{record::Case()};
  auto latches = std::make_shared<Latches>(&world.scheduler());
  struct Worker {
    static sim::Task<void> Run(sim::World* w, std::shared_ptr<Latches> all, std::vector<Bytes> keys, char name,
                               std::string* trace) {
      sim::Task<Latches::Guard> asking = all->Acquire(std::move(keys), 0);
      const Latches::Guard guard = co_await std::move(asking);
      trace->push_back(name);
      co_await w->scheduler().Sleep(100);
      trace->push_back(name);
    }
    static sim::Task<void> All(sim::World* w, std::shared_ptr<Latches> all, std::string* trace) {
      sim::Scope scope(&w->scheduler());
      scope.Spawn("1", Run(w, all, {"a", "b"}, 'x', trace));
      co_await w->scheduler().Sleep(1);
      scope.Spawn("2", Run(w, all, {"b", "c", "b"}, 'y', trace));
      co_await w->scheduler().Sleep(1);
      scope.Spawn("3", Run(w, all, {"c"}, 'z', trace));
      scope.Spawn("4", Run(w, all, {"d"}, 'w', trace));
      sim::Task<void> joining = scope.Join();
      co_await std::move(joining);
    }
  };
  std::string trace;
  ASSERT_EQ(world.Run(Worker::All(&world, latches, &trace), 1'000'000), sim::RunEnd::kDone);
  EXPECT_EQ(trace, "xwxywyzz");
  EXPECT_EQ(latches->keys_held(), 0U);
}

TEST(Cluster, KillAndReturnLosesNothingThatWasAcknowledged) {
  ClusterBench bench(3);
  size_t acknowledged = 0;
  std::map<Bytes, Bytes> truth;
  for (uint64_t i = 0; i < 40; ++i) {
    StoreId leader;
    const Bytes key = KeyAt(i * 7);
    bench.ContextFor(key, &leader);
    if (i % 5 == 2 && leader.valid()) {
      EXPECT_TRUE(bench.cluster.KillStore(leader, 300'000)) << "two of three are left";
      EXPECT_FALSE(bench.cluster.KillStore(StoreId(leader.value() % 3 + 1), 300'000)) << "one of three would be left";
    }
    bench.Pass(leader.valid() && i % 5 == 2 ? 1'500'000 : 10'000);
    const auto response = bench.PutOnePhase(key, "value" + std::to_string(i));
    if (response.ok() && response->one_pc_commit_ts() != 0) {
      truth[key] = "value" + std::to_string(i);
      ++acknowledged;
    }
  }
  EXPECT_GT(acknowledged, 30U);
  bench.cluster.Heal();
  bench.Pass(50'000);
  const Timestamp now = bench.Tso();
  for (const auto& [key, value] : truth) {
    EXPECT_EQ(bench.Get(key, now)->value(), value);
  }
  const auto oracle = bench.cluster.OracleRead("", "", now);
  EXPECT_EQ((std::map<Bytes, Bytes>(oracle.begin(), oracle.end())), truth);
}

TEST(Cluster, AProposalMayVanishWithItsLeaderAndTheCallerIsToldSo) {
  record::Case spec;
  record::Fault* fault = spec.add_fault();
  fault->set_at("victim");
  fault->mutable_drop_proposal();
  ClusterBench bench(3, spec);
  const auto lost = bench.PutOnePhase("a", "1", "victim");
  ASSERT_TRUE(lost.ok());
  EXPECT_TRUE(lost->region_error().has_stale_command()) << lost->ShortDebugString();
  EXPECT_EQ(bench.cluster.raft().dropped(), 1U);
  EXPECT_TRUE(bench.cluster.OracleRead("", "", bench.Tso()).empty());
  EXPECT_EQ(bench.world.faults().fired_counts().at("drop_proposal"), 1U);
  bench.Pass(300'000);
  EXPECT_NE(bench.PutOnePhase("a", "2")->one_pc_commit_ts(), 0U) << "another leader takes writes";
  for (const auto& [id, run] : {std::make_pair(StoreId(1), 0), std::make_pair(StoreId(2), 0), std::make_pair(StoreId(3), 0)}) {
    EXPECT_EQ(bench.cluster.Run(id)->memory.concurrency.lock_count(), 0U) << run;
    EXPECT_EQ(bench.cluster.Run(id)->memory.latches->keys_held(), 0U);
  }
}

TEST(Cluster, AStaleLeaderNeverServesAndANewOneSynchronisesMaxTsFirst) {
  ClusterBench bench(3);
  StoreId old_leader;
  kvrpcpb::GetRequest get;
  *get.mutable_context() = bench.ContextFor("a", &old_leader);
  get.set_key("a");
  get.set_version(bench.Tso().value());
  const RegionId region(get.context().region_id());
  ASSERT_TRUE(bench.cluster.TransferLeader(region));
  const auto refused = bench.Ask(kKvGet, old_leader, get);
  ASSERT_TRUE(refused->region_error().has_not_leader());
  StoreId leader;
  bench.ContextFor("a", &leader);
  EXPECT_NE(leader, old_leader);
  EXPECT_EQ(refused->region_error().not_leader().leader().store_id(), leader.value());

  ASSERT_TRUE(bench.cluster.TransferLeader(region));
  const Timestamp before = bench.Tso();
  const auto early = bench.PutOnePhase("a", "1");
  EXPECT_TRUE(early->region_error().has_max_timestamp_not_synced()) << early->ShortDebugString();
  bench.Pass(5'000);
  EXPECT_TRUE(bench.cluster.MaxTsSynced(region));
  const auto later = bench.PutOnePhase("a", "2");
  EXPECT_GT(later->one_pc_commit_ts(), before.value());
}

TEST(Cluster, AReplicaIsAnAppliedPositionThatFollowsTheLeader) {
  ClusterBench bench(3);
  ASSERT_NE(bench.PutOnePhase("a", "1")->one_pc_commit_ts(), 0U);
  StoreId leader;
  const RegionId region(bench.ContextFor("a", &leader).region_id());
  const StoreId follower(leader.value() % 3 + 1);
  RaftGroups& raft = bench.cluster.raft();
  bench.Pass(10'000);
  EXPECT_EQ(raft.AppliedIndex(region, follower), raft.AppliedIndex(region, leader));
  ASSERT_TRUE(bench.cluster.KillStore(follower, 0));
  for (int i = 0; i < 3; ++i) {
    ASSERT_NE(bench.PutOnePhase("a", "2")->one_pc_commit_ts(), 0U);
  }
  bench.Pass(10'000);
  EXPECT_LT(raft.AppliedIndex(region, follower), raft.AppliedIndex(region, leader)) << "a dead store stands still";
  EXPECT_LT(raft.AppliedSequence(region, follower), raft.AppliedSequence(region, leader));
  ASSERT_TRUE(bench.cluster.ReviveStore(follower));
  bench.Pass(10'000);
  EXPECT_EQ(raft.AppliedIndex(region, follower), raft.AppliedIndex(region, leader));
}

TEST(Cluster, AStoreLosesItsMemoryAndImportFolderWhenItDies) {
  ClusterBench bench(3);
  const StoreRunPtr before = bench.cluster.Run(StoreId(2));
  before->memory.import_files["file"] = {};
  before->memory.concurrency.UpdateMaxTs(Timestamp(12345));
  ASSERT_TRUE(bench.cluster.KillStore(StoreId(2), 100'000));
  EXPECT_FALSE(before->alive);
  kvrpcpb::GetRequest get;
  EXPECT_EQ(bench.Ask(kKvGet, StoreId(2), get).error().code(), StatusCode::kUnavailable);
  bench.Pass(200'000);
  EXPECT_TRUE(bench.cluster.Run(StoreId(2))->alive);
  EXPECT_TRUE(bench.cluster.Run(StoreId(2))->memory.import_files.empty());
}

TEST(Cluster, APausedLeaderHoldsItsAnswersAndLosesItsRegionsAfterAWhile) {
  ClusterBench bench(3);
  StoreId leader;
  const RegionId region(bench.ContextFor("a", &leader).region_id());
  ASSERT_TRUE(bench.cluster.PauseStore(leader, 400'000));
  const Micros start_us = bench.world.scheduler().now_us();
  EXPECT_NE(bench.PutOnePhase("a", "1")->one_pc_commit_ts(), 0U);
  EXPECT_GE(bench.world.scheduler().now_us() - start_us, 400'000);
  ASSERT_TRUE(bench.cluster.PauseStore(leader, 5'000'000));
  bench.Pass(1'500'000);
  EXPECT_NE(bench.cluster.raft().Leader(region), leader);
}

TEST(Cluster, PdLearnsOfASplitALittleLater) {
  ClusterBench bench(1, {}, true, false);
  ASSERT_TRUE(bench.cluster.SplitAt("m"));
  pdpb::GetRegionRequest request;
  request.mutable_header()->set_cluster_id(42);
  request.set_region_key(EncodeKey("a"));
  const auto ask = [&]() {
    auto answer = bench.Ask(pd::kGetRegion.path, bench.cluster.pd_address(),
                            std::make_shared<const pdpb::GetRegionRequest>(request), "");
    return static_cast<const pdpb::GetRegionResponse&>(**answer).region().end_key();
  };
  EXPECT_EQ(ask(), "");
  bench.Pass(50'000);
  EXPECT_EQ(ask(), EncodeKey("m"));
  ASSERT_TRUE(bench.cluster.StaleRoutes(60'000, 10'000));
  EXPECT_EQ(ask(), "");
}

TEST(Cluster, FaultsFindTheirRegionByTheRequestAndAreCounted) {
  record::Case spec;
  const auto add = [&spec](const std::string& label) {
    record::Fault* fault = spec.add_fault();
    fault->set_at(label);
    return fault;
  };
  add("one")->mutable_split_region()->set_key("b");
  add("two")->mutable_transfer_leader();
  add("three")->mutable_server_busy()->set_backoff_ms(7);
  add("four")->mutable_merge_region();
  ClusterBench bench(3, spec);
  EXPECT_TRUE(bench.PutOnePhase("a", "1", "one")->region_error().has_epoch_not_match());
  bench.Pass(50'000);
  EXPECT_TRUE(bench.PutOnePhase("a", "1", "two")->region_error().has_not_leader());
  bench.Pass(50'000);
  EXPECT_EQ(bench.PutOnePhase("a", "1", "three")->region_error().server_is_busy().backoff_ms(), 7U);
  const size_t regions = bench.cluster.regions().size();
  EXPECT_TRUE(bench.PutOnePhase("a", "1", "four")->region_error().has_epoch_not_match());
  EXPECT_TRUE(bench.PutOnePhase("a", "1")->region_error().has_proposal_in_merging_mode());
  bench.Pass(50'000);
  EXPECT_EQ(bench.cluster.regions().size(), regions - 1);
  EXPECT_NE(bench.PutOnePhase("a", "1")->one_pc_commit_ts(), 0U);
  EXPECT_EQ(bench.world.faults().fired_counts().size(), 4U);
}

TEST(Cluster, GcHidesVersionsFromReadersAndTheOracleKeepsThem) {
  ClusterBench bench(1);
  ASSERT_NE(bench.PutOnePhase("a", "old")->one_pc_commit_ts(), 0U);
  const Timestamp cut = bench.Tso();
  ASSERT_NE(bench.PutOnePhase("a", "new")->one_pc_commit_ts(), 0U);
  bench.Pass(1'000);
  ASSERT_TRUE(bench.cluster.GcNow());
  EXPECT_TRUE(bench.Get("a", cut)->not_found()) << "collected";
  const auto truth = bench.cluster.OracleRead("", "", cut);
  ASSERT_EQ(truth.size(), 1U);
  EXPECT_EQ(truth[0].second, "old");
}

TEST(Cluster, LoadedPairsAreReadAtAndAboveTheirTimestampOnly) {
  ClusterBench bench(3);
  std::vector<std::pair<Bytes, Bytes>> pairs;
  for (uint64_t i = 0; i < 500; ++i) {
    pairs.emplace_back(KeyAt(i), Bytes(i, 'x'));
  }
  const Timestamp at = Timestamp::Compose(ClusterBench::kClockStartMs - 3'600'000, 5);
  bench.cluster.LoadPairs(pairs, at);
  EXPECT_EQ(bench.cluster.OracleRead("", "", at), pairs);
  EXPECT_TRUE(bench.cluster.OracleRead("", "", at.Previous()).empty());
  EXPECT_EQ(bench.Get(KeyAt(400), bench.Tso())->value(), Bytes(400, 'x'));
  EXPECT_EQ(bench.cluster.OracleTransaction(at.Previous(), KeyAt(0)).commit_ts, at);
  const RegionId region = bench.cluster.regions().FindByKey(EncodeKey(KeyAt(0)))->id;
  ASSERT_TRUE(bench.cluster.SplitMiddle(region));
  EXPECT_NE(bench.cluster.regions().FindByKey(EncodeKey(KeyAt(0))), bench.cluster.regions().FindByKey(EncodeKey(KeyAt(499))));
}

// All pairs of a backup over the whole key space, asked from every store.
std::map<Bytes, uint64_t> BackupEverything(ClusterBench* bench, Timestamp ts, std::set<Bytes>* starts) {
  std::map<Bytes, uint64_t> kvs;
  for (const StoreId store : bench->cluster.store_ids()) {
    backup::BackupRequest request;
    request.set_end_version(ts.value());
    *request.mutable_storage_backend() = objects::LocalStorage("backup");
    request.add_sub_ranges();
    for (const backup::BackupResponse& response : bench->Backup(store, request)) {
      EXPECT_FALSE(response.has_error()) << response.ShortDebugString();
      starts->insert(response.start_key());
      for (const backup::File& file : response.files()) {
        kvs[response.start_key()] += file.total_kvs();
      }
    }
  }
  return kvs;
}

TEST(Backup, EveryRegionIsAnsweredByItsLeaderAndCountsAddUp) {
  ClusterBench bench(3);
  std::vector<std::pair<Bytes, Bytes>> pairs;
  for (uint64_t i = 0; i < 900; ++i) {
    pairs.emplace_back(KeyAt(i), Bytes(i % 400, 'x'));
  }
  bench.cluster.LoadPairs(pairs, Timestamp::Compose(ClusterBench::kClockStartMs - 1000, 0));
  ASSERT_TRUE(bench.cluster.SplitAt(KeyAt(300)));
  ASSERT_TRUE(bench.cluster.SplitAt(KeyAt(600)));
  std::set<Bytes> starts;
  uint64_t total = 0;
  for (const auto& [start, count] : BackupEverything(&bench, bench.Tso(), &starts)) {
    total += count;
  }
  EXPECT_EQ(total, 900U);
  EXPECT_EQ(starts.size(), bench.cluster.regions().size());
}

TEST(Backup, StopsAtALockThatCouldCommitBelowItsTimestamp) {
  ClusterBench bench(1);
  StoreId leader;
  kvrpcpb::PrewriteRequest prewrite;
  *prewrite.mutable_context() = bench.ContextFor("a", &leader);
  prewrite.add_mutations()->set_key("a");
  prewrite.mutable_mutations(0)->set_value("v");
  prewrite.set_primary_lock("a");
  prewrite.set_start_version(bench.Tso().value());
  prewrite.set_lock_ttl(3000);
  ASSERT_EQ(bench.Ask(kKvPrewrite, leader, prewrite)->errors_size(), 0);
  EXPECT_EQ(bench.cluster.LockCount(), 1U);
  EXPECT_EQ(bench.cluster.OracleTransaction(Timestamp(prewrite.start_version()), "a").fate, Cluster::Fate::kPending);
  backup::BackupRequest request;
  request.set_end_version(bench.Tso().value());
  *request.mutable_storage_backend() = objects::LocalStorage("backup");
  size_t locked = 0;
  for (const backup::BackupResponse& response : bench.Backup(leader, request)) {
    locked += response.error().kv_error().has_locked() ? 1 : 0;
  }
  EXPECT_EQ(locked, 1U);
}

TEST(Backup, RateLimitTakesVirtualTime) {
  ClusterBench bench(1);
  bench.cluster.LoadPairs({{"a", Bytes(100'000, 'x')}}, Timestamp::Compose(ClusterBench::kClockStartMs - 1000, 0));
  backup::BackupRequest request;
  request.set_end_version(bench.Tso().value());
  request.set_rate_limit(10'000);
  *request.mutable_storage_backend() = objects::LocalStorage("backup");
  const Micros start_us = bench.world.scheduler().now_us();
  EXPECT_EQ(bench.Backup(StoreId(1), request).size(), 5U);
  EXPECT_GE(bench.world.scheduler().now_us() - start_us, 10'000'000);
}

TEST(Backup, EachPlantedBugChangesWhatTheBackupHolds) {
  const auto count = [](const std::string& bug) {
    record::Case spec;
    if (!bug.empty()) {
      spec.add_bug(bug);
    }
    ClusterBench bench(1, spec);
    bench.cluster.LoadPairs({{"a", "1"}, {"y", "2"}}, Timestamp::Compose(ClusterBench::kClockStartMs - 1000, 0));
    std::set<Bytes> starts;
    uint64_t total = 0;
    const Timestamp ts = bench.Tso();
    for (const auto& [start, kvs] : BackupEverything(&bench, ts, &starts)) {
      total += kvs;
    }
    const Timestamp max_ts = bench.cluster.Run(StoreId(1))->memory.concurrency.max_ts();
    return std::make_pair(total, max_ts >= ts);
  };
  EXPECT_EQ(count(""), std::make_pair(uint64_t{2}, true));
  EXPECT_EQ(count("last-region-empty-end-key").first, 1U) << "y lies in the last region";
  EXPECT_FALSE(count("max-ts-not-pushed").second);
}

TEST(Import, EpochsAndRangesAreCheckedWhenTheProposalActs) {
  ClusterBench bench(1, {}, true, false);
  bench.cluster.LoadPairs({{"a", "1"}, {"b", "2"}}, Timestamp::Compose(ClusterBench::kClockStartMs - 1000, 0));
  backup::BackupRequest request;
  request.set_end_version(bench.Tso().value());
  *request.mutable_storage_backend() = objects::LocalStorage("backup");
  const auto answers = bench.Backup(StoreId(1), request);
  ASSERT_EQ(answers.size(), 1U);
  ASSERT_EQ(answers[0].files_size(), 1);
  StoreId leader;
  const kvrpcpb::Context context = bench.ContextFor("a", &leader);
  import_sstpb::DownloadRequest download;
  download.mutable_sst()->set_uuid("0123456789abcdef");
  download.mutable_sst()->set_cf_name("write");
  download.mutable_sst()->set_region_id(context.region_id());
  *download.mutable_sst()->mutable_region_epoch() = context.region_epoch();
  download.set_name(answers[0].files(0).name());
  *download.mutable_storage_backend() = objects::LocalStorage("backup");
  const auto downloaded = bench.Ask(kDownload, leader, download);
  ASSERT_FALSE(downloaded->has_error()) << downloaded->error().message();
  import_sstpb::MultiIngestRequest ingest;
  *ingest.mutable_context() = context;
  *ingest.add_ssts() = download.sst();
  *ingest.mutable_ssts(0)->mutable_range() = downloaded->range();
  ASSERT_TRUE(bench.cluster.SplitAt("b"));
  EXPECT_TRUE(bench.Ask(kMultiIngest, leader, ingest)->error().has_epoch_not_match());
  *ingest.mutable_context() = bench.ContextFor("b", &leader);
  EXPECT_TRUE(bench.Ask(kMultiIngest, leader, ingest)->error().has_epoch_not_match()) << "the file is of the old epoch";
  EXPECT_TRUE(bench.Ask(kMultiIngest, leader, ingest)->error().has_stale_command()) << "refused at apply, and deleted";
}

TEST(Cluster, TwoRunsOfOneCaseEndWithTheSameDigest) {
  const auto run = []() {
    ClusterBench bench(3);
    for (uint64_t i = 0; i < 20; ++i) {
      EXPECT_TRUE(bench.PutOnePhase(KeyAt(i), "v").ok());
      bench.cluster.SplitAt(KeyAt(i / 2));
      if (i % 6 == 5) {
        bench.cluster.KillStore(StoreId(i % 3 + 1), 200'000);
      }
      bench.Pass(30'000);
    }
    return bench.world.DigestText();
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace kvjury::tikv
