#include "fakes/ports/folder_at.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"

namespace kvjury::ports {
namespace {

using testing::HasSubstr;

std::unique_ptr<ServedCluster> Serve(const std::string& folder) {
  ServeOptions options;
  options.pd_port = 0;
  options.stores = 1;
  options.data = folder;
  Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
  CHECK(started.ok()) << started.status();
  return *std::move(started);
}

// Every file of the folder with its contents and when it was written.
std::map<std::string, std::string> FilesOf(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::ostringstream text;
    text << entry.last_write_time().time_since_epoch().count();
    if (entry.is_regular_file()) {
      text << " " << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    }
    files[entry.path().string()] = text.str();
  }
  return files;
}

class FolderAtTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/kvjury-XXXXXX";
    CHECK(mkdtemp(path_.data()) != nullptr);
    folder_ = path_ + "/data";
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  static uint64_t Put(ServedCluster* served, const std::string& key, const std::string& value) {
    TestClusterClient client(served->pd_addresses().front());
    return client.PutSoon(key, value).value();
  }

  std::string path_;
  std::string folder_;
};

TEST_F(FolderAtTest, ShowsEveryMomentOfTheFolderAndLeavesItAsItIs) {
  auto served = Serve(folder_);
  const Timestamp first(Put(served.get(), "k", "one"));
  const Timestamp second(Put(served.get(), "k", std::string(300, '2')));
  served->Stop();
  served.reset();
  const auto before = FilesOf(folder_);

  const Result<FolderAt> old = ReadFolderAt(folder_, first);
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_EQ(old->versions.size(), 1U);
  EXPECT_EQ(old->versions[0].value, "one");
  EXPECT_EQ(old->versions[0].commit_ts, first);
  EXPECT_LT(old->versions[0].start_ts, first);
  EXPECT_EQ(ReadFolderAt(folder_, first.Previous())->versions.size(), 0U);
  const Result<FolderAt> last = ReadFolderAt(folder_, std::nullopt);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->versions[0].value, std::string(300, '2'));
  EXPECT_EQ(last->versions[0].commit_ts, second);
  EXPECT_GT(last->at, second);
  EXPECT_TRUE(last->warnings.empty());
  EXPECT_EQ(FilesOf(folder_), before);

  const Status future = ReadFolderAt(folder_, last->at.Next()).status();
  EXPECT_EQ(future.code(), StatusCode::kUndetermined);
  EXPECT_THAT(future.message(), HasSubstr("future"));
  // It goes on being a cluster.
  EXPECT_GT(Timestamp(Put(Serve(folder_).get(), "k", "three")), last->at);
}

TEST_F(FolderAtTest, ItsHistoryIsEveryCommitOrFromTheSafePointOn) {
  auto served = Serve(folder_);
  const Timestamp first(Put(served.get(), "k", "one"));
  const Timestamp second(Put(served.get(), "k", std::string(300, '2')));
  served.reset();
  const Result<FolderHistory> history = ReadFolderHistory(folder_);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_TRUE(history->versions.empty());
  ASSERT_EQ(history->changes.size(), 2U);
  EXPECT_EQ(history->changes[0].commit_ts, first);
  EXPECT_EQ(history->changes[0].value, "one");
  EXPECT_EQ(history->changes[1].commit_ts, second);

  served = Serve(folder_);
  CHECK(served->live().Run([&]() { served->cluster().GcNow(); }));
  const Timestamp third(Put(served.get(), "k", "three"));
  served.reset();
  const Result<FolderHistory> later = ReadFolderHistory(folder_);
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_GT(later->from, second);
  ASSERT_EQ(later->versions.size(), 1U);
  EXPECT_EQ(later->versions[0].commit_ts, second);
  ASSERT_EQ(later->changes.size(), 1U);
  EXPECT_EQ(later->changes[0].commit_ts, third);
}

TEST_F(FolderAtTest, LocksAreSettledAndWhatNobodyDecidedIsSaid) {
  auto served = Serve(folder_);
  const Timestamp written(Put(served.get(), "k", "one"));
  TestClusterClient client(served->pd_addresses().front());
  const TestClusterClient::Route route = client.Find("k");
  kvrpcpb::PrewriteRequest request = TestClusterClient::OnePhase(route.context, "k", "two", client.Now());
  request.set_try_one_pc(false);
  request.set_use_async_commit(false);
  request.set_min_commit_ts(0);
  kvrpcpb::PrewriteResponse answer;
  ASSERT_TRUE(route.store->Call(tikv::kKvPrewrite, request, &answer).ok() && answer.errors_size() == 0);
  served->Stop();
  served.reset();
  const Result<FolderAt> read = ReadFolderAt(folder_, std::nullopt);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->versions.at(0).commit_ts, written);
  ASSERT_EQ(read->warnings.size(), 1U);
  EXPECT_THAT(read->warnings[0], HasSubstr("the key 0x6b is locked by the transaction that began at"));
}

TEST_F(FolderAtTest, RefusesWhatCannotBeShown) {
  EXPECT_THAT(ReadFolderAt(folder_, std::nullopt).status().message(), HasSubstr("holds no cluster's state"));
  EXPECT_FALSE(std::filesystem::exists(folder_));
  auto served = Serve(folder_);
  const Timestamp first(Put(served.get(), "k", "one"));
  Put(served.get(), "k", "two");
  EXPECT_THAT(ReadFolderAt(folder_, first).status().message(), HasSubstr("in use by another process"));
  CHECK(served->live().Run([&]() { served->cluster().GcNow(); }));
  served->Stop();
  served.reset();
  const Status collected = ReadFolderAt(folder_, first).status();
  EXPECT_EQ(collected.code(), StatusCode::kUndetermined);
  EXPECT_THAT(collected.message(), HasSubstr("GC safe point"));
}

}  // namespace
}  // namespace kvjury::ports
