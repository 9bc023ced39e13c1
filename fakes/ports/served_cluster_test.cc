#include "fakes/ports/served_cluster.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "fakes/ports/read_only.h"
#include "fakes/ports/test_cluster_client.h"
#include "fakes/ports/test_sockets.h"
#include "proto/tikv/tikvpb.pb.h"

namespace kvjury::ports {
namespace {

using BatchStream = grpc::ClientReaderWriter<tikvpb::BatchCommandsRequest, tikvpb::BatchCommandsResponse>;
constexpr char kBatchCommands[] = "/tikvpb.Tikv/BatchCommands";

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) {
    ++count;
  }
  closedir(folder);
  return count;
}

class ServedClusterTest : public testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(ServeOptions options) {
    served_.reset();
    options.pd_port = 0;
    options.stores = 1;
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.error();
    served_ = *std::move(started);
    client_ = std::make_unique<TestClusterClient>(served_->pd_addresses().front());
    ASSERT_NE(client_->cluster_id(), 0U);
    store_ = std::make_unique<TestClient>(served_->stores().front().address);
  }

  kvrpcpb::PrewriteRequest OnePhase(const Bytes& key, const Bytes& value) {
    return TestClusterClient::OnePhase(client_->Find(key).context, key, value, client_->Now());
  }
  kvrpcpb::GetRequest GetLatest(const Bytes& key) { return TestClusterClient::GetAt(client_->Find(key).context, key); }

  std::unique_ptr<ServedCluster> served_;
  std::unique_ptr<TestClusterClient> client_;
  std::unique_ptr<TestClient> store_;
};

TEST_F(ServedClusterTest, AValueThatWasWrittenIsRead) {
  kvrpcpb::PrewriteResponse written;
  ASSERT_TRUE(store_->Call(tikv::kKvPrewrite, OnePhase("k", "value"), &written).ok());
  EXPECT_GT(written.one_pc_commit_ts(), 0U) << written.ShortDebugString();
  kvrpcpb::GetResponse read;
  ASSERT_TRUE(store_->Call(tikv::kKvGet, GetLatest("k"), &read).ok());
  EXPECT_EQ(read.value(), "value");
}

TEST_F(ServedClusterTest, AnUnknownMethodIsUnimplemented) {
  constexpr sim::UnaryMethod<kvrpcpb::GetRequest, kvrpcpb::GetResponse> kNone{"/tikvpb.Tikv/NoSuchMethod"};
  kvrpcpb::GetResponse response;
  EXPECT_EQ(store_->Call(kNone, kvrpcpb::GetRequest(), &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
  // Declared, and served by PD alone.
  pdpb::GetMembersResponse members;
  EXPECT_EQ(store_->Call(pd::kGetMembers, pdpb::GetMembersRequest(), &members).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServedClusterTest, AWrongClusterIdIsAFailedPrecondition) {
  pdpb::GetAllStoresRequest request;
  request.mutable_header()->set_cluster_id(1);
  pdpb::GetAllStoresResponse response;
  const grpc::Status status = client_->pd().Call(pd::kGetAllStores, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), testing::StartsWith("mismatch cluster id, need "));
}

TEST_F(ServedClusterTest, TimestampsOfOneStreamComeInOrderAndRise) {
  grpc::ClientContext context;
  auto stream = client_->pd().Stream<pdpb::TsoRequest, pdpb::TsoResponse>(pd::kTso.path, &context);
  constexpr uint32_t kRequests = 200;
  std::thread writer([&]() {
    for (uint32_t i = 1; i <= kRequests; ++i) {
      pdpb::TsoRequest request;
      request.mutable_header()->set_cluster_id(client_->cluster_id());
      request.set_count(i);
      stream->Write(request);
    }
    stream->WritesDone();
  });
  uint64_t last = 0;
  uint32_t answered = 0;
  for (pdpb::TsoResponse response; stream->Read(&response);) {
    EXPECT_EQ(response.count(), ++answered);
    const uint64_t ts = static_cast<uint64_t>(response.timestamp().physical()) << 18 | static_cast<uint64_t>(response.timestamp().logical());
    EXPECT_GE(ts, last + response.count());
    last = ts;
  }
  writer.join();
  EXPECT_EQ(answered, kRequests);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServedClusterTest, EveryCommandOfABatchIsAnswered) {
  grpc::ClientContext context;
  std::unique_ptr<BatchStream> stream = store_->Stream<tikvpb::BatchCommandsRequest, tikvpb::BatchCommandsResponse>(kBatchCommands, &context);
  const google::protobuf::Descriptor* command = tikvpb::BatchCommandsRequest::Request::descriptor();
  tikvpb::BatchCommandsRequest batch;
  std::map<uint64_t, int> asked;  // the command's field by id
  for (int i = 0; i < command->field_count(); ++i) {
    tikvpb::BatchCommandsRequest::Request* request = batch.add_requests();
    request->GetReflection()->MutableMessage(request, command->field(i));
    const uint64_t id = 1000 + static_cast<uint64_t>(i);
    batch.add_request_ids(id);
    asked[id] = command->field(i)->number();
    if (request->has_empty()) {
      request->mutable_empty()->set_test_id(77);
    }
  }
  const size_t commands = asked.size();
  ASSERT_GT(commands, 30U);
  ASSERT_TRUE(stream->Write(batch));
  size_t same_kind = 0;
  while (!asked.empty()) {
    tikvpb::BatchCommandsResponse response;
    ASSERT_TRUE(stream->Read(&response)) << asked.size() << " commands without an answer";
    ASSERT_EQ(response.responses_size(), response.request_ids_size());
    for (int i = 0; i < response.responses_size(); ++i) {
      const auto found = asked.find(response.request_ids(i));
      ASSERT_NE(found, asked.end()) << "answered twice or never asked";
      const tikvpb::BatchCommandsResponse::Response& answer = response.responses(i);
      same_kind += answer.cmd_case() == found->second ? 1 : 0;
      if (answer.has_empty()) {
        EXPECT_EQ(answer.empty().test_id(), 77U);
      }
      if (answer.has_gethealthfeedback()) {
        EXPECT_EQ(response.health_feedback().slow_score(), 1);
      }
      asked.erase(found);
    }
  }
  EXPECT_EQ(same_kind, commands - 3) << "garbage collection and flashback are served by nobody";
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServedClusterTest, AFrameOf64MebibytesIsCarriedBothWays) {
  const Bytes big(size_t{7} << 20, 'x');
  kvrpcpb::PrewriteRequest request = OnePhase("big", big);
  for (int i = 0; i < 8; ++i) {
    kvrpcpb::Mutation* mutation = request.add_mutations();
    mutation->set_op(kvrpcpb::Put);
    mutation->set_key("big" + std::to_string(i));
    mutation->set_value(big);
  }
  ASSERT_GT(request.ByteSizeLong(), size_t{60} << 20);
  kvrpcpb::PrewriteResponse written;
  ASSERT_TRUE(store_->Call(tikv::kKvPrewrite, request, &written, 60'000).ok());
  ASSERT_GT(written.one_pc_commit_ts(), 0U);
  kvrpcpb::ScanRequest scan;
  *scan.mutable_context() = client_->Find("big").context;
  scan.set_start_key("big");
  scan.set_end_key("bih");
  scan.set_limit(100);
  scan.set_version(UINT64_MAX);
  kvrpcpb::ScanResponse scanned;
  ASSERT_TRUE(store_->Call(tikv::kKvScan, scan, &scanned, 60'000).ok());
  ASSERT_EQ(scanned.pairs_size(), 9) << scanned.region_error().ShortDebugString();
  EXPECT_EQ(scanned.pairs(8).value(), big);
}

TEST_F(ServedClusterTest, AClientThatVanishesInMidStreamDisturbsNobody) {
  for (int i = 0; i < 20; ++i) {
    TestClient vanishing(served_->stores().front().address);
    grpc::ClientContext context;
    auto stream = vanishing.Stream<tikvpb::BatchCommandsRequest, tikvpb::BatchCommandsResponse>(kBatchCommands, &context);
    tikvpb::BatchCommandsRequest batch;
    for (uint64_t id = 0; id < 50; ++id) {
      *batch.add_requests()->mutable_get() = GetLatest("k");
      batch.add_request_ids(id);
    }
    stream->Write(batch);
    context.TryCancel();
  }
  kvrpcpb::GetResponse read;
  EXPECT_TRUE(store_->Call(tikv::kKvGet, GetLatest("k"), &read).ok());
  EXPECT_TRUE(read.not_found());
}

TEST_F(ServedClusterTest, GarbageAndHalfAPrefaceAreClosedAndOthersGoOn) {
  const std::string address = served_->pd_addresses().front();
  EXPECT_EQ(Ask(address, "\x01\x02\x03garbage"), "");
  const int half = Connect(address);
  ASSERT_TRUE(SendText(half, "PRI * HT"));
  pdpb::GetMembersResponse members;
  EXPECT_TRUE(client_->pd().Call(pd::kGetMembers, pdpb::GetMembersRequest(), &members).ok());
  close(half);
}

TEST_F(ServedClusterTest, HttpAndGrpcShareThePortOfPd) {
  const std::string address = served_->pd_addresses().front();
  const int descriptor = Connect(address);
  const std::string question = "GET /pd/api/v1/version HTTP/1.1\r\nHost: pd\r\n\r\n";
  // Two requests on one connection, the first in single bytes.
  for (const char c : question) {
    ASSERT_TRUE(SendText(descriptor, std::string(1, c)));
  }
  char first[16] = {};
  ASSERT_GT(recv(descriptor, first, sizeof(first) - 1, MSG_PEEK | MSG_WAITALL), 0);
  const std::string last = "GET /pd/api/v1/nosuch HTTP/1.1\r\nHost: pd\r\nConnection: close\r\n\r\n";
  ASSERT_TRUE(SendText(descriptor, last));
  const std::string answer = ReadAll(descriptor);
  close(descriptor);
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, testing::HasSubstr("\"version\": \"v8.5.7\""));
  EXPECT_THAT(answer, testing::HasSubstr("HTTP/1.1 404 Not Found"));
  EXPECT_THAT(answer, testing::HasSubstr("404 page not found\n"));
}

TEST_F(ServedClusterTest, ARequestThatTellsOfNoBodyHasNone) {
  const std::string address = served_->pd_addresses().front();
  const int descriptor = Connect(address);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(SendText(descriptor, "POST /pd/api/v1/config HTTP/1.1\r\nHost: pd\r\n\r\n"
                                   "GET /pd/api/v1/version HTTP/1.1\r\nHost: pd\r\nConnection: close\r\n\r\n"));
  const std::string answer = ReadAll(descriptor, 8);
  close(descriptor);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(8));
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 4")) << "an empty body is no configuration";
  EXPECT_THAT(answer, testing::HasSubstr("\"version\": \"v8.5.7\"")) << "the next request";
}

TEST_F(ServedClusterTest, TheStatusPortOfAStoreShowsItsConfiguration) {
  const ServedStore& store = served_->stores().front();
  const std::string answer = HttpGet(store.status_address, "/config");
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, testing::HasSubstr("application/json"));
  EXPECT_THAT(answer, testing::HasSubstr("\"addr\":\"" + store.address + "\""));
  EXPECT_THAT(answer, testing::HasSubstr("\"api-version\":1"));
}

TEST_F(ServedClusterTest, HundredsOfConnectionsLeaveNoDescriptorBehind) {
  const size_t before = OpenDescriptors();
  std::vector<int> descriptors;
  for (int i = 0; i < 300; ++i) {
    descriptors.push_back(Connect(served_->pd_addresses().front()));
    ASSERT_GE(descriptors.back(), 0);
  }
  pdpb::GetMembersResponse members;
  EXPECT_TRUE(client_->pd().Call(pd::kGetMembers, pdpb::GetMembersRequest(), &members).ok());
  for (const int descriptor : descriptors) {
    close(descriptor);
  }
  for (int i = 0; i < 200 && OpenDescriptors() > before + 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LE(OpenDescriptors(), before + 4);
}

TEST_F(ServedClusterTest, StopsWithStreamsOpen) {
  grpc::ClientContext context;
  auto stream = store_->Stream<tikvpb::BatchCommandsRequest, tikvpb::BatchCommandsResponse>(kBatchCommands, &context);
  tikvpb::BatchCommandsRequest batch;
  batch.add_requests()->mutable_empty();
  batch.add_request_ids(1);
  ASSERT_TRUE(stream->Write(batch));
  tikvpb::BatchCommandsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  served_->Stop();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(ServedClusterTest, APortInUseIsNamed) {
  ServeOptions options;
  const std::string address = served_->pd_addresses().front();
  options.pd_port = std::stoi(address.substr(address.rfind(':') + 1));
  Result<std::unique_ptr<ServedCluster>> second = ServedCluster::Start(std::move(options));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), StatusCode::kEnvironment);
  EXPECT_EQ(second.error().message(), address + " is in use already");
}

TEST_F(ServedClusterTest, AFaultOfACaseStrikesAnOutsideCall) {
  ServeOptions options;
  record::Fault* fault = options.faults.add_fault();
  fault->set_at("external/KvGet/region[]#2");
  fault->mutable_lose_reply();
  Start(std::move(options));
  kvrpcpb::GetResponse read;
  // The region that holds "k" is the fresh cluster's first: it starts at the empty key.
  EXPECT_TRUE(store_->Call(tikv::kKvGet, GetLatest("k"), &read).ok());
  EXPECT_EQ(store_->Call(tikv::kKvGet, GetLatest("k"), &read, 300).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(store_->Call(tikv::kKvGet, GetLatest("k"), &read).ok());
}

TEST_F(ServedClusterTest, FrozenVersionsKeepTheirTimestampsAndTheClockIsAboveThem) {
  ServeOptions options;
  // A source whose clock was far ahead of this machine's.
  const uint64_t hour_ahead = (client_->Now() >> 18 << 18) + (uint64_t{3'600'000} << 18);
  options.at = Timestamp(hour_ahead + 10);
  options.versions = {{"k", "as it was", Timestamp(400), Timestamp(500)}, {"l", "without a time", {}, {}},
                      {"m", "late", Timestamp(hour_ahead), Timestamp(hour_ahead + 7)}};
  options.read_only = "it stays as it was";
  Start(std::move(options));
  EXPECT_GT(client_->Now(), hour_ahead + 10);
  EXPECT_EQ(client_->Get("k").value, "as it was");
  EXPECT_EQ(client_->Get("k", 500).value, "as it was");
  EXPECT_EQ(client_->Get("k", 499).value, std::nullopt) << "before its commit";
  EXPECT_EQ(client_->Get("l", hour_ahead + 10).value, "without a time");
  EXPECT_EQ(client_->Get("l", hour_ahead + 9).value, std::nullopt);
  kvrpcpb::MvccGetByKeyRequest request;
  *request.mutable_context() = client_->Find("m").context;
  request.set_key("m");
  kvrpcpb::MvccGetByKeyResponse records;
  ASSERT_TRUE(store_->Call(tikv::kMvccGetByKey, request, &records).ok());
  EXPECT_EQ(records.info().writes(0).start_ts(), hour_ahead);
  EXPECT_EQ(records.info().writes(0).commit_ts(), hour_ahead + 7);
  // A client that asks what became of a transaction is answered, and that changes nothing.
  kvrpcpb::CheckTxnStatusRequest check;
  *check.mutable_context() = client_->Find("k").context;
  check.set_primary_key("k");
  check.set_lock_ts(450);
  check.set_rollback_if_not_exist(true);
  kvrpcpb::CheckTxnStatusResponse status;
  ASSERT_TRUE(store_->Call(tikv::kKvCheckTxnStatus, check, &status).ok());
  EXPECT_EQ(status.action(), kvrpcpb::LockNotExistRollback) << status.ShortDebugString();
  check.set_lock_ts(400);
  ASSERT_TRUE(store_->Call(tikv::kKvCheckTxnStatus, check, &status).ok());
  EXPECT_EQ(status.commit_version(), 500U);
  EXPECT_EQ(client_->Get("k").value, "as it was");
}

TEST_F(ServedClusterTest, ReadOnlyEveryCallThatWouldChangeDataIsRefusedWithTheSentence) {
  ServeOptions options;
  options.versions = {{"k", "as it was"}};
  options.read_only = "it stays as it was";
  Start(std::move(options));
  kvrpcpb::PrewriteResponse written;
  ASSERT_TRUE(store_->Call(tikv::kKvPrewrite, OnePhase("k", "new"), &written).ok());
  EXPECT_EQ(written.errors(0).abort(), "it stays as it was");
  EXPECT_EQ(written.one_pc_commit_ts(), 0U);
  kvrpcpb::RawPutRequest put;
  put.set_key("k");
  put.set_value("new");
  kvrpcpb::RawPutResponse refused;
  ASSERT_TRUE(store_->Call(tikv::kRawPut, put, &refused).ok());
  EXPECT_EQ(refused.error(), "it stays as it was");
  import_sstpb::IngestResponse ingested;
  ASSERT_TRUE(store_->Call(tikv::kMultiIngest, import_sstpb::MultiIngestRequest(), &ingested).ok());
  EXPECT_EQ(ingested.error().message(), "it stays as it was");
  import_sstpb::DownloadResponse downloaded;
  ASSERT_TRUE(store_->Call(tikv::kDownload, import_sstpb::DownloadRequest(), &downloaded).ok());
  EXPECT_EQ(downloaded.error().message(), "it stays as it was");
  kvrpcpb::GetResponse read;
  ASSERT_TRUE(store_->Call(tikv::kKvGet, GetLatest("k"), &read).ok());
  EXPECT_EQ(read.value(), "as it was");
}

TEST(ReadOnly, EveryRefusalHasThePlaceForASentenceAndReadsAreNone) {
  for (const char* write : {"KvPrewrite", "KvPessimisticLock", "KvFlush", "KvDeleteRange", "UnsafeDestroyRange", "RawPut", "RawBatchPut", "RawDelete",
                            "RawBatchDelete", "RawDeleteRange", "RawCompareAndSwap"}) {
    const sim::MessagePtr refused = RefusedWrite(std::string("/tikvpb.Tikv/") + write, "no");
    ASSERT_NE(refused, nullptr) << write;
    EXPECT_THAT(refused->ShortDebugString(), testing::HasSubstr("\"no\"")) << write;
  }
  for (const char* read : {"KvGet", "KvScan", "KvCheckTxnStatus", "KvResolveLock", "RawGet", "KvCommit"}) {
    EXPECT_EQ(RefusedWrite(std::string("/tikvpb.Tikv/") + read, "no"), nullptr) << read;
  }
  EXPECT_EQ(RefusedWrite("/pdpb.PD/Tso", "no"), nullptr);
}

class TlsTest : public ServedClusterTest {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "tls-" + std::to_string(getpid());
    ASSERT_TRUE(MakeTestCertificates(folder_).ok());
    ServeOptions options;
    options.pd_port = 0;
    options.stores = 1;
    options.tls = TlsFiles{folder_ + "/ca.pem", folder_ + "/server.pem", folder_ + "/server-key.pem"};
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.error();
    served_ = *std::move(started);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  grpc::StatusCode GetMembersAs(const grpc::SslCredentialsOptions& options, const std::string& address) {
    TestClient client(address, grpc::SslCredentials(options));
    pdpb::GetMembersResponse members;
    return client.Call(pd::kGetMembers, pdpb::GetMembersRequest(), &members, 3'000).error_code();
  }
  std::vector<std::string> Addresses() const {
    return {served_->pd_addresses().front(), served_->stores().front().address};
  }

  std::string folder_;
};

TEST_F(TlsTest, AClientWithACertificateIsServedOnEveryPort) {
  const grpc::SslCredentialsOptions options{File("ca.pem"), File("client-key.pem"), File("client.pem")};
  EXPECT_EQ(GetMembersAs(options, Addresses()[0]), grpc::StatusCode::OK);
  EXPECT_EQ(GetMembersAs(options, Addresses()[1]), grpc::StatusCode::UNIMPLEMENTED);  // a store: refused by the handler, not by TLS
}

TEST_F(TlsTest, NoCertificateAWrongCaOrNoTlsIsRefusedOnEveryPort) {
  const std::string other = folder_ + "/other";
  ASSERT_TRUE(MakeTestCertificates(other).ok());
  for (const std::string& address : Addresses()) {
    EXPECT_EQ(GetMembersAs({File("ca.pem"), "", ""}, address), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(GetMembersAs({File("ca.pem"), File("other/client-key.pem"), File("other/client.pem")}, address), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(GetMembersAs({File("other/ca.pem"), File("client-key.pem"), File("client.pem")}, address), grpc::StatusCode::UNAVAILABLE);
    TestClient plain(address);
    pdpb::GetMembersResponse members;
    EXPECT_EQ(plain.Call(pd::kGetMembers, pdpb::GetMembersRequest(), &members, 3'000).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_F(TlsTest, FilesThatDoNotFitAreNamed) {
  const auto refused = [](const TlsFiles& files) { return TlsContext::Load(files).status().message(); };
  EXPECT_THAT(refused({"", "/nonexistent.pem", folder_ + "/server-key.pem"}), testing::HasSubstr("\"/nonexistent.pem\""));
  EXPECT_THAT(refused({"", folder_ + "/server.pem", folder_ + "/client-key.pem"}), testing::HasSubstr("client-key.pem"));
  EXPECT_THAT(refused({"/nonexistent-ca.pem", folder_ + "/server.pem", folder_ + "/server-key.pem"}), testing::HasSubstr("\"/nonexistent-ca.pem\""));
  EXPECT_EQ(MakeTestCertificates(folder_).code(), StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace kvjury::ports
