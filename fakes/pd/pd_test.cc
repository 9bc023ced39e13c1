#include "fakes/pd/pd.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "fakes/base/memcomparable.h"

namespace kvjury::pd {
namespace {

constexpr uint64_t kClusterId = 7001;
constexpr int64_t kClockStartMs = 1'700'000'000'000;

RegionTablePtr TableOf(const std::vector<Bytes>& boundaries, uint64_t first_id) {
  auto table = std::make_shared<RegionTable>();
  for (size_t i = 0; i <= boundaries.size(); ++i) {
    auto info = std::make_shared<RegionInfo>();
    info->region.set_id(first_id + i);
    info->region.set_start_key(i == 0 ? "" : boundaries[i - 1]);
    info->region.set_end_key(i == boundaries.size() ? "" : boundaries[i]);
    for (uint64_t store = 1; store <= 3; ++store) {
      metapb::Peer* peer = info->region.add_peers();
      peer->set_id(1000 + (first_id + i) * 10 + store);
      peer->set_store_id(store);
    }
    info->leader = info->region.peers(0);
    (*table)[info->region.start_key()] = info;
  }
  return table;
}

class RecordingPlacement : public Placement {
 public:
  RegionId SplitAtEncoded(std::string_view) override { return RegionId(); }
  bool MoveLeader(RegionId region, StoreId store) override {
    moves.emplace_back(region.value(), store.value());
    return true;
  }
  std::vector<std::pair<uint64_t, uint64_t>> moves;
};

// One world with one PD and one client.
struct Bench {
  Bench() : world(record::Case()), pd(&world, PdOptions{"source", kClusterId, kClockStartMs}) {
    world.fabric().Listen(pd.address(), &pd.methods());
    pd.SetPlacement(&placement);
    channel = world.fabric().ChannelFrom("client");
  }

  template <class Request, class Response>
  static sim::Task<void> CallOnce(Bench* bench, sim::UnaryMethod<Request, Response> method, Request request,
                                  std::optional<Result<std::shared_ptr<const Response>>>* out) {
    sim::CallOptions options;
    options.label = sim::Label("call").Numbered("n", ++bench->calls);
    auto call = sim::Call(bench->channel, method, bench->pd.address(), std::move(request), std::move(options));
    auto answer = co_await std::move(call);
    out->emplace(std::move(answer));
  }
  template <class Request, class Response>
  Result<Response> Ask(sim::UnaryMethod<Request, Response> method, Request request) {
    std::optional<Result<std::shared_ptr<const Response>>> answer;
    const sim::RunEnd end = world.Run(CallOnce(this, method, std::move(request), &answer), 60'000'000);
    CHECK(end == sim::RunEnd::kDone);
    if (!answer->ok()) {
      return answer->error();
    }
    return Response(***answer);
  }
  template <class Request>
  static Request With(uint64_t cluster_id = kClusterId) {
    Request request;
    request.mutable_header()->set_cluster_id(cluster_id);
    return request;
  }
  Result<Timestamp> Tso(uint32_t count) {
    auto request = With<pdpb::TsoRequest>();
    request.set_count(count);
    auto answer = Ask(kTso, request);
    if (!answer.ok()) {
      return answer.error();
    }
    return Timestamp::Compose(answer->timestamp().physical(), answer->timestamp().logical());
  }
  static sim::Task<void> SleepFor(sim::Scheduler* scheduler, Micros us) { co_await scheduler->Sleep(us); }
  void Pass(Micros us) { CHECK(world.Run(SleepFor(&world.scheduler(), us), us + 1) == sim::RunEnd::kDone); }

  sim::World world;
  Pd pd;
  RecordingPlacement placement;
  sim::Channel* channel = nullptr;
  uint64_t calls = 0;
};

RC_GTEST_PROP(TimestampOracle, GivesStrictlyIncreasingRangesThroughEverythingThatHappensToPd, ()) {
  TimestampOracle oracle(kClockStartMs);
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
  EXPECT_EQ(refused.error().code(), StatusCode::kUnavailable);
  bench.Pass(50'000);
  const Timestamp second = *bench.Tso(1);
  EXPECT_GT(second, first);
  EXPECT_GE(second.physical_ms(), kClockStartMs + 3000) << "above the limit the old leader had saved";
  bench.pd.JumpClock(10'000);
  const Timestamp third = *bench.Tso(1);
  EXPECT_GE(third.physical_ms(), kClockStartMs + 10'000);
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
  EXPECT_THAT(scan(EncodeKey("b"), EncodeKey("b"), 9), testing::ElementsAre(12)) << "start = end names one region";
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
  const uint64_t past = Timestamp::Compose(kClockStartMs - 5000, 0).value();
  const Timestamp ahead = Timestamp::Compose(kClockStartMs + 3'600'000, 7);
  const Timestamp far = Timestamp::Compose(kClockStartMs + 100 * 86'400'000LL, 0);
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
