#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/pd/pd_test_bench.h"

namespace kvjury::pd {
namespace {

pdpb::TsoRequest OneTimestamp() {
  auto request = Bench::With<pdpb::TsoRequest>();
  request.set_count(1);
  return request;
}

TEST(PdMembers, AllTellTheSameMembersAndTheLeaderMovesOn) {
  Bench bench(3);
  ASSERT_THAT(bench.pd.addresses(), testing::ElementsAre("source/pd", "source/pd-2", "source/pd-3"));
  for (const uint64_t leader : {1U, 2U, 3U, 1U}) {
    for (const sim::Address& address : bench.pd.addresses()) {
      const auto told = bench.AskAt(address, kGetMembers, pdpb::GetMembersRequest());
      ASSERT_EQ(told->members_size(), 3);
      EXPECT_EQ(told->leader().member_id(), leader);
      EXPECT_EQ(told->etcd_leader().member_id(), leader);
      EXPECT_EQ(told->members(1).client_urls(0), "http://source/pd-2");
      const auto listed = bench.AskAt(address, kEtcdMemberList, etcdserverpb::MemberListRequest());
      ASSERT_EQ(listed->members_size(), 3);
      EXPECT_EQ(listed->members(2).clienturls(0), "http://source/pd-3");
      EXPECT_EQ(bench.AskAt(address, kEtcdStatus, etcdserverpb::StatusRequest())->leader(), leader);
    }
    bench.pd.ChangeLeader(0);
  }
}

TEST(PdMembers, FollowersRefuseWhatIsTheLeadersAndAnswerTheRest) {
  Bench bench(2);
  bench.pd.Learn(TableOf({}, 10));
  const sim::Address follower = "source/pd-2";
  const auto refused = bench.AskAt(follower, kGetAllStores, Bench::With<pdpb::GetAllStoresRequest>());
  EXPECT_EQ(refused.error().code(), StatusCode::kUnavailable);
  EXPECT_EQ(refused.error().message(), "not leader");
  EXPECT_EQ(bench.AskAt(follower, kGetRegion, Bench::With<pdpb::GetRegionRequest>()).error().message(),
            "not leader and follower handling not allowed");
  EXPECT_EQ(bench.AskAt(follower, kTso, OneTimestamp()).error().message(),
            "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, requested pd is not leader of cluster");
  EXPECT_TRUE(bench.AskAt(follower, kGetClusterInfo, pdpb::GetClusterInfoRequest()).ok());
  auto query = Bench::With<pdpb::QueryRegionRequest>();
  query.add_keys("k");
  EXPECT_EQ(bench.AskAt(follower, kQueryRegion, query)->key_id_map(0), 10U);
}

TEST(PdMembers, TimestampsOfTheNextLeaderAreLarger) {
  Bench bench(3);
  Timestamp last;
  for (int change = 0; change < 5; ++change) {
    for (int i = 0; i < 3; ++i) {
      const auto told = bench.AskAt(bench.pd.leader_address(), kTso, OneTimestamp());
      ASSERT_TRUE(told.ok());
      const Timestamp ts = Timestamp::Compose(told->timestamp().physical(), told->timestamp().logical());
      EXPECT_GT(ts, last);
      last = ts;
    }
    bench.pd.ChangeLeader(1'000);
    EXPECT_FALSE(bench.AskAt(bench.pd.leader_address(), kTso, OneTimestamp()).ok());
    EXPECT_FALSE(bench.Ask(kGetMembers, pdpb::GetMembersRequest())->has_leader());
    bench.Pass(1'000);
  }
}

TEST(PdMembers, ARestartFindsWhatWasSaved) {
  Bench before;
  auto update = Bench::With<pdpb::UpdateServiceGCSafePointRequest>();
  update.set_service_id("backup");
  update.set_safe_point(200);
  update.set_ttl(600);
  ASSERT_TRUE(before.Ask(kUpdateServiceGcSafePoint, update).ok());
  auto global = Bench::With<pdpb::SetGlobalGCBarrierRequest>();
  global.set_barrier_id("g");
  global.set_barrier_ts(300);
  global.set_ttl_seconds(600);
  ASSERT_FALSE(before.Ask(kSetGlobalGcBarrier, global)->header().has_error());
  etcdserverpb::PutRequest put;
  put.set_key("k");
  put.set_value("v");
  ASSERT_TRUE(before.Ask(kEtcdPut, put).ok());
  const Bytes saved = before.pd.SaveState();

  Bench after;
  ASSERT_TRUE(after.pd.RestoreState(saved).ok());
  EXPECT_EQ(after.pd.service_safe_point(), Timestamp(200));
  etcdserverpb::RangeRequest range;
  range.set_key("k");
  const auto read = after.Ask(kEtcdRange, range);
  ASSERT_EQ(read->kvs_size(), 1);
  EXPECT_EQ(read->kvs(0).value(), "v");
  EXPECT_EQ(read->header().revision(), 2);
  auto ask = Bench::With<pdpb::GetGCStateRequest>();
  ask.set_include_global_gc_barriers(true);
  const auto state = after.Ask(kGetGcState, ask);
  ASSERT_EQ(state->gc_state().gc_barriers_size(), 1);
  EXPECT_EQ(state->gc_state().gc_barriers(0).barrier_id(), "backup");
  ASSERT_EQ(state->global_gc_barriers().barriers_size(), 1);
  EXPECT_EQ(state->global_gc_barriers().barriers(0).barrier_ts(), 300U);
  EXPECT_EQ(after.pd.RestoreState("damaged").code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace kvjury::pd
