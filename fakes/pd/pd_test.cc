#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/pd_test_bench.h"

namespace kvjury::pd {
namespace {

RC_GTEST_PROP(TimestampOracle, GivesStrictlyIncreasingRangesThroughEverythingThatHappensToPd, ()) {
  TimestampOracle oracle(kTestClockStartMs);
  Timestamp last;
  Micros now_us = 0;
  const auto steps = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 1 << 20));
  for (const uint32_t step : steps) {
    now_us += step % 700;
    switch (step % 11) {
      case 0:
        oracle.ChangeLeader(now_us);
        RC_TAG("leader change");
        break;
      case 1:
        oracle.Jump(step % 5000);
        RC_TAG("jump");
        break;
      case 2: {
        const Timestamp target(last.value() + (uint64_t{step} << 10));
        const bool forced = step % 2 == 0;
        if (oracle.AdvanceTo(target, now_us, forced).ok()) {
          last = std::max(last, target);  // a reset promises what is above it
          RC_TAG("reset");
        }
        break;
      }
      default: {
        const uint32_t count = 1 + step % 100'000;
        const Timestamp end = oracle.Allocate(now_us, count);
        RC_ASSERT(end.value() - count >= last.value());
        RC_ASSERT(end.logical() >= static_cast<int64_t>(count));
        RC_ASSERT(end.physical_ms() >= oracle.ClockMs(now_us));
        last = end;
        RC_TAG("allocate");
      }
    }
  }
}

TEST(Pd, TimestampsGrowOverALeaderChangeAndAJumpAndPdIsAwayMeanwhile) {
  Bench bench;
  const Timestamp first = *bench.Tso(5);
  EXPECT_EQ(first.logical(), 5);
  bench.pd.ChangeLeader(50'000);
  const auto refused = bench.Tso(1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(),
            "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, requested pd is not leader of cluster");
  EXPECT_EQ(bench.Ask(kAllocId, Bench::With<pdpb::AllocIDRequest>()).error().message(), "not leader");
  bench.Pass(50'000);
  const Timestamp second = *bench.Tso(1);
  EXPECT_GT(second, first);
  EXPECT_GE(second.physical_ms(), kTestClockStartMs + 3000) << "above the limit the old leader had saved";
  bench.pd.JumpClock(10'000);
  const Timestamp third = *bench.Tso(1);
  EXPECT_GE(third.physical_ms(), kTestClockStartMs + 10'000);
}

TEST(Pd, RejectsForeignClusterIdsInItsOwnWords) {
  Bench bench;
  const auto answer = bench.Ask(kGetAllStores, Bench::With<pdpb::GetAllStoresRequest>(1));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), StatusCode::kRejected);
  EXPECT_EQ(answer.error().message(), "mismatch cluster id, need 7001 but got 1");
  EXPECT_TRUE(bench.Ask(kGetMembers, pdpb::GetMembersRequest()).ok());
  auto zero = Bench::With<pdpb::TsoRequest>();
  EXPECT_EQ(bench.Ask(kTso, zero).error().message(),
            "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, tso count should be positive");
}

TEST(Pd, NamesStoresAndSaysWhichItDoesNotKnow) {
  Bench bench;
  metapb::Store store;
  store.set_id(bench.pd.AllocateId());
  store.set_address("source/store-1");
  bench.pd.Learn(TableOf({}, 10));
  bench.pd.PutStore(store);
  auto request = Bench::With<pdpb::GetStoreRequest>();
  request.set_store_id(999);
  EXPECT_EQ(bench.Ask(kGetStore, request)->header().error().message(), "invalid store ID 999, not found");
  request.set_store_id(1);
  EXPECT_EQ(bench.Ask(kGetStore, request)->store().address(), "source/store-1");
  EXPECT_EQ(bench.Ask(kGetAllStores, Bench::With<pdpb::GetAllStoresRequest>())->stores_size(), 1);
}

TEST(Pd, RoutesByTheRulesOfARealPd) {
  Bench bench;
  bench.pd.Learn(TableOf({EncodeKey(""), EncodeKey("b"), EncodeKey("d")}, 10));
  auto get = Bench::With<pdpb::GetRegionRequest>();
  EXPECT_EQ(bench.Ask(kGetRegion, get)->region().id(), 10U);
  EXPECT_FALSE(bench.Ask(kGetPrevRegion, get)->has_region()) << "nothing is left of the first region";
  get.set_region_key(EncodeKey("b"));
  EXPECT_EQ(bench.Ask(kGetRegion, get)->region().id(), 12U) << "a start key belongs to its region";
  EXPECT_EQ(bench.Ask(kGetPrevRegion, get)->region().id(), 11U);
  EXPECT_EQ(bench.Ask(kGetRegion, get)->leader().store_id(), 1U);

  const auto scan = [&bench](const Bytes& start, const Bytes& end, int32_t limit) {
    auto request = Bench::With<pdpb::ScanRegionsRequest>();
    request.set_start_key(start);
    request.set_end_key(end);
    request.set_limit(limit);
    const auto response = bench.Ask(kScanRegions, request);
    std::vector<uint64_t> ids;
    for (const auto& region : response->regions()) {
      ids.push_back(region.region().id());
    }
    EXPECT_EQ(response->regions_size(), response->region_metas_size());
    EXPECT_EQ(response->regions_size(), response->leaders_size());
    return ids;
  };
  EXPECT_THAT(scan("", "", 0), testing::ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(scan("", "", -1), testing::ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(scan("", "", 3), testing::ElementsAre(10, 11, 12));
  EXPECT_THAT(scan(EncodeKey("a"), EncodeKey("c"), 9), testing::ElementsAre(11, 12));
  EXPECT_THAT(scan(EncodeKey("a"), EncodeKey("b"), 9), testing::ElementsAre(11)) << "the end is exclusive";
  EXPECT_THAT(scan(EncodeKey("c"), EncodeKey("c"), 9), testing::ElementsAre(12)) << "start = end inside a region names it";
  EXPECT_THAT(scan(EncodeKey("b"), EncodeKey("b"), 9), testing::IsEmpty());
  EXPECT_THAT(scan(EncodeKey("c"), EncodeKey("a"), 9), testing::IsEmpty());
  EXPECT_THAT(scan("unencoded", "", 0), testing::ElementsAre(13));
}

TEST(Pd, ServesOldRoutesWhileStaleAndNewOnesAfterwards) {
  Bench bench;
  bench.pd.Learn(TableOf({}, 10));
  bench.Pass(1'000'000);
  bench.pd.Learn(TableOf({EncodeKey("m")}, 20));
  auto get = Bench::With<pdpb::GetRegionRequest>();
  get.set_region_key(EncodeKey("z"));
  EXPECT_EQ(bench.Ask(kGetRegion, get)->region().id(), 21U);
  bench.pd.ServeStale(500'000, 100'000);
  EXPECT_EQ(bench.Ask(kGetRegion, get)->region().id(), 10U);
  bench.Pass(200'000);
  EXPECT_EQ(bench.Ask(kGetRegion, get)->region().id(), 21U);
}

TEST(Pd, ScatteringMovesLeadersAndTakesTime) {
  Bench bench;
  bench.pd.Learn(TableOf({EncodeKey("m")}, 20));
  auto request = Bench::With<pdpb::ScatterRegionRequest>();
  EXPECT_EQ(bench.Ask(kScatterRegion, request)->header().error().message(), "region %d not found");
  request.add_regions_id(98765);
  EXPECT_EQ(bench.Ask(kScatterRegion, request).error().message(), "region not found");
  request.clear_regions_id();
  request.add_regions_id(20);
  request.add_regions_id(21);
  EXPECT_EQ(bench.Ask(kScatterRegion, request)->finished_percentage(), 100U);

  auto get = Bench::With<pdpb::GetOperatorRequest>();
  get.set_region_id(21);
  EXPECT_EQ(bench.Ask(kGetOperator, get)->status(), pdpb::RUNNING);
  bench.Pass(400'000);
  EXPECT_EQ(bench.Ask(kGetOperator, get)->status(), pdpb::SUCCESS);
  ASSERT_EQ(bench.placement.moves.size(), 1U) << "the first of two already leads where it should";
  EXPECT_EQ(bench.placement.moves[0], std::make_pair(uint64_t{21}, uint64_t{2}));
  get.set_region_id(98765);
  EXPECT_EQ(bench.Ask(kGetOperator, get)->header().error().type(), pdpb::REGION_NOT_FOUND);
}

TEST(Pd, KeepsServiceSafePointsAndTheGcSafePointIgnoresThem) {
  Bench bench;
  auto update = Bench::With<pdpb::UpdateGCSafePointRequest>();
  update.set_safe_point(100);
  EXPECT_EQ(bench.Ask(kUpdateGcSafePoint, update)->new_safe_point(), 100U);
  update.set_safe_point(50);
  EXPECT_EQ(bench.Ask(kUpdateGcSafePoint, update)->new_safe_point(), 100U);
  auto service = Bench::With<pdpb::UpdateServiceGCSafePointRequest>();
  service.set_service_id("backup");
  service.set_ttl(60);
  service.set_safe_point(200);
  EXPECT_EQ(bench.Ask(kUpdateServiceGcSafePoint, service)->service_id(), "gc_worker");
  EXPECT_EQ(bench.pd.service_safe_point(), Timestamp(200));
  update.set_safe_point(300);
  EXPECT_EQ(bench.Ask(kUpdateGcSafePoint, update)->new_safe_point(), 300U) << "service safe points do not hold it";
  auto worker = Bench::With<pdpb::UpdateServiceGCSafePointRequest>();
  worker.set_service_id("gc_worker");
  worker.set_ttl(INT64_MAX);
  worker.set_safe_point(250);
  const auto held = bench.Ask(kUpdateServiceGcSafePoint, worker);
  EXPECT_EQ(held->service_id(), "backup");
  EXPECT_EQ(held->min_safe_point(), 200U);
  bench.Pass(61'000'000);
  EXPECT_EQ(bench.pd.service_safe_point(), Timestamp(250)) << "the backup's hold has expired";
}

TEST(Pd, ResetTsRefusesThePastAndTheFarFutureUnlessForced) {
  Bench bench;
  const auto reset = [&bench](uint64_t ts, bool force) {
    pdhttp::ResetTsRequest request;
    request.set_tso(std::to_string(ts));
    request.set_force_use_larger(force);
    return bench.Ask(kResetTs, request)->status();
  };
  const uint64_t past = Timestamp::Compose(kTestClockStartMs - 5000, 0).value();
  const Timestamp ahead = Timestamp::Compose(kTestClockStartMs + 3'600'000, 7);
  const Timestamp far = Timestamp::Compose(kTestClockStartMs + 100 * 86'400'000LL, 0);
  EXPECT_EQ(reset(past, false), 403U);
  EXPECT_EQ(reset(past, true), 200U);
  EXPECT_EQ(reset(far.value(), false), 403U);
  EXPECT_EQ(reset(ahead.value(), false), 200U);
  EXPECT_GT(*bench.Tso(1), ahead);
  EXPECT_EQ(reset(far.value(), true), 200U);
  EXPECT_GT(*bench.Tso(1), far);
  pdhttp::ResetTsRequest nonsense;
  nonsense.set_tso("12x");
  EXPECT_EQ(bench.Ask(kResetTs, nonsense)->status(), 400U);
}

TEST(Pd, AllocatesEveryIdOnce) {
  Bench bench;
  std::set<uint64_t> ids;
  for (int i = 0; i < 10; ++i) {
    ids.insert(bench.Ask(kAllocId, Bench::With<pdpb::AllocIDRequest>())->id());
    ids.insert(bench.pd.AllocateId());
  }
  EXPECT_EQ(ids.size(), 20U);
}

}  // namespace
}  // namespace kvjury::pd
