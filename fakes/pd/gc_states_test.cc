#include "fakes/pd/gc_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/pd/pd_test_bench.h"

namespace kvjury::pd {
namespace {

Result<pdpb::AdvanceTxnSafePointResponse> AdvanceTxn(Bench* bench, uint64_t target) {
  auto request = Bench::With<pdpb::AdvanceTxnSafePointRequest>();
  request.set_target(target);
  return bench->Ask(kAdvanceTxnSafePoint, request);
}

Result<pdpb::SetGCBarrierResponse> SetBarrier(Bench* bench, const std::string& id, uint64_t ts, int64_t ttl_s) {
  auto request = Bench::With<pdpb::SetGCBarrierRequest>();
  request.set_barrier_id(id);
  request.set_barrier_ts(ts);
  request.set_ttl_seconds(ttl_s);
  return bench->Ask(kSetGcBarrier, request);
}

TEST(GcStates, BarriersHoldTheTransactionSafePointUntilTheyExpire) {
  Bench bench;
  EXPECT_EQ(SetBarrier(&bench, "br", 100, 60)->new_barrier_info().ttl_seconds(), 60);
  const auto held = AdvanceTxn(&bench, 500);
  EXPECT_EQ(held->old_txn_safe_point(), 0U);
  EXPECT_EQ(held->new_txn_safe_point(), 100U);
  EXPECT_THAT(held->blocker_description(),
              testing::HasSubstr("GCBarrier { BarrierID: \"br\", BarrierTS: 100, ExpirationTime: \"2023-11-14 "));
  bench.Pass(61'000'000);
  EXPECT_EQ(AdvanceTxn(&bench, 500)->new_txn_safe_point(), 500U);
  EXPECT_EQ(AdvanceTxn(&bench, 400)->header().error().message(),
            "[PD:gc:ErrDecreasingTxnSafePoint]trying to update txn safe point to a smaller value, current value: 500, given: 400");
  EXPECT_EQ(SetBarrier(&bench, "late", 499, 60)->header().error().message(),
            "[PD:gc:ErrGCBarrierTSBehindTxnSafePoint]trying to set a GC barrier on ts 499 which is already behind the txn safe "
            "point 500");
}

TEST(GcStates, ABarrierIsAServiceSafePointAndEtcdShowsTheTransactionSafePoint) {
  Bench bench;
  ASSERT_FALSE(SetBarrier(&bench, "br", 100, INT64_MAX)->header().has_error());
  EXPECT_EQ(bench.pd.service_safe_point(), Timestamp(100));
  ASSERT_EQ(AdvanceTxn(&bench, 90)->new_txn_safe_point(), 90U);
  etcdserverpb::RangeRequest range;
  range.set_key("/tidb/store/gcworker/saved_safe_point");
  EXPECT_EQ(bench.Ask(kEtcdRange, range)->kvs(0).value(), "90");
  auto erase = Bench::With<pdpb::DeleteGCBarrierRequest>();
  erase.set_barrier_id("br");
  const auto erased = bench.Ask(kDeleteGcBarrier, erase);
  EXPECT_EQ(erased->deleted_barrier_info().barrier_ts(), 100U);
  EXPECT_EQ(erased->deleted_barrier_info().ttl_seconds(), INT64_MAX);
  EXPECT_EQ(bench.pd.service_safe_point(), Timestamp::Max());
}

TEST(GcStates, TheGcSafePointStaysBehindTheTransactionSafePoint) {
  Bench bench;
  ASSERT_EQ(AdvanceTxn(&bench, 90)->new_txn_safe_point(), 90U);
  auto advance = Bench::With<pdpb::AdvanceGCSafePointRequest>();
  advance.set_target(91);
  EXPECT_THAT(bench.Ask(kAdvanceGcSafePoint, advance)->header().error().message(),
              testing::HasSubstr("exceeds the txn safe point"));
  advance.set_target(90);
  EXPECT_EQ(bench.Ask(kAdvanceGcSafePoint, advance)->new_gc_safe_point(), 90U);
  EXPECT_EQ(bench.pd.gc_safe_point(), Timestamp(90));
  // An older client moves it further: the transaction safe point comes along.
  bench.pd.MoveGcSafePoint(Timestamp(200));
  const auto state = bench.Ask(kGetGcState, Bench::With<pdpb::GetGCStateRequest>());
  EXPECT_EQ(state->gc_state().txn_safe_point(), 200U);
  EXPECT_EQ(state->gc_state().gc_safe_point(), 200U);
  EXPECT_EQ(state->gc_state().keyspace_scope().keyspace_id(), GcStates::kNullKeyspace);
}

TEST(GcStates, GlobalBarriersHoldEverything) {
  Bench bench;
  auto set = Bench::With<pdpb::SetGlobalGCBarrierRequest>();
  set.set_barrier_id("g");
  set.set_barrier_ts(50);
  set.set_ttl_seconds(0);
  EXPECT_EQ(bench.Ask(kSetGlobalGcBarrier, set)->header().error().message(),
            "[PD:common:ErrInvalidArgument]invalid argument for ttl: 0s");
  set.set_ttl_seconds(60);
  EXPECT_EQ(bench.Ask(kSetGlobalGcBarrier, set)->new_barrier_info().barrier_ts(), 50U);
  const auto held = AdvanceTxn(&bench, 100);
  EXPECT_EQ(held->new_txn_safe_point(), 50U);
  EXPECT_THAT(held->blocker_description(), testing::StartsWith("GlobalGCBarrier { "));
  const auto all = bench.Ask(kGetAllKeyspacesGcStates, Bench::With<pdpb::GetAllKeyspacesGCStatesRequest>());
  ASSERT_EQ(all->gc_states_size(), 2) << "the cluster and DEFAULT";
  EXPECT_EQ(all->global_gc_barriers_size(), 1);
  auto erase = Bench::With<pdpb::DeleteGlobalGCBarrierRequest>();
  erase.set_barrier_id("g");
  EXPECT_EQ(bench.Ask(kDeleteGlobalGcBarrier, erase)->deleted_barrier_info().barrier_id(), "g");
  EXPECT_FALSE(bench.Ask(kDeleteGlobalGcBarrier, erase)->has_deleted_barrier_info());
}

TEST(GcStates, ServiceSafePointsAreRefusedInPdsWords) {
  Bench bench;
  auto update = Bench::With<pdpb::UpdateServiceGCSafePointRequest>();
  update.set_service_id("gc_worker");
  update.set_safe_point(10);
  update.set_ttl(60);
  EXPECT_EQ(bench.Ask(kUpdateServiceGcSafePoint, update).error().message(),
            "TTL of gc_worker's service safe point must be infinity");
  update.set_ttl(0);
  EXPECT_EQ(bench.Ask(kUpdateServiceGcSafePoint, update).error().message(), "cannot remove service safe point of gc_worker");
  update.set_service_id("");
  update.set_ttl(60);
  EXPECT_EQ(bench.Ask(kUpdateServiceGcSafePoint, update).error().message(), "service id of service safepoint cannot be empty");
  update.set_service_id("br");
  const auto answer = bench.Ask(kUpdateServiceGcSafePoint, update);
  EXPECT_EQ(answer->service_id(), "gc_worker");
  EXPECT_EQ(answer->ttl(), INT64_MAX - kTestClockStartMs / 1000);
}

TEST(GcStates, AKeyspaceHasSafePointsOfItsOwn) {
  Bench bench;
  bench.pd.MoveGcSafePoint(Timestamp(30));
  auto get = Bench::With<pdpb::GetGCSafePointV2Request>();
  EXPECT_EQ(bench.Ask(kGetGcSafePointV2, get)->safe_point(), 30U) << "the cluster's while it has none";
  auto update = Bench::With<pdpb::UpdateGCSafePointV2Request>();
  update.set_safe_point(40);
  EXPECT_EQ(bench.Ask(kUpdateGcSafePointV2, update)->new_safe_point(), 40U);
  EXPECT_EQ(bench.Ask(kGetGcSafePointV2, get)->safe_point(), 40U);
  EXPECT_EQ(bench.pd.gc_safe_point(), Timestamp(30));
  const auto all = bench.Ask(kGetAllGcSafePointV2, Bench::With<pdpb::GetAllGCSafePointV2Request>());
  ASSERT_EQ(all->gc_safe_points_size(), 1);
  EXPECT_EQ(all->gc_safe_points(0).gc_safe_point(), 40U);
  get.set_keyspace_id(9);
  EXPECT_EQ(bench.Ask(kGetGcSafePointV2, get).error().message(), "keyspace does not exist");
  auto advance = Bench::With<pdpb::AdvanceGCSafePointRequest>();
  advance.mutable_keyspace_scope()->set_keyspace_id(0);
  EXPECT_THAT(bench.Ask(kAdvanceGcSafePoint, advance)->header().error().message(),
              testing::HasSubstr("where keyspace level GC is not enabled"));
}

TEST(Keyspaces, DefaultIsThereAndOthersAreNot) {
  Bench bench;
  auto load = Bench::With<keyspacepb::LoadKeyspaceRequest>();
  load.set_name("DEFAULT");
  const auto found = bench.Ask(kLoadKeyspace, load);
  EXPECT_EQ(found->keyspace().id(), 0U);
  EXPECT_EQ(found->keyspace().created_at(), kTestClockStartMs / 1000);
  load.set_name("other");
  const auto missing = bench.Ask(kLoadKeyspace, load);
  EXPECT_EQ(missing->header().error().type(), pdpb::ENTRY_NOT_FOUND);
  EXPECT_EQ(missing->header().error().message(), "keyspace does not exist");
  EXPECT_EQ(bench.Ask(kGetAllKeyspaces, Bench::With<keyspacepb::GetAllKeyspacesRequest>())->keyspaces_size(), 1);
  auto disable = Bench::With<keyspacepb::UpdateKeyspaceStateRequest>();
  disable.set_state(keyspacepb::DISABLED);
  EXPECT_EQ(bench.Ask(kUpdateKeyspaceState, disable)->header().error().message(), "cannot modify default keyspace's state");
}

TEST(PdStores, SplitsAreGrantedToWhoKnowsTheRegion) {
  Bench bench;
  auto table = TableOf({"m"}, 10);
  bench.pd.Learn(table);
  auto ask = Bench::With<pdpb::AskBatchSplitRequest>();
  EXPECT_EQ(bench.Ask(kAskBatchSplit, ask)->header().error().message(), "missing region for split");
  *ask.mutable_region() = table->begin()->second->region;
  ask.set_split_count(2);
  const auto granted = bench.Ask(kAskBatchSplit, ask);
  ASSERT_EQ(granted->ids_size(), 2);
  EXPECT_EQ(granted->ids(1).new_peer_ids_size(), 3);
  auto report = Bench::With<pdpb::ReportBatchSplitRequest>();
  *report.add_regions() = table->begin()->second->region;
  EXPECT_EQ(bench.Ask(kReportBatchSplit, report)->header().error().message(), "invalid split region");
  *report.add_regions() = std::next(table->begin())->second->region;
  EXPECT_FALSE(bench.Ask(kReportBatchSplit, report)->header().has_error());
  EXPECT_EQ(bench.Ask(kBootstrap, Bench::With<pdpb::BootstrapRequest>())->header().error().type(), pdpb::ALREADY_BOOTSTRAPPED);
}

TEST(PdStores, AStoreThatIsPutIsListedOnce) {
  Bench bench;
  auto put = Bench::With<pdpb::PutStoreRequest>();
  EXPECT_THAT(bench.Ask(kPutStore, put)->header().error().message(), testing::StartsWith("invalid put store"));
  put.mutable_store()->set_id(7);
  put.mutable_store()->set_address("host:1");
  EXPECT_FALSE(bench.Ask(kPutStore, put)->header().has_error());
  EXPECT_FALSE(bench.Ask(kPutStore, put)->header().has_error());
  EXPECT_EQ(bench.Ask(kGetAllStores, Bench::With<pdpb::GetAllStoresRequest>())->stores_size(), 1);
  put.mutable_store()->set_id(8);
  EXPECT_THAT(bench.Ask(kPutStore, put)->header().error().message(), testing::StartsWith("duplicated store address"));
  auto report = Bench::With<pdpb::ReportMinResolvedTsRequest>();
  report.set_store_id(7);
  EXPECT_TRUE(bench.Ask(kReportMinResolvedTs, report).ok());
  report.set_store_id(9);
  EXPECT_EQ(bench.Ask(kReportMinResolvedTs, report).error().message(), "[PD:core:ErrStoreNotFound]store 9 not found");
}

}  // namespace
}  // namespace kvjury::pd
