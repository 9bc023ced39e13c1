// PD behind real ports: several members and the leader's moves, and timestamps as clients count on them.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "fakes/pd/etcd.h"
#include "fakes/pd/methods.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_client.h"

namespace kvjury::ports {
namespace {

int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The body of what GET `path` answers.
std::string HttpGet(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(descriptor, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  timeval patience{20, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(descriptor, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string text;
  char bytes[4096];
  for (ssize_t got = 0; (got = recv(descriptor, bytes, sizeof(bytes), 0)) > 0;) {
    text.append(bytes, static_cast<size_t>(got));
  }
  close(descriptor);
  const size_t body = text.find("\r\n\r\n");
  return body == std::string::npos ? text : text.substr(body + 4);
}

class ServedPdTest : public testing::Test {
 protected:
  void SetUp() override {
    ServeOptions options;
    options.pd_port = 0;
    options.pd_members = 3;
    options.stores = 1;
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.error();
    served_ = *std::move(started);
    ASSERT_EQ(served_->pd_addresses().size(), 3U);
    for (const std::string& address : served_->pd_addresses()) {
      members_.push_back(std::make_unique<TestClient>(address));
    }
    cluster_id_ = MembersAt(0).header().cluster_id();
  }

  pdpb::GetMembersResponse MembersAt(size_t member) {
    pdpb::GetMembersResponse response;
    EXPECT_TRUE(members_[member]->Call(pd::kGetMembers, pdpb::GetMembersRequest(), &response).ok());
    return response;
  }

  void MoveLeader() {
    ASSERT_TRUE(served_->live().Run([this]() { EXPECT_TRUE(served_->cluster().PdLeaderChange(0)); }));
  }

  // One request on a stream of its own; the stream's end and, if there is one, the answer.
  grpc::Status AskTimestamp(size_t member, uint64_t cluster_id, uint32_t count, pdpb::TsoResponse* response) {
    grpc::ClientContext context;
    auto stream = members_[member]->Stream<pdpb::TsoRequest, pdpb::TsoResponse>(pd::kTso.path, &context);
    pdpb::TsoRequest request;
    request.mutable_header()->set_cluster_id(cluster_id);
    request.set_count(count);
    request.set_dc_location("global");
    stream->Write(request);
    stream->Read(response);
    stream->WritesDone();
    return stream->Finish();
  }

  std::unique_ptr<ServedCluster> served_;
  std::vector<std::unique_ptr<TestClient>> members_;
  uint64_t cluster_id_ = 0;
};

TEST_F(ServedPdTest, EveryMemberTellsAllAddressesAndTheLeader) {
  const pdpb::GetMembersResponse first = MembersAt(0);
  ASSERT_EQ(first.members_size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(first.members(i).client_urls(0), "http://" + served_->pd_addresses()[static_cast<size_t>(i)]);
    EXPECT_EQ(MembersAt(static_cast<size_t>(i)).SerializeAsString(), first.SerializeAsString());
    etcdserverpb::MemberListResponse listed;
    EXPECT_TRUE(members_[static_cast<size_t>(i)]->Call(pd::kEtcdMemberList, etcdserverpb::MemberListRequest(), &listed).ok());
    EXPECT_EQ(listed.members_size(), 3);
    EXPECT_EQ(listed.header().member_id(), first.members(i).member_id());
    EXPECT_EQ(HttpGet(served_->pd_addresses()[static_cast<size_t>(i)], "/pd/api/v1/members"),
              HttpGet(served_->pd_addresses()[0], "/pd/api/v1/members"));
  }
}

TEST_F(ServedPdTest, AFollowerSaysThatItDoesNotLead) {
  pdpb::AllocIDRequest request;
  request.mutable_header()->set_cluster_id(cluster_id_);
  pdpb::AllocIDResponse response;
  const grpc::Status refused = members_[1]->Call(pd::kAllocId, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.error_message(), "not leader");
  pdpb::TsoResponse none;
  const grpc::Status no_timestamp = AskTimestamp(1, cluster_id_, 1, &none);
  EXPECT_EQ(no_timestamp.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(no_timestamp.error_message(),
            "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, requested pd is not leader of cluster");
}

TEST_F(ServedPdTest, TimestampsGrowOverEveryMoveOfTheLeader) {
  uint64_t last = 0;
  for (size_t change = 0; change < 4; ++change) {
    const size_t leader = change % 3;
    EXPECT_EQ(MembersAt(2).leader().client_urls(0), "http://" + served_->pd_addresses()[leader]);
    pdpb::TsoResponse response;
    ASSERT_TRUE(AskTimestamp(leader, cluster_id_, 7, &response).ok());
    const uint64_t ts =
        static_cast<uint64_t>(response.timestamp().physical()) << 18 | static_cast<uint64_t>(response.timestamp().logical());
    EXPECT_GE(ts, last + 7);
    last = ts;
    MoveLeader();
  }
}

TEST_F(ServedPdTest, TimestampsFollowTheWallClockAndTellTheLargestOfTheBatch) {
  for (const uint32_t count : {1U, 5U, 10'000U}) {
    const int64_t before_ms = WallClockMs();
    pdpb::TsoResponse response;
    ASSERT_TRUE(AskTimestamp(0, cluster_id_, count, &response).ok());
    const int64_t after_ms = WallClockMs();
    EXPECT_EQ(response.count(), count);
    EXPECT_GE(response.timestamp().logical(), static_cast<int64_t>(count));
    EXPECT_LT(response.timestamp().logical(), int64_t{1} << 18);
    EXPECT_GE(response.timestamp().physical(), before_ms - 5);
    EXPECT_LE(response.timestamp().physical(), after_ms + 5);
  }
}

TEST_F(ServedPdTest, AStreamOfTimestampsEndsWithPdsRefusals) {
  pdpb::TsoResponse none;
  const grpc::Status no_count = AskTimestamp(0, cluster_id_, 0, &none);
  EXPECT_EQ(no_count.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(no_count.error_message(), "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, tso count should be positive");
  const grpc::Status foreign = AskTimestamp(0, cluster_id_ + 1, 1, &none);
  EXPECT_EQ(foreign.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(foreign.error_message(),
            "mismatch cluster id, need " + std::to_string(cluster_id_) + " but got " + std::to_string(cluster_id_ + 1));
}

}  // namespace
}  // namespace kvjury::ports
