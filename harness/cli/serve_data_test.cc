// `serve --data`: killed at any moment while clients write over real gRPC, it goes on with everything that it acknowledged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>

#include "fakes/ports/test_cluster_client.h"
#include "harness/cli/served_process.h"

namespace kvjury::cli {
namespace {

using ports::TestClusterClient;
using testing::HasSubstr;

constexpr int kWriters = 4;

// Writes until the server is gone; keeps what was acknowledged, and one timestamp after each.
struct Acknowledged {
  std::mutex mutex;
  std::map<std::string, std::string> pairs;
  uint64_t last_ts = 0;
};

void WriteUntilItIsGone(const std::string& pd, int round, int writer, std::atomic<bool>* stopping, Acknowledged* acknowledged) {
  TestClusterClient client(pd);
  for (int i = 0; !*stopping; ++i) {
    const std::string key = "w" + std::to_string(writer) + "/" + std::to_string(round) + "/" + std::to_string(i);
    const std::string value = key + std::string(static_cast<size_t>(i % 400), 'v');
    const std::optional<uint64_t> commit_ts = client.Put(key, value);
    if (commit_ts) {
      const std::lock_guard lock(acknowledged->mutex);
      acknowledged->pairs[key] = value;
      acknowledged->last_ts = std::max(acknowledged->last_ts, *commit_ts);
    }
  }
}

class ServeDataTest : public testing::Test {
 protected:
  std::vector<std::string> Arguments() const { return {"--pd-port", "0", "--stores", "2", "--data", folder_ / "data"}; }

  // Every acknowledged pair is there.
  void CheckAll(const std::string& pd, const Acknowledged& acknowledged) {
    TestClusterClient client(pd);
    for (const auto& [key, value] : acknowledged.pairs) {
      const TestClusterClient::Read read = client.Get(key);
      ASSERT_TRUE(read.answered) << key << ": " << client.last().error_message();
      ASSERT_EQ(read.value, value) << key;
    }
  }

  void KillManyTimes(int rounds) {
    Acknowledged acknowledged;
    uint64_t cluster_id = 0;
    uint64_t safe_point = 0;
    std::string first_ready;
    for (int round = 0; round < rounds; ++round) {
      ServedProcess served(folder_, Arguments());
      ASSERT_FALSE(served.ready().is_null()) << served.err();
      TestClusterClient client(served.pd());
      // The same cluster on the same ports, with the same promises.
      first_ready = first_ready.empty() ? served.ready().dump() : first_ready;
      EXPECT_EQ(served.ready().dump(), first_ready);
      cluster_id = cluster_id == 0 ? client.cluster_id() : cluster_id;
      EXPECT_EQ(client.cluster_id(), cluster_id);
      const uint64_t now = client.Now();
      EXPECT_GT(now, acknowledged.last_ts);
      acknowledged.last_ts = now;
      pdpb::GetGCSafePointResponse kept;
      EXPECT_TRUE(client.pd().Call(pd::kGetGcSafePoint, client.ForPd<pdpb::GetGCSafePointRequest>(), &kept).ok());
      EXPECT_EQ(kept.safe_point(), safe_point);
      auto moving = client.ForPd<pdpb::UpdateGCSafePointRequest>();
      moving.set_safe_point(static_cast<uint64_t>(round) + 1);
      pdpb::UpdateGCSafePointResponse moved;
      if (client.pd().Call(pd::kUpdateGcSafePoint, moving, &moved).ok()) {
        safe_point = moved.new_safe_point();
      }
      std::atomic<bool> stopping = false;
      std::vector<std::thread> writers;
      for (int writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back(&WriteUntilItIsGone, served.pd(), round, writer, &stopping, &acknowledged);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50 + 37 * (round % 10)));
      served.Kill();
      stopping = true;
      for (std::thread& writer : writers) {
        writer.join();
      }
    }
    ASSERT_GT(acknowledged.pairs.size(), static_cast<size_t>(rounds)) << "next to nothing was written";
    std::cout << rounds << " kills, " << acknowledged.pairs.size() << " acknowledged writes\n";
    ServedProcess served(folder_, Arguments());
    ASSERT_FALSE(served.ready().is_null()) << served.err();
    CheckAll(served.pd(), acknowledged);
    EXPECT_EQ(served.End(), 143);
  }

  void Refused(const std::vector<std::string>& arguments, int code, const std::string& words) {
    ServedProcess served(folder_, arguments);
    EXPECT_TRUE(served.ready().is_null());
    EXPECT_EQ(served.End(), code);
    EXPECT_THAT(served.err(), testing::MatchesRegex("kvjury: [^\n]+\n"));
    EXPECT_THAT(served.err(), HasSubstr(words));
  }

  TestFolder folder_;
};

TEST_F(ServeDataTest, KilledFiveTimesItLosesNothingThatItAcknowledged) { KillManyTimes(5); }

TEST_F(ServeDataTest, NightlyKilledFiftyTimesItLosesNothingThatItAcknowledged) { KillManyTimes(50); }

TEST_F(ServeDataTest, EndedAndStartedAgainItHasItsRegions) {
  uint64_t region = 0;
  {
    ServedProcess served(folder_, Arguments());
    ASSERT_FALSE(served.ready().is_null()) << served.err();
    TestClusterClient client(served.pd());
    auto request = client.ForPd<pdpb::SplitRegionsRequest>();
    request.add_split_keys(EncodeKey("m"));
    pdpb::SplitRegionsResponse response;
    ASSERT_TRUE(client.pd().Call(pd::kSplitRegions, request, &response).ok());
    ASSERT_TRUE(client.PutSoon("m", "here").has_value());
    region = client.Find("m").context.region_id();
    ASSERT_NE(region, client.Find("a").context.region_id());
    EXPECT_EQ(served.End(), 143);
    EXPECT_FALSE(std::filesystem::exists(served.ready_file()));
  }
  ServedProcess served(folder_, {"--data", folder_ / "data"});
  ASSERT_FALSE(served.ready().is_null()) << served.err();
  TestClusterClient client(served.pd());
  EXPECT_EQ(client.Find("m").context.region_id(), region);
  EXPECT_EQ(client.Get("m").value, "here");
}

TEST_F(ServeDataTest, AFolderThatCannotBeUsedIsRefusedInOneSentence) {
  std::vector<std::string> arguments = Arguments();
  {
    ServedProcess served(folder_, arguments);
    ASSERT_FALSE(served.ready().is_null()) << served.err();
    Refused(arguments, 6, "is in use by another process");
  }
  const std::string data = folder_ / "data";
  arguments[3] = "3";
  Refused(arguments, 2, "has 2 stores, not 3");
  Refused({"--pd-port", "0", "--data", data, "--volume", "kv://" KVJURY_SOURCE_DIR "/scenarios/volumes/rich/kv.tsv.gz"}, 2,
          "holds a cluster already");
  std::filesystem::create_directory(folder_ / "other");
  std::ofstream(folder_ / "other/photo.jpg") << "x";
  Refused({"--pd-port", "0", "--data", folder_ / "other"}, 6, "holds something else (photo.jpg)");
  Refused({"--pd-port", "0", "--data", "/proc/nowhere"}, 6, "cannot make the folder /proc/nowhere");
  std::ofstream(folder_ / "data/KVJURY") << "kvjury cluster state, format 99\n";
  Refused({"--pd-port", "0", "--data", data}, 2, "has another format");
  std::ofstream(folder_ / "data/KVJURY") << "kvjury cluster state, format 1\n";
  std::ofstream(folder_ / "data/db/CURRENT") << "nonsense";
  Refused({"--pd-port", "0", "--data", data}, 6, "cannot open the state in " + data);
}

TEST_F(ServeDataTest, APortThatSomebodyElseHasIsNamed) {
  std::vector<std::string> arguments = Arguments();
  ServedProcess first(folder_, arguments);
  ASSERT_FALSE(first.ready().is_null()) << first.err();
  const std::string taken = first.pd();
  const TestFolder other;
  ServedProcess second(other, {"--pd-port", taken.substr(taken.rfind(':') + 1), "--data", other / "data"});
  EXPECT_TRUE(second.ready().is_null());
  EXPECT_EQ(second.End(), 6);
  EXPECT_EQ(second.err(), "kvjury: " + taken + " is in use already\n");
  EXPECT_FALSE(std::filesystem::exists(other / "data"));
}

}  // namespace
}  // namespace kvjury::cli
