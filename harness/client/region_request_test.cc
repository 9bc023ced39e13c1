// The client's answer to each region error and to each failure of a call, seen from a scripted cluster.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/client/scripted_cluster.h"

namespace kvjury::client {
namespace {

using ::testing::HasSubstr;

kvrpcpb::GetResponse Value(const Bytes& value) {
  kvrpcpb::GetResponse response;
  response.set_value(value);
  return response;
}

kvrpcpb::GetResponse Refusal(const errorpb::Error& error) {
  kvrpcpb::GetResponse response;
  *response.mutable_region_error() = error;
  return response;
}

Result<std::optional<Bytes>> GetKey(ScriptedCluster* cluster, const Bytes& key) {
  std::unique_ptr<Transaction> transaction = cluster->client.BeginAt(Timestamp::Max(), sim::Label("w1/read"));
  return cluster->Await(transaction->Get(key));
}

void ExpectValue(ScriptedCluster* cluster, const Bytes& key, const Bytes& value) {
  const Result<std::optional<Bytes>> read = GetKey(cluster, key);
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read->value_or("(absent)"), value);
}

TEST(RegionRequest, GoesToTheLeaderWithTheRegionsContext) {
  ScriptedCluster cluster;
  cluster.leader_store = 2;
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  ASSERT_EQ(cluster.get.seen.size(), 1U);
  const auto& seen = cluster.get.seen[0];
  EXPECT_EQ(seen.to, "store-2");
  EXPECT_EQ(seen.label, "w1/read/get[]#1");
  EXPECT_EQ(seen.request.context().region_id(), 2U);
  EXPECT_EQ(seen.request.context().region_epoch().version(), 5U);
  EXPECT_EQ(seen.request.context().peer().id(), 22U);
  EXPECT_EQ(seen.request.version(), UINT64_MAX);
  EXPECT_TRUE(cluster.tso.seen.empty()) << "a read of the latest needs no timestamp";
}

TEST(RegionRequest, FollowsTheHintOfNotLeaderAtOnce) {
  ScriptedCluster cluster;
  errorpb::Error error;
  *error.mutable_not_leader()->mutable_leader() = cluster.routes[0].peers(2);
  cluster.get.Next(Refusal(error));
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  ASSERT_EQ(cluster.get.seen.size(), 2U);
  EXPECT_EQ(cluster.get.seen[1].to, "store-3");
  EXPECT_EQ(cluster.get.seen[1].label, "w1/read/get[]#2");
  EXPECT_EQ(cluster.client.counters().backoffs, 0U);
  cluster.get.Next(Value("w"));
  ExpectValue(&cluster, "b", "w");
  EXPECT_EQ(cluster.get.seen[2].to, "store-3") << "the hint is remembered";
}

TEST(RegionRequest, TriesTheOtherPeersWhenNobodyKnowsTheLeader) {
  ScriptedCluster cluster;
  errorpb::Error error;
  error.mutable_not_leader();
  cluster.get.Next(Refusal(error));
  cluster.get.Next(Refusal(error));
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  ASSERT_EQ(cluster.get.seen.size(), 3U);
  EXPECT_EQ(cluster.get.seen[1].to, "store-2");
  EXPECT_EQ(cluster.get.seen[2].to, "store-3");
  EXPECT_EQ(cluster.client.counters().backoffs, 2U);
  EXPECT_EQ(cluster.get_region.seen.size(), 1U);
}

TEST(RegionRequest, ForgetsTheRegionWhenNoPeerLeads) {
  ScriptedCluster cluster;
  errorpb::Error error;
  error.mutable_not_leader();
  for (int i = 0; i < 3; ++i) {
    cluster.get.Next(Refusal(error));
  }
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  EXPECT_EQ(cluster.get.seen.size(), 4U);
  EXPECT_EQ(cluster.get_region.seen.size(), 2U);
}

TEST(RegionRequest, InstallsTheRegionsOfEpochNotMatchWithoutAskingPd) {
  ScriptedCluster cluster;
  errorpb::Error error;
  *error.mutable_epoch_not_match()->add_current_regions() = ScriptedCluster::MakeRegion(9, "", "c", 6);
  *error.mutable_epoch_not_match()->add_current_regions() = ScriptedCluster::MakeRegion(2, "c", "m", 6);
  cluster.leader_store = 2;
  cluster.get.Next(Refusal(error));
  cluster.get.Always([](const auto& seen) { return Value(std::to_string(seen.request.context().region_id())); });
  ExpectValue(&cluster, "a", "9");
  ExpectValue(&cluster, "d", "2");
  EXPECT_EQ(cluster.get_region.seen.size(), 1U);
  EXPECT_EQ(cluster.get.seen[1].to, "store-2") << "the store that answered is taken as the leader's";
  EXPECT_EQ(cluster.get.seen[2].request.context().region_epoch().version(), 6U);
  EXPECT_EQ(cluster.get.seen[2].label, "w1/read/get[c]#1");
}

TEST(RegionRequest, WaitsForAStoreThatIsBehindTheClientsEpoch) {
  ScriptedCluster cluster;
  errorpb::Error error;
  *error.mutable_epoch_not_match()->add_current_regions() = ScriptedCluster::MakeRegion(2, "", "m", 4);
  cluster.get.Next(Refusal(error));
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  EXPECT_EQ(cluster.client.counters().backoffs, 1U);
  EXPECT_EQ(cluster.get_region.seen.size(), 1U);
  EXPECT_EQ(cluster.get.seen[1].request.context().region_epoch().version(), 5U);
}

TEST(RegionRequest, AsksPdAgainAfterErrorsThatMakeTheRegionDoubtful) {
  std::vector<errorpb::Error> errors(9);
  errors[0].mutable_epoch_not_match();
  errors[1].mutable_region_not_found();
  errors[2].mutable_key_not_in_region();
  errors[3].mutable_store_not_match();
  errors[4].mutable_mismatch_peer_id();
  errors[5].mutable_recoveryinprogress();
  errors[6].mutable_is_witness();
  errors[7].mutable_disk_full();
  errors[8].set_message("no reason that anybody knows");
  for (const errorpb::Error& error : errors) {
    SCOPED_TRACE(error.ShortDebugString());
    ScriptedCluster cluster;
    cluster.get.Next(Refusal(error));
    cluster.get.Next(Value("v"));
    ExpectValue(&cluster, "a", "v");
    EXPECT_EQ(cluster.get_region.seen.size(), 2U);
    EXPECT_EQ(cluster.get_store.seen.size(), error.has_store_not_match() ? 2U : 1U);
    EXPECT_EQ(cluster.client.counters().region_errors, 1U);
  }
}

TEST(RegionRequest, WaitsAndSendsAgainAfterErrorsThatPass) {
  std::vector<errorpb::Error> errors(6);
  errors[0].mutable_server_is_busy()->set_reason("busy");
  errors[1].mutable_max_timestamp_not_synced();
  errors[2].mutable_read_index_not_ready();
  errors[3].mutable_proposal_in_merging_mode();
  errors[4].mutable_region_not_initialized();
  errors[5].mutable_data_is_not_ready();
  for (const errorpb::Error& error : errors) {
    SCOPED_TRACE(error.ShortDebugString());
    ScriptedCluster cluster;
    cluster.get.Next(Refusal(error));
    cluster.get.Next(Value("v"));
    ExpectValue(&cluster, "a", "v");
    EXPECT_EQ(cluster.get_region.seen.size(), 1U);
    EXPECT_EQ(cluster.get.seen.at(1).to, "store-1");
    EXPECT_EQ(cluster.client.counters().backoffs, 1U);
    EXPECT_GE(cluster.get.seen.at(1).at_us - cluster.get.seen.at(0).at_us, error.has_server_is_busy() ? 1'000'000 : 2'000);
  }
}

TEST(RegionRequest, TriesAnotherPeerAfterAStaleCommand) {
  ScriptedCluster cluster;
  errorpb::Error error;
  error.mutable_stale_command();
  cluster.get.Next(Refusal(error));
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  EXPECT_EQ(cluster.get.seen.at(1).to, "store-2");
}

TEST(RegionRequest, GivesUpAtOnceWhereTheRegionRefusesForGood) {
  std::vector<errorpb::Error> errors(4);
  errors[0].mutable_raft_entry_too_large();
  errors[1].mutable_flashbackinprogress();
  errors[2].mutable_flashbacknotprepared();
  errors[3].mutable_undetermined_result();
  for (const errorpb::Error& error : errors) {
    SCOPED_TRACE(error.ShortDebugString());
    ScriptedCluster cluster;
    cluster.get.Next(Refusal(error));
    EXPECT_EQ(GetKey(&cluster, "a").status().code(), StatusCode::kRejected);
    EXPECT_EQ(cluster.get.seen.size(), 1U);
  }
}

TEST(RegionRequest, AReadGivesUpWhenItsBudgetIsUsedUp) {
  ScriptedCluster cluster;
  cluster.get.Always([](const auto&) {
    errorpb::Error error;
    error.mutable_region_not_found();
    return Refusal(error);
  });
  EXPECT_EQ(GetKey(&cluster, "a").status().code(), StatusCode::kUnavailable);
  EXPECT_GE(cluster.world.scheduler().now_us(), 20'000'000);
  EXPECT_LE(cluster.world.scheduler().now_us(), 22'000'000);
}

TEST(RegionRequest, TriesTheOtherStoresWhenTheLeadersIsDown) {
  ScriptedCluster cluster;
  cluster.world.fabric().SetDown("store-1", true);
  errorpb::Error error;
  *error.mutable_not_leader()->mutable_leader() = cluster.routes[0].peers(2);
  cluster.get.Next(Refusal(error));
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  EXPECT_EQ(cluster.get.seen.at(0).to, "store-2");
  EXPECT_EQ(cluster.get.seen.at(1).to, "store-3");
  EXPECT_EQ(cluster.client.counters().transport_errors, 1U);
}

TEST(RegionCache, NamesABoundaryThatNobodyEncoded) {
  ScriptedCluster cluster;
  cluster.routes[0].set_end_key("raw key m");
  cluster.routes[1].set_start_key("raw key m");
  const Result<std::optional<Bytes>> read = GetKey(&cluster, "a");
  ASSERT_EQ(read.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(read.error().message(), HasSubstr("region 2 ends at raw key m, which is no encoded key"));
  EXPECT_TRUE(cluster.get.seen.empty());
}

TEST(RegionCache, TakesNoRegionInFrontOfTheFirstUserKeyAsTheWholeSpace) {
  ScriptedCluster cluster;
  errorpb::Error error;
  metapb::Region nothing = ScriptedCluster::MakeRegion(9, "", "", 6);
  nothing.set_end_key(EncodeKey(""));
  *error.mutable_epoch_not_match()->add_current_regions() = nothing;
  *error.mutable_epoch_not_match()->add_current_regions() = ScriptedCluster::MakeRegion(2, "", "m", 6);
  cluster.get.Next(Refusal(error));
  cluster.get.Always([](const auto& seen) { return Value(std::to_string(seen.request.context().region_id())); });
  ExpectValue(&cluster, "a", "2");
  ExpectValue(&cluster, "z", "3");
}

TEST(RegionCache, AsksPdAgainUntilItKnowsTheRegion) {
  ScriptedCluster cluster;
  cluster.get_region.Next(pdpb::GetRegionResponse());
  cluster.get.Next(Value("v"));
  ExpectValue(&cluster, "a", "v");
  EXPECT_EQ(cluster.get_region.seen.size(), 2U);
  EXPECT_EQ(cluster.get_region.seen[0].label, "w1/read/route[a]#1");
  EXPECT_EQ(cluster.get_region.seen[0].request.region_key(), EncodeKey("a"));
  EXPECT_EQ(cluster.get_region.seen[0].request.header().cluster_id(), 7U);
}

TEST(Client, ADeadClientSendsNothingMoreAndEverythingEndsCancelled) {
  ScriptedCluster cluster;
  cluster.get.Next([&cluster](const auto&) {
    cluster.client.Crash();
    return Value("too late");
  });
  EXPECT_EQ(GetKey(&cluster, "a").status().code(), StatusCode::kCancelled);
  const uint64_t messages = cluster.client.counters().messages;
  EXPECT_EQ(GetKey(&cluster, "b").status().code(), StatusCode::kCancelled);
  EXPECT_EQ(cluster.Await(cluster.client.Begin(sim::Label("w1/late"))).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(cluster.client.counters().messages, messages);
}

TEST(Client, WaitsForPdToComeBack) {
  ScriptedCluster cluster;
  cluster.world.fabric().SetDown("pd", true);
  cluster.world.scheduler().After(3'000'000, 0, [&cluster]() { cluster.world.fabric().SetDown("pd", false); });
  const Result<Timestamp> ts = cluster.Await(cluster.client.CurrentTimestamp(sim::Label("w1/now")));
  ASSERT_TRUE(ts.ok()) << ts.error();
  EXPECT_GE(ts->physical_ms(), 1'003'000);
}

}  // namespace
}  // namespace kvjury::client
