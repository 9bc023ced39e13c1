// What is confined leaves nothing: processes, mounts, ports and files are counted before and after, however the work ends.
#include "harness/tools/confinement.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "harness/tools/process.h"

namespace kvjury::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConfinementTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(root_.data()), nullptr);
    std::filesystem::create_directory(root_ + "/kept");
    std::filesystem::create_directory(root_ + "/kept/work");
    confinement_.scratch = root_ + "/kept/work";
    confinement_.kept = root_ + "/kept";
    confinement_.time_limit = seconds(30);
    const Result<ConfinedEnd> tried = RunConfined(confinement_, []() { return 0; });
    if (!tried.ok()) {
      GTEST_SKIP() << tried.status();
    }
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  /// Sleepers that this test's work started, by a number of seconds that nobody else sleeps.
  static int Sleepers() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      std::string line;
      std::getline(file, line);
      count += line.find("87654") != std::string::npos ? 1 : 0;
    }
    return count;
  }
  static void StartSleeper() {
    // In a session of its own, as a daemon would be.
    ASSERT_EQ(std::system("setsid sleep 87654 & sleep 0.1"), 0);
  }

  std::string root_ = testing::TempDir() + "kvjury-confined-XXXXXX";
  Confinement confinement_;
};

TEST_F(ConfinementTest, TheWorkIsTheFirstProcessAndItsCodeComesBack) {
  const Result<ConfinedEnd> end = RunConfined(confinement_, []() { return getpid() == 1 ? 42 : 43; });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->exit_code, 42);
  EXPECT_FALSE(end->timed_out);
}

TEST_F(ConfinementTest, OnlyTheKeptFolderKeepsWhatIsWritten) {
  const std::string elsewhere = testing::TempDir() + "kvjury-confined-trace-" + std::to_string(getpid());
  const Result<ConfinedEnd> end = RunConfined(confinement_, [this, &elsewhere]() {
    std::ofstream(root_ + "/kept/stays") << "1";
    std::ofstream(confinement_.scratch + "/goes") << "2";
    std::ofstream(elsewhere) << "3";
    std::ofstream("/var/tmp/kvjury-confined-trace") << "4";
    return std::filesystem::exists(elsewhere) && std::filesystem::exists(confinement_.scratch + "/goes") ? 0 : 1;
  });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(root_ + "/kept/stays"));
  EXPECT_TRUE(std::filesystem::is_empty(confinement_.scratch));
  EXPECT_FALSE(std::filesystem::exists("/var/tmp/kvjury-confined-trace"));
  EXPECT_TRUE(!std::filesystem::exists(elsewhere) || elsewhere.rfind("/tmp", 0) != 0);
}

TEST_F(ConfinementTest, APortOfTheWorkIsNoPortOfTheMachine) {
  const Result<ConfinedEnd> end = RunConfined(confinement_, []() {
    const int endpoint = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(2379);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    return bind(endpoint, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(endpoint, 1) == 0 ? 0 : 1;
  });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->exit_code, 0);
}

TEST_F(ConfinementTest, ProcessesEndWithTheWork) {
  const Result<ConfinedEnd> end = RunConfined(confinement_, []() {
    StartSleeper();
    return Sleepers() > 0 ? 0 : 1;
  });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->exit_code, 0);
  EXPECT_EQ(Sleepers(), 0);
}

TEST_F(ConfinementTest, ALimitAndAWishToStopEndEverything) {
  for (const bool stop : {false, true}) {
    confinement_.time_limit = stop ? milliseconds(60'000) : milliseconds(300);
    const auto begun = std::chrono::steady_clock::now();
    confinement_.stop_requested = [stop, begun]() { return stop && std::chrono::steady_clock::now() - begun > milliseconds(300); };
    const Result<ConfinedEnd> end = RunConfined(confinement_, []() {
      StartSleeper();
      pause();
      return 0;
    });
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(end->timed_out, !stop);
    EXPECT_EQ(end->stopped, stop);
    EXPECT_EQ(Sleepers(), 0);
  }
}

// Mounts a FUSE file system of this process, takes a request of its own and never answers: what a killed juicefs may leave.
int WaitForOwnMount(const std::string& path) {
  const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  const std::string options = "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0";
  if (device < 0 || mkdir(path.c_str(), 0755) != 0 || mount("kvjury-test", path.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return 1;
  }
  std::thread asks([path]() {
    struct stat status = {};
    static_cast<void>(stat(path.c_str(), &status));
  });
  std::vector<char> request(size_t{1} << 18);
  static_cast<void>(read(device, request.data(), request.size()));
  fuse_in_header asked = {};
  std::memcpy(&asked, request.data(), sizeof asked);
  struct {
    fuse_out_header header;
    fuse_init_out init;
  } answer = {};
  answer.header = {sizeof answer, 0, asked.unique};
  answer.init.major = FUSE_KERNEL_VERSION;
  answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
  answer.init.max_write = 4096;
  static_cast<void>(write(device, &answer, sizeof answer));
  static_cast<void>(read(device, request.data(), request.size()));  // the request that is never answered
  asks.join();
  return 0;
}

TEST_F(ConfinementTest, AFuseServerThatWaitsForItsOwnMountEndsToo) {
  if (access("/dev/fuse", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "no /dev/fuse that may be used";
  }
  confinement_.time_limit = milliseconds(500);
  const Result<ConfinedEnd> end = RunConfined(confinement_, [this]() { return WaitForOwnMount(confinement_.scratch + "/mount"); });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_TRUE(end->timed_out) << "it did not wait: " << end->exit_code;
}

TEST_F(ConfinementTest, NothingIsLeftWhenTheCallerIsKilled) {
  const pid_t caller = fork();
  if (caller == 0) {
    static_cast<void>(RunConfined(confinement_, []() {
      StartSleeper();
      pause();
      return 0;
    }));
    _exit(0);
  }
  for (int i = 0; i < 500 && Sleepers() == 0; ++i) {
    usleep(10'000);
  }
  EXPECT_GT(Sleepers(), 0);
  kill(caller, SIGKILL);
  for (int i = 0; i < 500 && Sleepers() > 0; ++i) {
    usleep(10'000);
  }
  EXPECT_EQ(Sleepers(), 0);
}

TEST(ProcessTest, OutputCodeLimitAndGroup) {
  const std::string output = testing::TempDir() + "kvjury-process-" + std::to_string(getpid());
  const Result<int> code = RunToEnd({.arguments = {"/bin/sh", "-c", "echo $WORD; exit 7"}, .environment = {{"WORD", "said"}}, .output = output}, seconds(10));
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 7);
  std::ifstream file(output);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "said");
  std::filesystem::remove(output);
  EXPECT_EQ(RunToEnd({.arguments = {"/bin/sh", "-c", "sleep 60 & wait"}}, milliseconds(100)).status().code(), StatusCode::kUndetermined);
  EXPECT_EQ(Process::Start({.arguments = {"kvjury-no-such-program"}}).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace kvjury::tools
