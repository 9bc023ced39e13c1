#include "fakes/tikv/store_status.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fakes/tikv/cluster_test_bench.h"

namespace kvjury::tikv {
namespace {

class StoreStatusCalls : public testing::Test {
 protected:
  StoreStatusCalls() : bench_(3) {}
  ~StoreStatusCalls() override { bench_.cluster.Shutdown(); }

  ::http::Response Http(const std::string& method, const std::string& path, const std::string& body = "") {
    ::http::Request request;
    request.set_method(method);
    request.set_path(path);
    request.set_body(body);
    return *bench_.Ask(sim::kHttp, StoreId(1), request);
  }
  Timestamp SafeTs() { return Timestamp(bench_.Ask(kGetStoreSafeTs, StoreId(1), kvrpcpb::StoreSafeTSRequest())->safe_ts()); }

  ClusterBench bench_;
};

TEST_F(StoreStatusCalls, TheStatusPortShowsTheConfigurationThatToolsRead) {
  const ::http::Response answer = Http("GET", "/config");
  EXPECT_EQ(answer.status(), 200U);
  EXPECT_EQ(answer.content_type(), "application/json");
  const auto config = nlohmann::json::parse(answer.body());
  EXPECT_EQ(config["storage"]["api-version"], 1);
  EXPECT_EQ(config["storage"]["enable-ttl"], false);
  EXPECT_EQ(config["coprocessor"]["region-split-size"], "256MiB");
  EXPECT_EQ(config["coprocessor"]["region-split-keys"], 2560000);
  EXPECT_EQ(config["import"]["num-threads"], 8);
  EXPECT_EQ(config["server"]["addr"], "source/store-1");
  EXPECT_EQ(Http("GET", "/status").status(), 200U);
  EXPECT_EQ(Http("GET", "/nothing").status(), 404U);
}

TEST_F(StoreStatusCalls, TheConfigurationChangesAsAWholeOrNotAtAll) {
  EXPECT_EQ(Http("POST", "/config", R"({"pessimistic-txn.in-memory":"false","pessimistic-txn.wake-up-delay-duration":"1s500ms"})").status(),
            200U);
  auto waiting = nlohmann::json::parse(Http("GET", "/config").body())["pessimistic-txn"];
  EXPECT_EQ(waiting["in-memory"], false);
  EXPECT_EQ(waiting["wake-up-delay-duration"], "1s500ms");
  const std::pair<const char*, const char*> rows[] = {
      {R"({"pessimistic-txn.in-memory":true,"pessimistic-txn.colour":1})", "failed to update, error: \"unexpect fields: colour\""},
      {R"({"pessimistic-txn.in-memory":"perhaps"})", "failed to update, error: \"failed to parse: perhaps\""},
      {R"({"pessimistic-txn.wait-for-lock-timeout":"1x"})", "failed to update, error: \"failed to parse: 1x\""},
      {R"({"storage.api-version":2})", "failed to update, error: \"config api-version can not be changed\""},
      {R"({"nothing":2})", "failed to update, error: \"unexpect fields: nothing\""},
      {"[]", "failed to decode, error: \"wrong format: []\""}};
  for (const auto& [body, words] : rows) {
    const ::http::Response answer = Http("POST", "/config", body);
    EXPECT_EQ(answer.status(), 500U) << body;
    EXPECT_EQ(answer.body(), words);
  }
  waiting = nlohmann::json::parse(Http("GET", "/config").body())["pessimistic-txn"];
  EXPECT_EQ(waiting["in-memory"], false) << "a change that is refused in part changes nothing";
}

TEST(ReadableDuration, IsReadAsTiKVWritesIt) {
  EXPECT_EQ(*ParseReadableDuration("1s"), 1'000'000);
  EXPECT_EQ(*ParseReadableDuration("1d2h3m4s5ms6us"), 93'784'005'006);
  for (const char* wrong : {"", "1", "s", "1ms1s", "1s1s", "-1s", "1.5s"}) {
    EXPECT_FALSE(ParseReadableDuration(wrong).ok()) << wrong;
  }
}

TEST_F(StoreStatusCalls, HealthFeedbackIsNumberedUpwards) {
  uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const auto answer = bench_.Ask(kGetHealthFeedback, StoreId(2), kvrpcpb::GetHealthFeedbackRequest());
    EXPECT_EQ(answer->health_feedback().store_id(), 2U);
    EXPECT_EQ(answer->health_feedback().slow_score(), 1);
    EXPECT_GT(answer->health_feedback().feedback_seq_no(), last);
    last = answer->health_feedback().feedback_seq_no();
  }
}

TEST_F(StoreStatusCalls, TheSafeTimestampStaysBelowWhatMayStillCommit) {
  const Timestamp before = bench_.Tso();
  EXPECT_GT(SafeTs(), before);
  StoreId leader;
  kvrpcpb::PrewriteRequest request;
  *request.mutable_context() = bench_.ContextFor("k", &leader);
  request.add_mutations()->set_key("k");
  request.set_primary_lock("k");
  const Timestamp start = bench_.Tso();
  request.set_start_version(start.value());
  request.set_lock_ttl(3000);
  ASSERT_EQ(bench_.Ask(kKvPrewrite, leader, request)->ShortDebugString(), "");
  EXPECT_EQ(SafeTs().value(), start.value() - 1);
  auto question = std::make_shared<::http::Request>();
  question->set_method("GET");
  question->set_path("/pd/api/v1/min-resolved-ts");
  const Result<sim::MessagePtr> told = bench_.Ask(sim::kHttp.path, bench_.cluster.pd_address(), question, "");
  ASSERT_TRUE(told.ok()) << told.status();
  EXPECT_EQ(nlohmann::json::parse(static_cast<const ::http::Response&>(**told).body())["min_resolved_ts"], start.value() - 1);
  kvrpcpb::StoreSafeTSRequest elsewhere;
  elsewhere.mutable_key_range()->set_start_key(EncodeKey("l"));
  elsewhere.mutable_key_range()->set_end_key(EncodeKey("m"));
  EXPECT_GT(bench_.Ask(kGetStoreSafeTs, StoreId(1), elsewhere)->safe_ts(), start.value());
}

TEST_F(StoreStatusCalls, ALeaderIsConfirmedOnlyInItsTermAndEpoch) {
  StoreId leader;
  const kvrpcpb::Context context = bench_.ContextFor("k", &leader);
  kvrpcpb::CheckLeaderRequest request;
  request.set_ts(7);
  for (int i = 0; i < 4; ++i) {
    kvrpcpb::LeaderInfo* info = request.add_regions();
    info->set_region_id(context.region_id());
    info->set_peer_id(context.peer().id() + (i == 1 ? 1 : 0));
    info->set_term(bench_.cluster.raft().Term(RegionId(context.region_id())) + (i == 2 ? 1 : 0));
    *info->mutable_region_epoch() = context.region_epoch();
    info->mutable_region_epoch()->set_version(context.region_epoch().version() + (i == 3 ? 1 : 0));
  }
  const auto answer = bench_.Ask(kCheckLeader, StoreId(3), request);
  EXPECT_EQ(answer->ShortDebugString(), "regions: " + std::to_string(context.region_id()) + " ts: 7");
}

TEST_F(StoreStatusCalls, ARequestForAnotherClusterIsRefused) {
  StoreId leader;
  kvrpcpb::GetRequest request;
  *request.mutable_context() = bench_.ContextFor("k", &leader);
  request.mutable_context()->set_cluster_id(43);
  request.set_key("k");
  request.set_version(UINT64_MAX);
  const auto refused = bench_.Ask(kKvGet, leader, request);
  EXPECT_EQ(refused.error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.error().message(), "the cluster id of the request does not match the TiKV cluster");
  request.mutable_context()->set_cluster_id(42);
  EXPECT_TRUE(bench_.Ask(kKvGet, leader, request)->not_found());
}

}  // namespace
}  // namespace kvjury::tikv
