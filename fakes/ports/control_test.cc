// Every command of the control socket, seen by a client over real ports.
#include "fakes/ports/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "fakes/ports/control_socket.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"
#include "fakes/ports/test_sockets.h"

namespace kvjury::ports {
namespace {

using Clock = std::chrono::steady_clock;
using testing::HasSubstr;

class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    ServeOptions options;
    options.pd_port = 0;
    options.control = testing::TempDir() + "kvjury-control-" + std::to_string(getpid());
    path_ = options.control;
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.error();
    served_ = *std::move(started);
    client_ = std::make_unique<TestClusterClient>(served_->pd_addresses().front());
  }

  nlohmann::json Ask(const std::string& line) {
    const Result<std::string> answer = CallControlSocket(path_, line);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? nlohmann::json::parse(*answer) : nlohmann::json();
  }
  bool Poke(const std::string& line) {
    const nlohmann::json answer = Ask(line);
    EXPECT_TRUE(answer.contains("effect")) << answer;
    return answer.contains("effect") && answer["effect"].get<bool>();
  }
  uint64_t RegionOf(const std::string& key) { return client_->Find(key).context.region_id(); }
  uint64_t LeaderOf(const std::string& key) { return client_->Find(key).context.peer().store_id(); }
  const ServedStore& Store(uint64_t id) const {
    for (const ServedStore& store : served_->stores()) {
      if (store.id == id) {
        return store;
      }
    }
    ADD_FAILURE() << "no store " << id;
    return served_->stores().front();
  }
  static int64_t MsSince(Clock::time_point begun) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
  }
  grpc::Status GetWithin(const std::string& key, int timeout_ms, kvrpcpb::GetResponse* response) {
    const TestClusterClient::Route route = client_->Find(key);
    kvrpcpb::GetRequest request;
    *request.mutable_context() = route.context;
    request.set_key(key);
    request.set_version(UINT64_MAX);
    return route.store->Call(tikv::kKvGet, request, response, timeout_ms);
  }

  std::string path_;
  std::unique_ptr<ServedCluster> served_;
  std::unique_ptr<TestClusterClient> client_;
};

TEST_F(ControlTest, ARegionIsSplitAndMergedAgain) {
  ASSERT_EQ(RegionOf("a"), RegionOf("n"));
  EXPECT_TRUE(Poke("split key=" + ToHex("m")));
  EXPECT_FALSE(Poke("split key=" + ToHex("m"))) << "it is a boundary already";
  EXPECT_TRUE(Soon([this]() { return RegionOf("a") != RegionOf("n"); }));
  EXPECT_TRUE(Poke("merge key=" + ToHex("a")));
  EXPECT_TRUE(Soon([this]() { return RegionOf("a") == RegionOf("n"); }));
}

TEST_F(ControlTest, ALeaderMovesToAStoreOrTheNextOne) {
  const uint64_t before = LeaderOf("a");
  EXPECT_FALSE(Poke("transfer-leader key=61 store=" + std::to_string(before))) << "it leads already";
  EXPECT_FALSE(Poke("transfer-leader key=61 store=77")) << "there is no such store";
  EXPECT_TRUE(Poke("transfer-leader key=61"));
  EXPECT_TRUE(Soon([&]() { return LeaderOf("a") != before; }));
  EXPECT_TRUE(Poke("transfer-leader key=61 store=" + std::to_string(before)));
  EXPECT_TRUE(Soon([&]() { return LeaderOf("a") == before; }));
}

TEST_F(ControlTest, AKilledStoreIsAClosedPortUntilItIsRevived) {
  ASSERT_TRUE(client_->PutSoon("a", "before"));
  const uint64_t id = LeaderOf("a");
  const std::string store = std::to_string(id);
  const int open = Connect(Store(id).address);
  ASSERT_TRUE(Poke("kill-store store=" + store));
  EXPECT_EQ(Connect(Store(id).address), -1);
  EXPECT_EQ(Connect(Store(id).status_address), -1);
  EXPECT_EQ(ReadAll(open), "") << "cut";
  close(open);
  EXPECT_FALSE(Poke("kill-store store=" + store)) << "it is dead";
  const uint64_t another = served_->stores()[Store(id).address == served_->stores()[0].address ? 1 : 0].id;
  EXPECT_FALSE(Poke("kill-store store=" + std::to_string(another))) << "no majority would be left";
  EXPECT_EQ(client_->Get("a").value, "before") << "another store leads";
  EXPECT_TRUE(Poke("revive-store store=" + store));
  EXPECT_FALSE(Poke("revive-store store=" + store));
  const int again = Connect(Store(id).address);
  EXPECT_GE(again, 0) << "the same port";
  close(again);
}

TEST_F(ControlTest, AStoreThatIsKilledForAWhileComesBackByItself) {
  const ServedStore& store = served_->stores().front();
  ASSERT_TRUE(Poke("kill-store store=" + std::to_string(store.id) + " for_ms=200"));
  ASSERT_EQ(Connect(store.address), -1);
  int descriptor = -1;
  EXPECT_TRUE(Soon([&]() { return (descriptor = Connect(store.address)) >= 0; }));
  close(descriptor);
}

TEST_F(ControlTest, APausedStoreAnswersLater) {
  ASSERT_TRUE(client_->PutSoon("a", "v"));
  const auto begun = Clock::now();
  EXPECT_TRUE(Poke("pause-store store=" + std::to_string(LeaderOf("a")) + " for_ms=400"));
  kvrpcpb::GetResponse response;
  EXPECT_TRUE(GetWithin("a", 5'000, &response).ok());
  EXPECT_GE(MsSince(begun), 400);
}

TEST_F(ControlTest, ALostReplyComesAfterTheEffectAndALostRequestBeforeIt) {
  ASSERT_TRUE(client_->PutSoon("a", "old"));
  EXPECT_TRUE(Poke("lose-reply method=KvPrewrite"));
  client_->set_call_timeout_ms(300);
  EXPECT_FALSE(client_->Put("a", "new"));
  EXPECT_EQ(client_->last().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(client_->Get("a").value, "new");
  EXPECT_TRUE(Poke("lose-request method=KvPrewrite count=2"));
  EXPECT_FALSE(client_->Put("a", "newer"));
  EXPECT_FALSE(client_->Put("a", "newer"));
  EXPECT_EQ(client_->Get("a").value, "new");
  EXPECT_TRUE(client_->Put("a", "newest")) << "the third one is not meant";
  const nlohmann::json state = Ask("state");
  EXPECT_EQ(state["faults"]["lose_reply"], 1);
  EXPECT_EQ(state["faults"]["lose_request"], 2);
}

TEST_F(ControlTest, HttpCallsAreRefusedByMethodAndBeginningOfTheirPath) {
  const std::string& pd = served_->pd_addresses().front();
  EXPECT_TRUE(Poke("refuse-http method=http/GET/pd/api/v1/schedulers count=2"));
  EXPECT_EQ(HttpGet(pd, "/pd/api/v1/version").compare(0, 12, "HTTP/1.1 200"), 0);
  EXPECT_EQ(HttpGet(pd, "/pd/api/v1/schedulers").compare(0, 12, "HTTP/1.1 403"), 0);
  EXPECT_EQ(HttpGet(pd, "/pd/api/v1/schedulers/x").compare(0, 12, "HTTP/1.1 403"), 0);
  EXPECT_EQ(HttpGet(pd, "/pd/api/v1/schedulers").compare(0, 12, "HTTP/1.1 200"), 0) << "the third one is not meant";
}

TEST_F(ControlTest, AMethodIsSlowUntilItIsHealed) {
  ASSERT_TRUE(client_->PutSoon("a", "v"));
  EXPECT_TRUE(Poke("slow method=KvGet by_ms=300"));
  for (int i = 0; i < 2; ++i) {
    const auto begun = Clock::now();
    EXPECT_TRUE(client_->Get("a").answered);
    EXPECT_GE(MsSince(begun), 300);
  }
  EXPECT_TRUE(Poke("heal"));
  EXPECT_EQ(Ask("state")["open_wishes"], 0);
  kvrpcpb::GetResponse response;
  EXPECT_TRUE(GetWithin("a", 250, &response).ok());
}

TEST_F(ControlTest, ItStopsWithCallsThatAreHeldBackForLong) {
  EXPECT_TRUE(Poke("slow method=http by_ms=600000"));
  EXPECT_TRUE(Poke("slow method=KvGet by_ms=600000"));
  const int http = Connect(served_->pd_addresses().front());
  ASSERT_TRUE(SendText(http, "GET /pd/api/v1/version HTTP/1.1\r\nHost: pd\r\n\r\n"));
  std::thread getter([this]() {
    kvrpcpb::GetResponse response;
    EXPECT_FALSE(GetWithin("a", 20'000, &response).ok());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto begun = Clock::now();
  served_->Stop();
  EXPECT_LT(MsSince(begun), 3'000) << "a second, on a machine that has one to spare";
  getter.join();
  close(http);
}

TEST_F(ControlTest, AStoreSaysThatItIsBusy) {
  EXPECT_TRUE(Poke("server-busy count=1 by_ms=70"));
  kvrpcpb::GetResponse response;
  ASSERT_TRUE(GetWithin("a", 5'000, &response).ok());
  EXPECT_EQ(response.region_error().server_is_busy().backoff_ms(), 70U) << response.ShortDebugString();
  response.Clear();
  ASSERT_TRUE(GetWithin("a", 5'000, &response).ok());
  EXPECT_FALSE(response.has_region_error());
}

TEST_F(ControlTest, PdHasNoLeaderForAWhileAndItsClockJumps) {
  const uint64_t before = client_->Now();
  EXPECT_TRUE(Poke("clock-jump by_ms=60000"));
  const uint64_t jumped = client_->Now();
  EXPECT_GE((jumped >> 18) - (before >> 18), 60'000U);
  EXPECT_TRUE(Poke("pd-leader-change for_ms=300"));
  pdpb::GetAllStoresResponse response;
  EXPECT_FALSE(client_->pd().Call(pd::kGetAllStores, client_->ForPd<pdpb::GetAllStoresRequest>(), &response).ok());
  uint64_t after = 0;
  EXPECT_TRUE(Soon([&]() { return (after = client_->Now()) != 0; }));
  EXPECT_GT(after, jumped);
}

TEST_F(ControlTest, PdTellsOldRegionsForAWhile) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(Poke("split key=6d"));
  ASSERT_TRUE(Soon([this]() { return RegionOf("a") != RegionOf("n"); }));
  EXPECT_TRUE(Poke("stale-routes by_ms=60000 for_ms=300"));
  EXPECT_EQ(RegionOf("a"), RegionOf("n"));
  EXPECT_TRUE(Soon([this]() { return RegionOf("a") != RegionOf("n"); }));
}

TEST_F(ControlTest, GarbageIsCollectedAtOnce) {
  ASSERT_TRUE(client_->PutSoon("a", "old"));
  const uint64_t between = client_->Now();
  ASSERT_TRUE(client_->PutSoon("a", "new"));
  EXPECT_EQ(client_->Get("a", between).value, "old");
  EXPECT_TRUE(Poke("gc-now"));
  EXPECT_GT(std::stoull(Ask("state")["pd"]["gc_safe_point"].get<std::string>()), between);
  EXPECT_EQ(client_->Get("a").value, "new");
}

TEST_F(ControlTest, TheStateTellsRegionsStoresAndCounters) {
  EXPECT_TRUE(Poke("split key=6d"));
  const nlohmann::json state = Ask("state");
  EXPECT_EQ(state["cluster_id"], std::to_string(client_->cluster_id()));
  EXPECT_EQ(state["stores"].size(), 3U);
  EXPECT_EQ(state["regions"].size(), 6U);
  EXPECT_EQ(state["regions"][1]["start"], "6d");
  EXPECT_EQ(state["commands"]["split"], 1);
  EXPECT_EQ(state["calls"]["pd"]["GetMembers"]["calls"], 1);
}

TEST_F(ControlTest, WhatIsNoCommandIsAnErrorAndASilentPeerHoldsNobodyUp) {
  EXPECT_THAT(Ask("explode")["error"], HasSubstr("unknown command \"explode\""));
  EXPECT_THAT(Ask("split")["error"], HasSubstr("split needs key"));
  EXPECT_THAT(Ask("split key=6")["error"], HasSubstr("hex"));
  EXPECT_THAT(Ask("heal store=1")["error"], HasSubstr("heal has no store"));
  EXPECT_THAT(Ask("kill-store store=1 store=2")["error"], HasSubstr("given twice"));
  EXPECT_THAT(Ask("kill-store store=-1")["error"], HasSubstr("expected a number"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int silent = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(connect(silent, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const auto begun = Clock::now();
  EXPECT_TRUE(Ask("state").contains("regions"));
  EXPECT_LT(MsSince(begun), 5'000);
  close(silent);
  const std::string path = path_;
  served_->Stop();
  EXPECT_THAT(CallControlSocket(path, "state").status().message(), HasSubstr("no served cluster listens on"));
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

// The ranges that a whole backup's answers tell of, in the order of their arrival at one client of a cluster with one store.
std::vector<std::string> RangesOfABackup(record::Case faults, std::vector<std::string>* never_fired) {
  ServeOptions options;
  options.pd_port = 0;
  options.stores = 1;
  options.faults = std::move(faults);
  Result<std::unique_ptr<ServedCluster>> served = ServedCluster::Start(std::move(options));
  EXPECT_TRUE(served.ok()) << served.status();
  TestClusterClient client((*served)->pd_addresses().front());
  TestClient store((*served)->stores().front().address);
  backup::BackupRequest request;
  request.set_cluster_id(client.cluster_id());
  request.set_end_version(client.Now());
  request.mutable_storage_backend()->mutable_noop();
  grpc::ClientContext context;
  auto reader = store.ServerStream<backup::BackupRequest, backup::BackupResponse>(tikv::kBackup.path, &context, request);
  std::vector<std::string> ranges;
  backup::BackupResponse response;
  while (reader->Read(&response)) {
    ranges.push_back(Printable(response.start_key()) + ".." + Printable(response.end_key()));
  }
  ranges.push_back(reader->Finish().ok() ? "ok" : "broken");
  (*served)->Stop();
  *never_fired = (*served)->never_fired();
  return ranges;
}

TEST(OutsideFaults, TheAnswerOfOneRegionIsHeldBackBehindAllOthers) {
  std::vector<std::string> never_fired;
  record::Case c;
  c.mutable_trigger()->set_empty_key_region(true);
  const std::vector<std::string> usual = RangesOfABackup(c, &never_fired);
  ASSERT_EQ(usual.size(), 7U);
  EXPECT_EQ(usual.front(), "..") << "the region that ends at the encoded empty key looks like everything";
  record::Nudge* nudge = c.add_nudge();
  nudge->set_at("external/backup/answer[..]#1");
  nudge->set_delay_us(300'000);
  nudge = c.add_nudge();
  nudge->set_at("external/backup/answer[..]#2");
  nudge->set_delay_us(1);
  const auto begun = Clock::now();
  std::vector<std::string> held = RangesOfABackup(c, &never_fired);
  EXPECT_GE(Clock::now() - begun, std::chrono::milliseconds(300));
  ASSERT_EQ(held.size(), 7U);
  EXPECT_EQ(held[5], "..");
  EXPECT_EQ(held[0], usual[1]);
  EXPECT_THAT(never_fired, testing::ElementsAre("external/backup/answer[..]#2"));
}

TEST(OutsideFaults, AStreamBreaksInFrontOfAnAnswer) {
  std::vector<std::string> never_fired;
  record::Case c;
  record::Fault* fault = c.add_fault();
  fault->set_at("external/backup/answer[..r\\x00\\x00\\x00]#1");
  fault->mutable_stream_reset();
  EXPECT_THAT(RangesOfABackup(c, &never_fired), testing::ElementsAre("broken"));
  EXPECT_THAT(never_fired, testing::IsEmpty());
}

RC_GTEST_PROP(ControlCommands, ACommandIsReadAsItWasWritten, ()) {
  const ControlVerb& verb = *rc::gen::elementOf(ControlVerbs());
  ControlCommand command;
  command.verb = verb.name;
  std::vector<const char*> members = verb.needs;
  for (const char* member : verb.may_have) {
    if (*rc::gen::arbitrary<bool>()) {
      members.push_back(member);
    }
  }
  for (const std::string_view member : members) {
    const uint64_t number = *rc::gen::inRange<uint64_t>(0, 1'000'000'000'000);
    if (member == "key") {
      command.key = *rc::gen::arbitrary<std::string>();
    } else if (member == "method") {
      command.method = "KvGet";
    } else {
      (member == "store" ? command.store : member == "count" ? command.count : member == "for_ms" ? command.for_ms : command.by_ms) = number;
    }
  }
  const Result<ControlCommand> again = ParseControlCommand(FormatControlCommand(command));
  RC_ASSERT(again.ok());
  RC_ASSERT(*again == command);
}

}  // namespace
}  // namespace kvjury::ports
