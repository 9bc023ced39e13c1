// PD behind real ports: several members and the leader's moves, and timestamps as clients count on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/etcd.h"
#include "fakes/pd/methods.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_client.h"
#include "fakes/ports/test_sockets.h"

namespace kvjury::ports {
namespace {

int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Far less than an hour of a wrong time zone, far more than a busy machine takes.
constexpr int64_t kClockSlackMs = 1'000;

class ServedPdTest : public testing::Test {
 protected:
  void SetUp() override {
    ServeOptions options;
    options.pd_port = 0;
    options.pd_members = 3;
    options.stores = 3;
    options.regions = 6;
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
    EXPECT_EQ(BodyOf(HttpGet(served_->pd_addresses()[static_cast<size_t>(i)], "/pd/api/v1/members")),
              BodyOf(HttpGet(served_->pd_addresses()[0], "/pd/api/v1/members")));
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

TEST_F(ServedPdTest, LeadersOfTheFirstRegionsAreSpreadOverTheStores) {
  const auto leaders = [this]() {
    std::set<uint64_t> stores;
    for (const char* key : {"\x01", "\x30", "\x60", "\x90", "\xb0", "\xe0"}) {  // one in each of six regions
      pdpb::GetRegionRequest request;
      request.mutable_header()->set_cluster_id(cluster_id_);
      request.set_region_key(EncodeKey(key));
      pdpb::GetRegionResponse response;
      EXPECT_TRUE(members_[0]->Call(pd::kGetRegion, request, &response).ok());
      stores.insert(response.leader().store_id());
    }
    return stores.size();
  };
  EXPECT_TRUE(Soon([&]() { return leaders() == 3; }));
}

TEST_F(ServedPdTest, AKilledStoreClosesItsPortsAndNoMembersPort) {
  const auto accept = [](const std::string& address) {
    const int descriptor = Connect(address);
    close(descriptor);
    return descriptor >= 0;
  };
  const auto accepting = [&]() {
    std::vector<bool> open;
    for (const std::string& address : served_->pd_addresses()) {
      open.push_back(accept(address));
    }
    for (const ServedStore& store : served_->stores()) {
      open.push_back(accept(store.address));
      open.push_back(accept(store.status_address));
    }
    return open;
  };
  ASSERT_THAT(accepting(), testing::Each(true));
  const StoreId second(served_->stores()[1].id);
  ASSERT_TRUE(served_->live().Run([&]() { EXPECT_TRUE(served_->cluster().KillStore(second, 0)); }));
  EXPECT_TRUE(Soon([&]() { return accepting() == std::vector<bool>{true, true, true, true, true, false, false, true, true}; }));
  ASSERT_TRUE(served_->live().Run([&]() { EXPECT_TRUE(served_->cluster().ReviveStore(second)); }));
  EXPECT_TRUE(Soon([&]() { return accepting() == std::vector<bool>(9, true); }));
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
    EXPECT_GE(response.timestamp().physical(), before_ms - kClockSlackMs);
    EXPECT_LE(response.timestamp().physical(), after_ms + kClockSlackMs);
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
