// Two clients over real ports, of which one waits for the other's lock: what the served cluster says of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>

#include "fakes/ports/control_socket.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"

namespace kvjury::ports {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class WaitingOverPorts : public testing::Test {
 protected:
  void SetUp() override {
    ServeOptions options;
    options.pd_port = 0;
    options.control = testing::TempDir() + "kvjury-waiting-" + std::to_string(getpid());
    control_ = options.control;
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.error();
    served_ = *std::move(started);
    owner_ = std::make_unique<TestClusterClient>(served_->pd_addresses().front());
    waiter_ = std::make_unique<TestClusterClient>(served_->pd_addresses().front());
  }

  static kvrpcpb::PessimisticLockRequest Lock(TestClusterClient* client, const std::string& key) {
    kvrpcpb::PessimisticLockRequest request;
    *request.mutable_context() = client->Find(key).context;
    request.add_mutations()->set_op(kvrpcpb::PessimisticLock);
    request.mutable_mutations(0)->set_key(key);
    request.set_primary_lock(key);
    request.set_start_version(client->Now());
    request.set_for_update_ts(request.start_version());
    request.set_lock_ttl(60'000);
    request.set_wait_timeout(5'000);
    return request;
  }
  static kvrpcpb::PessimisticLockResponse Ask(TestClusterClient* client, const std::string& key, const kvrpcpb::PessimisticLockRequest& request) {
    kvrpcpb::PessimisticLockResponse response;
    const grpc::Status status = client->Find(key).store->Call(tikv::kKvPessimisticLock, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  /// What "state" says on the control socket.
  std::vector<std::string> Waiting() {
    const Result<std::string> answer = CallControlSocket(control_, "state");
    EXPECT_TRUE(answer.ok()) << answer.status();
    return nlohmann::json::parse(*answer).at("waiting").get<std::vector<std::string>>();
  }

  std::string control_;
  std::unique_ptr<ServedCluster> served_;
  std::unique_ptr<TestClusterClient> owner_;
  std::unique_ptr<TestClusterClient> waiter_;
};

TEST_F(WaitingOverPorts, TheStateNamesTheClientThatWaitsInAQueueAndTheTransactionItWaitsFor) {
  EXPECT_THAT(Waiting(), testing::IsEmpty());
  const kvrpcpb::PessimisticLockRequest first = Lock(owner_.get(), "k");
  ASSERT_EQ(Ask(owner_.get(), "k", first).errors_size(), 0);
  const kvrpcpb::PessimisticLockRequest second = Lock(waiter_.get(), "k");
  std::future<kvrpcpb::PessimisticLockResponse> waiting =
      std::async(std::launch::async, [&]() { return Ask(waiter_.get(), "k", second); });
  std::vector<std::string> said;
  EXPECT_TRUE(Soon([&]() { return !(said = Waiting()).empty(); }));
  EXPECT_THAT(said, testing::ElementsAre(AllOf(HasSubstr("KvPessimisticLock of transaction " + std::to_string(second.start_version()) + " on store"),
                                               HasSubstr("\"k\""), HasSubstr("locked by transaction " + std::to_string(first.start_version())))));
  kvrpcpb::PessimisticRollbackRequest rollback;
  *rollback.mutable_context() = first.context();
  rollback.add_keys("k");
  rollback.set_start_version(first.start_version());
  rollback.set_for_update_ts(UINT64_MAX);
  kvrpcpb::PessimisticRollbackResponse gone;
  ASSERT_TRUE(owner_->Find("k").store->Call(tikv::kKvPessimisticRollback, rollback, &gone).ok());
  waiting.get();
  for (const std::string& sentence : Waiting()) {
    EXPECT_THAT(sentence, Not(HasSubstr("is locked by")));
  }
}

TEST_F(WaitingOverPorts, AReaderThatComesAgainAndAgainForALockedKeyIsCounted) {
  kvrpcpb::PrewriteRequest prewrite = TestClusterClient::OnePhase(owner_->Find("k").context, "k", "v", owner_->Now());
  prewrite.set_try_one_pc(false);
  prewrite.set_use_async_commit(false);
  prewrite.set_min_commit_ts(0);
  kvrpcpb::PrewriteResponse prewritten;
  ASSERT_TRUE(owner_->Find("k").store->Call(tikv::kKvPrewrite, prewrite, &prewritten).ok());
  ASSERT_EQ(prewritten.errors_size(), 0);
  const uint64_t read_ts = waiter_->Now();
  for (int i = 0; i < 5; ++i) {
    kvrpcpb::GetResponse answer;
    const TestClusterClient::Route route = waiter_->Find("k");
    ASSERT_TRUE(route.store->Call(tikv::kKvGet, TestClusterClient::GetAt(route.context, "k", read_ts), &answer).ok());
    ASSERT_TRUE(answer.error().has_locked());
  }
  EXPECT_THAT(Waiting(), testing::ElementsAre(AllOf(HasSubstr("KvGet of transaction " + std::to_string(read_ts)), HasSubstr("asked 5 times"),
                                                    HasSubstr("locked by transaction " + std::to_string(prewrite.start_version()) + ", its primary"),
                                                    HasSubstr("last heard"), HasSubstr("(KvPrewrite)"))));
}

}  // namespace
}  // namespace kvjury::ports
