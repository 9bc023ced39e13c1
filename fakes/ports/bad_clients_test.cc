// Peers that speak garbage, half of something, too much or too slowly: the server lives, gives everything back, and a well-behaved
// client hardly notices.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>

#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"
#include "fakes/ports/test_sockets.h"
#include "proto/tikv/tikvpb.pb.h"

namespace kvjury::ports {
namespace {

using Clock = std::chrono::steady_clock;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// Loose: sanitizers and a busy machine are in it.
constexpr auto kNoticeable = std::chrono::seconds(5);

size_t OpenDescriptors() {
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// Reads all the time in a thread of its own, and keeps how long the slowest answer took.
class Bystander {
 public:
  explicit Bystander(const std::string& pd) : thread_([this, pd]() { Loop(pd); }) {}
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  ~Bystander() {
    stopping_ = true;
    thread_.join();
    EXPECT_GT(answered_, 0U);
    EXPECT_EQ(failed_, 0U);
    EXPECT_LT(slowest_, kNoticeable);
  }

 private:
  void Loop(const std::string& pd) {
    TestClusterClient client(pd);
    client.set_call_timeout_ms(20'000);
    do {
      const auto begun = Clock::now();
      const bool answered = client.Get("bystander").answered;
      slowest_ = std::max(slowest_, Clock::now() - begun);
      answered_ += answered ? 1 : 0;
      failed_ += answered ? 0 : 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    } while (!stopping_);
  }

  std::atomic<bool> stopping_{false};
  uint64_t answered_ = 0;
  uint64_t failed_ = 0;
  Clock::duration slowest_{0};
  std::thread thread_;
};

class BadClientsTest : public testing::Test {
 protected:
  void SetUp() override {
    ServeOptions options;
    options.pd_port = 0;
    options.stores = 1;
    options.preface_timeout = std::chrono::milliseconds(400);
    options.on_connection = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      lines_ += line + "\n";
    };
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    ASSERT_TRUE(started.ok()) << started.error();
    served_ = *std::move(started);
    pd_ = served_->pd_addresses().front();
    store_ = served_->stores().front().address;
    status_ = served_->stores().front().status_address;
    before_ = OpenDescriptors();
    bystander_ = std::make_unique<Bystander>(pd_);
  }

  void TearDown() override {
    bystander_ = nullptr;
    for (int i = 0; i < 500 && OpenDescriptors() > before_ + kSlack; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_LE(OpenDescriptors(), before_ + kSlack) << "descriptors were kept";
  }

  std::string Lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  // What gRPC keeps for a moment of its own.
  static constexpr size_t kSlack = 8;
  std::mutex mutex_;
  std::string lines_;
  std::unique_ptr<ServedCluster> served_;
  std::string pd_;
  std::string store_;
  std::string status_;
  size_t before_ = 0;
  std::unique_ptr<Bystander> bystander_;
};

TEST_F(BadClientsTest, GarbageIsClosedOnEveryPort) {
  for (const std::string& address : {pd_, store_, status_}) {
    EXPECT_EQ(Ask(address, std::string("\x01\x02\x03garbage", 10)), "") << address;
    EXPECT_EQ(Ask(address, std::string("\x16\x03\x01\x00\x05hello", 10)), "") << "TLS at a plain port";
    EXPECT_EQ(Ask(address, std::string(100'000, 'x')), "") << address;
  }
  EXPECT_THAT(Lines(), HasSubstr("speaks neither HTTP/2 nor HTTP/1.1"));
  EXPECT_THAT(Lines(), HasSubstr("speaks TLS, this port is plain"));
}

TEST_F(BadClientsTest, WhoSaysNothingOrHalfAPrefaceIsClosedAfterAWhile) {
  for (const std::string said : {"", "PRI * HT", "P"}) {
    const int descriptor = Connect(pd_);
    ASSERT_TRUE(SendText(descriptor, said));
    const auto begun = Clock::now();
    EXPECT_EQ(ReadAll(descriptor, 10), "");
    EXPECT_GE(Clock::now() - begun, std::chrono::milliseconds(300));
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(8));
    close(descriptor);
  }
  EXPECT_THAT(Lines(), HasSubstr("said nothing whole for too long"));
}

TEST_F(BadClientsTest, FramesOfHttp2ThatMakeNoSenseEndTheirConnectionAlone) {
  const std::string header_of_64_mib("\x04\x00\x00\x00\x01\x00\x00\x00\x01", 9);  // length 0x040000, type DATA, stream 1
  const std::string settings_of_odd_size("\x00\x00\x05\x04\x00\x00\x00\x00\x00xxxxx", 14);
  const std::string headers_of_nonsense("\x00\x00\x08\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff", 17);
  for (const std::string& frames : {header_of_64_mib, settings_of_odd_size, headers_of_nonsense, std::string(5'000, '\xff')}) {
    Ask(store_, kPreface + frames);
    Ask(pd_, kPreface + frames);
  }
  kvrpcpb::GetResponse response;
  TestClusterClient client(pd_);
  EXPECT_TRUE(client.Get("k").answered);
}

TEST_F(BadClientsTest, AThousandConnectionsAtOnce) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 6'000) {
    GTEST_SKIP() << "no more than " << files.rlim_cur << " descriptors";
  }
  std::vector<int> descriptors;
  for (int i = 0; i < 1'000; ++i) {
    const int descriptor = Connect(i % 3 == 0 ? pd_ : store_);
    ASSERT_GE(descriptor, 0) << i;
    if (i % 2 == 0) {
      SendText(descriptor, kPreface);
    }
    descriptors.push_back(descriptor);
  }
  TestClusterClient client(pd_);
  EXPECT_TRUE(client.Get("k").answered);
  for (const int descriptor : descriptors) {
    close(descriptor);
  }
}

TEST_F(BadClientsTest, AClientThatReadsNothingOfItsStreamHoldsNobodyUp) {
  TestClusterClient writer(pd_);
  ASSERT_TRUE(writer.PutSoon("big", std::string(1 << 20, 'b')));
  const TestClusterClient::Route route = writer.Find("big");
  TestClient slow(store_);
  grpc::ClientContext context;
  auto stream = slow.Stream<tikvpb::BatchCommandsRequest, tikvpb::BatchCommandsResponse>("/tikvpb.Tikv/BatchCommands", &context);
  for (uint64_t id = 0; id < 100; ++id) {
    tikvpb::BatchCommandsRequest batch;
    kvrpcpb::GetRequest* get = batch.add_requests()->mutable_get();
    *get->mutable_context() = route.context;
    get->set_key("big");
    get->set_version(UINT64_MAX);
    batch.add_request_ids(id);
    ASSERT_TRUE(stream->Write(batch));
  }
  TestClusterClient other(pd_);
  EXPECT_EQ(other.Get("big").value->size(), size_t{1} << 20);
  // It may still have all of them.
  tikvpb::BatchCommandsResponse response;
  size_t answers = 0;
  while (answers < 100 && stream->Read(&response)) {
    answers += static_cast<size_t>(response.responses_size());
  }
  EXPECT_EQ(answers, 100U);
  context.TryCancel();
}

TEST_F(BadClientsTest, ClientsThatAreCutInMidStreamLeaveNothing) {
  for (int i = 0; i < 50; ++i) {
    const int descriptor = Connect(store_);
    const std::string settings("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 9);
    const std::string half_of_headers("\x00\x00\x40\x01\x04\x00\x00\x00\x01\x83\x86", 11);
    SendText(descriptor, kPreface + settings + half_of_headers);
    // The reset of one whose machine is gone.
    const linger at_once{1, 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(descriptor);
  }
}

TEST_F(BadClientsTest, HttpThatIsAskewIsRefusedOrCutAndTheNextOneIsAnswered) {
  const std::string get = "GET /pd/api/v1/version HTTP/1.1\r\nHost: pd\r\n";
  const std::vector<std::string> askew = {
      get + "X: " + std::string(2 << 20, 'h') + "\r\n\r\n",
      "GET /" + std::string(1 << 20, 'p') + " HTTP/1.1\r\n\r\n",
      "POST /pd/api/v1/config HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}",
      "POST /pd/api/v1/config HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
      "POST /pd/api/v1/config HTTP/1.1\r\nContent-Length: 60000000\r\n\r\n" + std::string(100'000, 'x'),
      "POST /pd/api/v1/config HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
      "POST /pd/api/v1/config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\nx\r\n0\r\n\r\n",
      "POST /pd/api/v1/config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
      "GET /%zz%00%ff?a=%&b&=c HTTP/1.1\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET\r\n\r\n",
      "BREW /pot HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon here\r\n: empty name\r\n\r\n",
      get + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
      "POST /pd/api/v1/config HTTP/1.1\r\nContent-Length: 9\r\n\r\n[[[[[[[[[",
      "POST /pd/api/v1/config HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, '['),
  };
  for (const std::string& bytes : askew) {
    Ask(pd_, bytes, 1);
    Ask(status_, bytes, 1);
    EXPECT_THAT(Ask(pd_, get + "Connection: close\r\n\r\n"), StartsWith("HTTP/1.1 200 OK")) << "after " << bytes.substr(0, 100);
  }
  // Bytes that are no text, in a place of their own each time.
  for (int i = 0; i < 50; ++i) {
    const std::string number = std::to_string(i);
    EXPECT_THAT(Ask(pd_, "GET /\xff\xfe" + number + " HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(Ask(pd_, get + "X-" + number + ": \xff\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 200 OK"));
  }
  std::string flood = get;
  for (int i = 0; i < 100'000; ++i) {
    flood += "X-" + std::to_string(i) + ": y\r\n";
  }
  EXPECT_THAT(Ask(pd_, flood + "\r\n"), Not(StartsWith("HTTP/1.1 200"))) << "more than a megabyte of headers";
}

TEST_F(BadClientsTest, MetricsAreInPrometheusTextForm) {
  TestClusterClient client(pd_);
  ASSERT_TRUE(client.Get("k").answered);
  for (const std::string& address : {pd_, status_}) {
    const std::string answer = Ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
    const size_t body = answer.find("\r\n\r\n") + 4;
    std::istringstream lines(answer.substr(body));
    std::string declared;
    size_t samples = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("# TYPE ", 0) == 0) {
        declared = line.substr(7, line.rfind(' ') - 7);
      } else if (line.rfind("# HELP ", 0) != 0) {
        EXPECT_THAT(line, StartsWith(declared));
        EXPECT_THAT(line, testing::MatchesRegex("[a-z_]+(\\{[^}]*\\})? [0-9.e+-]+")) << line;
        ++samples;
      }
    }
    EXPECT_GT(samples, 8U);
  }
  EXPECT_THAT(Ask(status_, "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"), HasSubstr("kvjury_calls_total{method=\"KvGet\",result=\"ok\"}"));
}

}  // namespace
}  // namespace kvjury::ports
