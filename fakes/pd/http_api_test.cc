#include "fakes/pd/http_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/pd_test_bench.h"
#include "fakes/sim/http.h"

namespace kvjury::pd {
namespace {

using Json = nlohmann::ordered_json;

class HttpTest : public testing::Test {
 protected:
  ::http::Response AskAt(const sim::Address& member, const std::string& method, const std::string& path,
                         const std::string& body = {}) {
    ::http::Request request;
    request.set_method(method);
    const size_t mark = path.find('?');
    request.set_path((path.starts_with("/pd/") ? "" : "/pd/api/v1") + path.substr(0, mark));
    request.set_query(mark == std::string::npos ? "" : path.substr(mark + 1));
    request.set_body(body);
    const auto answer = bench_.AskAt(member, sim::kHttp, request);
    CHECK(answer.ok());
    return *answer;
  }
  ::http::Response Ask(const std::string& method, const std::string& path, const std::string& body = {}) {
    return AskAt("source/pd", method, path, body);
  }
  Json Get(const std::string& path) { return Json::parse(Ask("GET", path).body()); }
  // The status and the sentence of the answer.
  std::pair<uint32_t, std::string> Told(const std::string& method, const std::string& path, const std::string& body = {}) {
    const ::http::Response answer = Ask(method, path, body);
    const Json json = Json::parse(answer.body(), nullptr, false);
    return {answer.status(), json.is_string() ? json.get<std::string>() : answer.body()};
  }

  Bench bench_{2};
};

TEST_F(HttpTest, UnknownPathsAndMethodsAreRefusedAsByPd) {
  EXPECT_EQ(Told("GET", "/nosuchpath"), std::make_pair(404U, std::string("404 page not found\n")));
  EXPECT_EQ(Ask("GET", "/nosuchpath").content_type(), "text/plain; charset=utf-8");
  EXPECT_EQ(Ask("GET", "/pd/other").status(), 404U);
  EXPECT_EQ(Ask("DELETE", "/stores").status(), 405U);
  EXPECT_EQ(Ask("GET", "/store/7").status(), 404U);
  EXPECT_EQ(Ask("GET", "/members/").status(), 200U);
}

TEST_F(HttpTest, AFollowerAnswersWithWhatTheLeaderKnows) {
  EXPECT_EQ(AskAt("source/pd-2", "GET", "/members").body(), Ask("GET", "/members").body());
  const auto own_name = [this](const sim::Address& member) { return Json::parse(AskAt(member, "GET", "/config").body())["name"]; };
  EXPECT_EQ(own_name("source/pd"), "pd-1");
  EXPECT_EQ(own_name("source/pd-2"), "pd-2");
  EXPECT_EQ(AskAt("source/pd-2", "POST", "/schedulers/balance-leader-scheduler", R"({"delay":30})").status(), 200U);
  EXPECT_THAT(Get("/schedulers?status=paused"), testing::ElementsAre("balance-leader-scheduler"));
}

TEST_F(HttpTest, TheLeaderMovesWhenAskedTo) {
  EXPECT_EQ(Get("/leader")["name"], "pd-1");
  EXPECT_EQ(Told("POST", "/leader/resign").second, "The resign command is submitted.");
  EXPECT_EQ(Get("/leader")["name"], "pd-2");
  EXPECT_EQ(Told("POST", "/leader/transfer/pd-1").first, 200U);
  EXPECT_EQ(Get("/leader")["name"], "pd-1");
  EXPECT_EQ(Told("POST", "/leader/transfer/pd-9").first, 500U);
}

TEST_F(HttpTest, WithoutALeaderItWaitsForThreeSecondsAndThenGivesUp) {
  bench_.pd.ChangeLeader(60'000'000);
  EXPECT_EQ(Ask("GET", "/health").status(), 200U) << "what a member knows itself";
  const Micros before = bench_.world.scheduler().now_us();
  const ::http::Response refused = Ask("GET", "/stores");
  EXPECT_EQ(refused.status(), 503U);
  EXPECT_EQ(refused.body(), "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n");
  EXPECT_GE(bench_.world.scheduler().now_us() - before, 3'000'000);
  bench_.pd.Heal();
  bench_.pd.ChangeLeader(1'000'000);
  EXPECT_EQ(Ask("GET", "/stores").status(), 200U);
}

TEST_F(HttpTest, ASetItemReadsBackAndKeepsItsType) {
  EXPECT_EQ(Told("POST", "/config", R"({"leader-schedule-limit":16,"replication.max-replicas":1})").second,
            "The config is updated.");
  EXPECT_EQ(Get("/config/schedule")["leader-schedule-limit"], 16);
  EXPECT_EQ(Get("/config")["replication"]["max-replicas"], 1);
  EXPECT_EQ(Told("POST", "/config", R"({"enable-debug-metrics":true})").first, 200U);
  EXPECT_EQ(Get("/config/schedule")["enable-debug-metrics"], "true");
  EXPECT_EQ(Told("POST", "/config", R"({"no-such-item":1})"),
            std::make_pair(400U, std::string("config item no-such-item not found")));
  EXPECT_EQ(Told("POST", "/config", R"({"schedule.no-such-item":1})"),
            std::make_pair(400U, std::string("config item no-such-item not found")));
  EXPECT_EQ(Told("POST", "/config", R"({"security.x":1})"), std::make_pair(400U, std::string("config prefix security not found")));
  EXPECT_EQ(Told("POST", "/config/replicate", R"({"max-replicas":3})").first, 200U);
  EXPECT_EQ(Get("/config/replicate")["max-replicas"], 3);
  EXPECT_EQ(Told("POST", "/config", R"({"schedule.leader-schedule-limit":"many"})").first, 400U);
}

TEST_F(HttpTest, AnItemForAWhileBlocksTheLastingOneUntilItEnds) {
  const std::string item = R"({"schedule.leader-schedule-limit":1})";
  EXPECT_EQ(Told("POST", "/config?ttlSecond=60", item).second, "The ttl config is updated.");
  EXPECT_EQ(Get("/config/schedule")["leader-schedule-limit"], 8) << "PD does not show it";
  EXPECT_EQ(Told("POST", "/config", item),
            std::make_pair(400U, std::string("need to clean up TTL first for schedule.leader-schedule-limit")));
  bench_.Pass(61'000'000);
  EXPECT_EQ(Told("POST", "/config", item).first, 200U);
  EXPECT_EQ(Told("POST", "/config?ttlSecond=60", item).first, 200U);
  EXPECT_EQ(Told("POST", "/config?ttlSecond=0", item).second, "The ttl config is deleted.");
  EXPECT_EQ(Told("POST", "/config", item).first, 200U);
  EXPECT_EQ(Told("POST", "/config?ttlSecond=1", R"({"schedule.low-space-ratio":1})").second,
            "unsupported ttl config schedule.low-space-ratio");
  EXPECT_EQ(Told("POST", "/config?ttlSecond=x", item).first, 400U);
}

TEST_F(HttpTest, SchedulersPauseAndResume) {
  EXPECT_EQ(Get("/schedulers").size(), 5U);
  EXPECT_EQ(Told("POST", "/schedulers/all", R"({"delay":30})").first, 200U);
  EXPECT_EQ(Get("/schedulers?status=paused").size(), 5U);
  EXPECT_EQ(Told("POST", "/schedulers/balance-region-scheduler", R"({"delay":0})").first, 200U);
  EXPECT_EQ(Get("/schedulers?status=paused").size(), 4U);
  bench_.Pass(31'000'000);
  EXPECT_EQ(Get("/schedulers?status=paused").size(), 0U);
  EXPECT_EQ(Told("POST", "/schedulers/none", R"({"delay":1})"),
            std::make_pair(500U, std::string("[PD:scheduler:ErrSchedulerNotFound]scheduler not found")));
  EXPECT_EQ(Told("POST", "/schedulers/all", "{}"), std::make_pair(400U, std::string("missing pause time")));
  EXPECT_EQ(Told("DELETE", "/schedulers/balance-region-scheduler").first, 200U);
  EXPECT_EQ(Told("DELETE", "/schedulers/balance-region-scheduler").first, 404U);
  EXPECT_EQ(Told("POST", "/schedulers", R"({"name":"balance-region-scheduler"})").second, "The scheduler is created.");
}

TEST_F(HttpTest, APlacementRuleReadsBackInPdsForm) {
  const std::string start = ToHex(EncodeKey("a"));
  const std::string rule =
      R"({"count":1,"id":"r","group_id":"g","role":"follower","start_key":")" + start + R"(","end_key":"","index":3})";
  EXPECT_EQ(Told("POST", "/config/rule", rule).second, "Update rule successfully.");
  EXPECT_EQ(Get("/config/rule/g/r").dump(), R"({"group_id":"g","id":"r","index":3,"start_key":")" + start +
                                                R"(","end_key":"","role":"follower","is_witness":false,"count":1})");
  EXPECT_EQ(Get("/config/rules").size(), 2U);
  EXPECT_EQ(Get("/config/rules/group/pd").size(), 1U);
  EXPECT_EQ(Told("POST", "/config/rule_group", R"({"id":"g","index":-1})").first, 200U);
  EXPECT_EQ(Get("/config/placement-rule")[0]["group_id"], "g");
  EXPECT_EQ(Get("/config/placement-rule/g")["group_index"], -1);
  EXPECT_EQ(Told("DELETE", "/config/rule/g/r").first, 200U);
  EXPECT_EQ(Told("GET", "/config/rule/g/r"), std::make_pair(404U, std::string("[PD:placement:ErrRuleNotFound]rule not found")));
  EXPECT_EQ(Told("POST", "/config/rule", R"({"id":"r","group_id":"g","role":"boss","count":1})"),
            std::make_pair(400U, std::string("[PD:placement:ErrRuleContent]invalid rule content, invalid role boss")));
  EXPECT_EQ(Told("POST", "/config/rule", R"({"id":"r","group_id":"g","role":"voter","count":1,"start_key":"zz"})").second,
            "[PD:hex:ErrHexDecodingString]decode string zz error");
  const std::string bundle = R"({"group_id":"b","group_index":1,"rules":[{"id":"x","role":"voter","count":2}]})";
  EXPECT_EQ(Told("POST", "/config/placement-rule/b", bundle).second, "Update group and rules successfully.");
  EXPECT_EQ(Get("/config/rule/b/x")["group_id"], "b");
  EXPECT_EQ(Told("DELETE", "/config/placement-rule/b").first, 200U);
  EXPECT_EQ(Get("/config/rules").size(), 1U);
}

TEST_F(HttpTest, TheDefaultRuleIsTheNumberOfReplicas) {
  EXPECT_EQ(Told("POST", "/config/rule", R"({"id":"default","group_id":"pd","role":"voter","count":5})").first, 200U);
  EXPECT_EQ(Get("/config/replicate")["max-replicas"], 5);
}

TEST_F(HttpTest, RegionLabelsAreSetPatchedAndDeleted) {
  const std::string rule =
      R"({"id":"a/b","labels":[{"key":"schedule","value":"deny","ttl":"10m"}],"rule_type":"key-range","data":[{"start_key":"7a","end_key":""}]})";
  EXPECT_EQ(Told("POST", "/config/region-label/rule", rule).second, "Update region label rule successfully.");
  EXPECT_EQ(Get("/config/region-label/rule/a%2Fb")["labels"][0]["ttl"], "10m");
  EXPECT_EQ(Ask("GET", "/config/region-label/rule/a/b").status(), 404U) << "the slash must be encoded";
  EXPECT_EQ(Told("PATCH", "/config/region-label/rules", R"({"deletes":["a/b"],"sets":[]})").second,
            "Update region label rules successfully.");
  EXPECT_EQ(Get("/config/region-label/rules").size(), 1U);
  EXPECT_EQ(Told("DELETE", "/config/region-label/rule/keyspaces%2F0").second, "Delete rule successfully.");
  EXPECT_EQ(Told("DELETE", "/config/region-label/rule/keyspaces%2F0"),
            std::make_pair(404U, std::string("[PD:region:ErrRegionRuleNotFound]region label rule not found for id keyspaces/0")));
  EXPECT_EQ(Told("POST", "/config/region-label/rule", R"({"id":"x"})").second,
            "[PD:region:ErrRegionRuleContent]invalid region rule content, no region labels");
}

TEST_F(HttpTest, RegionsAreFoundSplitAndScattered) {
  bench_.pd.SetPlacement(&bench_.placement);
  bench_.pd.Learn(TableOf({EncodeKey("m")}, 10));
  EXPECT_EQ(Get("/regions")["count"], 2);
  EXPECT_EQ(Ask("GET", "/regions").content_type(), "application/octet-stream");
  const std::string hex = ToHex(EncodeKey("z"));
  EXPECT_EQ(Get("/region/key/" + hex + "?format=hex")["id"], 11);
  EXPECT_EQ(Get("/regions/key?key=" + hex + "&format=hex&limit=1")["regions"][0]["id"], 11);
  EXPECT_EQ(Get("/region/id/99")["id"], 0);
  EXPECT_EQ(Told("GET", "/region/id/x").first, 400U);
  EXPECT_EQ(Get("/regions/sibling/10")["regions"][1]["id"], 11);
  EXPECT_EQ(Told("GET", "/regions/sibling/99"),
            std::make_pair(404U, std::string("[PD:region:ErrRegionNotFound]region 99 not found")));
  EXPECT_EQ(Get("/regions/store/3")["count"], 2);
  EXPECT_EQ(Ask("POST", "/regions/split", R"({"split_keys":["7a7a000000000000f9"]})").body(),
            "{\n  \"processed-percentage\": 100,\n  \"regions-id\": [\n    101\n  ]\n}\n");
  EXPECT_THAT(bench_.placement.splits, testing::ElementsAre(EncodeKey("zz")));
  EXPECT_EQ(Told("POST", "/regions/split", "{}").second, "split_keys should be provided.");
  EXPECT_EQ(Json::parse(Ask("POST", "/regions/scatter", R"({"regions_id":[10,11,99,98]})").body())["processed-percentage"], 50);
  EXPECT_EQ(Get("/operators").size(), 1U);
  EXPECT_THAT(Get("/operators/11").get<std::string>(), testing::StartsWith("status: RUNNING, operator: scatter-region"));
  EXPECT_EQ(Told("GET", "/operators/99"), std::make_pair(500U, std::string("[PD:operator:ErrOperatorNotFound]operator not found")));
  EXPECT_EQ(Told("POST", "/regions/accelerate-schedule", R"({"start_key":"61","end_key":""})").second,
            "Accelerate regions scheduling in a given range [61,)");
}

TEST_F(HttpTest, SafePointsIdsAndTimestamps) {
  metapb::Store store;
  store.set_id(bench_.pd.AllocateId());
  bench_.pd.PutStore(store);
  EXPECT_EQ(Ask("GET", "/gc/safepoint").body(), "{\n  \"service_gc_safe_points\": [],\n  \"gc_safe_point\": 0\n}\n");
  auto service = Bench::With<pdpb::UpdateServiceGCSafePointRequest>();
  service.set_service_id("br");
  service.set_ttl(60);
  service.set_safe_point(7);
  ASSERT_TRUE(bench_.Ask(kUpdateServiceGcSafePoint, service).ok());
  EXPECT_EQ(Get("/gc/safepoint")["service_gc_safe_points"][0]["service_id"], "br");
  EXPECT_EQ(Told("DELETE", "/gc/safepoint/br").first, 200U);
  EXPECT_EQ(Told("DELETE", "/gc/safepoint/gc_worker").first, 500U);
  EXPECT_EQ(Get("/min-resolved-ts?scope=cluster")["stores_min_resolved_ts"].size(), 1U);
  EXPECT_EQ(Get("/min-resolved-ts?scope=1,9")["stores_min_resolved_ts"]["9"], UINT64_MAX);
  EXPECT_EQ(Get("/min-resolved-ts")["stores_min_resolved_ts"], nullptr);
  EXPECT_EQ(Told("POST", "/admin/base-alloc-id", R"({"id":"500"})"),
            std::make_pair(403U, std::string("can only recover alloc id when recovering mark marked")));
  EXPECT_EQ(Told("POST", "/admin/cluster/markers/snapshot-recovering").first, 200U);
  EXPECT_EQ(Get("/admin/cluster/markers/snapshot-recovering")["marked"], true);
  EXPECT_EQ(Told("POST", "/admin/base-alloc-id", R"({"id":"500"})").first, 200U);
  EXPECT_EQ(bench_.pd.AllocateId(), 501U);
  EXPECT_EQ(Told("DELETE", "/admin/cluster/markers/snapshot-recovering").first, 200U);
  EXPECT_EQ(Get("/admin/cluster/markers/snapshot-recovering")["marked"], false);
  EXPECT_EQ(Told("POST", "/admin/reset-ts", R"({"tso":"1"})").first, 403U);
  EXPECT_EQ(Told("POST", "/admin/reset-ts", R"({"tso":"1","force-use-larger":true})").second, "Reset ts successfully.");
}

TEST_F(HttpTest, KeyspacesAreMadeAndTheirRegionsCut) {
  bench_.pd.SetPlacement(&bench_.placement);
  EXPECT_EQ(Get("/pd/api/v2/keyspaces")["keyspaces"][0]["name"], "DEFAULT");
  EXPECT_EQ(Told("GET", "/pd/api/v2/keyspaces/other"), std::make_pair(500U, std::string("keyspace does not exist")));
  const ::http::Response made =
      Ask("POST", "/pd/api/v2/keyspaces", R"({"name":"one","config":{"gc_management_type":"keyspace_level_gc"}})");
  EXPECT_EQ(made.status(), 200U);
  EXPECT_EQ(Json::parse(made.body())["id"], 1);
  EXPECT_THAT(bench_.placement.splits, testing::ElementsAre(EncodeKey(Bytes("r\0\0\1", 4)), EncodeKey(Bytes("r\0\0\2", 4)),
                                                            EncodeKey(Bytes("x\0\0\1", 4)), EncodeKey(Bytes("x\0\0\2", 4))));
  EXPECT_EQ(Get("/config/region-label/rule/keyspaces%2F1")["data"][0]["start_key"], "7200000100000000fb");
  EXPECT_EQ(Told("POST", "/pd/api/v2/keyspaces", R"({"name":"one"})"),
            std::make_pair(500U, std::string("keyspace already exists")));
  EXPECT_EQ(Json::parse(Ask("PUT", "/pd/api/v2/keyspaces/one/state", R"({"state":"disabled"})").body())["state"], "DISABLED");
  EXPECT_EQ(Json::parse(Ask("PATCH", "/pd/api/v2/keyspaces/one/config", R"({"config":{"a":"b"}})").body())["config"]["a"], "b");
  EXPECT_EQ(Get("/pd/api/v2/keyspaces?limit=1")["next_page_token"], "1");
  EXPECT_EQ(Get("/pd/api/v2/keyspaces/id/1")["name"], "one");
}

TEST_F(HttpTest, WhatWasSetOutlivesARestart) {
  ASSERT_EQ(Told("POST", "/config", R"({"leader-schedule-limit":16})").first, 200U);
  ASSERT_EQ(Told("POST", "/schedulers/all", R"({"delay":300})").first, 200U);
  ASSERT_EQ(Told("POST", "/config/rule", R"({"id":"r","group_id":"g","role":"voter","count":1})").first, 200U);
  ASSERT_EQ(Told("POST", "/pd/api/v2/keyspaces", R"({"name":"one"})").first, 200U);
  const Bytes saved = bench_.pd.SaveState();
  Bench restarted;
  ASSERT_TRUE(restarted.pd.RestoreState(saved).ok());
  const auto get = [&restarted](const std::string& path) {
    ::http::Request request;
    request.set_method("GET");
    request.set_path(path);
    return Json::parse(restarted.Ask(sim::kHttp, request)->body());
  };
  EXPECT_EQ(get("/pd/api/v1/config/schedule")["leader-schedule-limit"], 16);
  EXPECT_EQ(get("/pd/api/v1/config/rule/g/r")["count"], 1);
  EXPECT_EQ(get("/pd/api/v2/keyspaces/one")["id"], 1);
}

}  // namespace
}  // namespace kvjury::pd
