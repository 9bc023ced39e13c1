#include "fakes/ports/rocksdb_state.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/cluster.h"

namespace kvjury::ports {
namespace {

using testing::HasSubstr;
using tikv::Cluster;
using tikv::ColumnFamily;
using tikv::WriteBatch;

class TempFolder {
 public:
  TempFolder() {
    // In memory where that can be had: opening a database waits for the disk many times.
    path_ = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    path_ += "/kvjury-state-XXXXXX";
    CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<RocksDbState> OpenState(const std::string& folder) {
  Result<std::unique_ptr<RocksDbState>> state = RocksDbState::Open(folder, {});
  CHECK(state.ok()) << state.error();
  return std::move(*state);
}

// One run of a cluster on a folder. The clock of a later run may begin earlier: PD has to cope.
struct ClusterRun {
  explicit ClusterRun(const std::string& folder, uint32_t stores = 3, int64_t clock_start_ms = 1'700'000'000'000)
      : state(OpenState(folder)), world({}), cluster(&world, Options(stores, clock_start_ms)) {}

  tikv::ClusterOptions Options(uint32_t stores, int64_t clock_start_ms) const {
    tikv::ClusterOptions options;
    options.stores = stores;
    options.clock_start_ms = clock_start_ms;
    options.cluster_id = 42;
    options.durable = state.get();
    options.keep_collected = false;
    return options;
  }
  static sim::Task<void> SleepFor(sim::Scheduler* scheduler, Micros us) { co_await scheduler->Sleep(us); }
  void Pass(Micros us) { CHECK(world.Run(SleepFor(&world.scheduler(), us), us + 1) == sim::RunEnd::kDone); }

  // Everything that a restart must bring back: records and regions. Leaders and terms move on.
  [[nodiscard]] std::string Text() {
    std::string text;
    const tikv::Snapshot snapshot = cluster.engine().Latest();
    for (const ColumnFamily cf : {ColumnFamily::kDefault, ColumnFamily::kLock, ColumnFamily::kWrite}) {
      for (tikv::Iterator at = snapshot.Scan(cf, "", ""); at.Valid(); at.Next()) {
        text += std::string(ColumnFamilyName(cf)) + " " + ToHex(at.key()) + " " + ToHex(at.value()) + "\n";
      }
    }
    for (const auto& [start, region] : cluster.regions().by_start()) {
      text += region->ToProto().ShortDebugString() + (region->merging ? " merging\n" : "\n");
    }
    return text + "safe point " + std::to_string(cluster.pd().gc_safe_point().value());
  }

  std::unique_ptr<RocksDbState> state;
  sim::World world;
  Cluster cluster;
};

std::string WhyNot(const std::string& folder) {
  Result<std::unique_ptr<RocksDbState>> state = RocksDbState::Open(folder, {});
  CHECK(!state.ok()) << "it was opened";
  return state.error().message();
}

TEST(RocksDbState, ARestartedClusterHasItsRecordsRegionsAndStores) {
  const TempFolder folder;
  std::string before;
  std::vector<StoreId> stores;
  {
    ClusterRun run(folder / "state");
    run.cluster.LoadPairs({{Bytes("\0\xff", 2), ""}, {"a", "1"}, {"b", Bytes(300, 'x')}}, Timestamp(400));
    ASSERT_TRUE(run.cluster.SplitAt("b"));
    ASSERT_TRUE(run.cluster.SplitAt("c"));
    before = run.Text();
    stores = run.cluster.store_ids();
  }
  ClusterRun again(folder / "state", 1);
  EXPECT_EQ(again.Text(), before);
  EXPECT_EQ(again.cluster.store_ids(), stores);
  EXPECT_EQ(again.cluster.OracleRead("", "", Timestamp::Max()).size(), 3U);
}

TEST(RocksDbState, RawPairsAndRegionsCutAtRawKeysAreThereAfterARestart) {
  const TempFolder folder;
  std::string before;
  {
    ClusterRun run(folder / "state");
    tikv::WriteBatch batch;
    batch.Put(ColumnFamily::kDefault, "", "of the empty key");
    batch.Put(ColumnFamily::kDefault, "a", "");
    batch.Put(ColumnFamily::kDefault, "b", "1");
    batch.Put(ColumnFamily::kDefault, "c", "2");
    batch.Put(ColumnFamily::kDefault, Bytes("\xff\0z", 3), Bytes(300, 'x'));
    run.cluster.ApplyBatch(batch);
    tikv::WriteBatch later;
    later.DeleteRange(ColumnFamily::kDefault, "b", "c");
    run.cluster.ApplyBatch(later);
    const tikv::Region* region = run.cluster.regions().FindByKey("b");
    run.cluster.SplitNow(region->id, {"b"}, {run.cluster.AllocateRegionIds()});
    before = run.Text();
    ASSERT_NE(before.find("default 61 \ndefault 63 32\n"), std::string::npos) << before;
  }
  ClusterRun again(folder / "state");
  EXPECT_EQ(again.Text(), before);
  EXPECT_EQ(again.cluster.regions().FindByKey("b")->start, "b");
}

TEST(RocksDbState, TimestampsIdsAndTermsGrowOverRestartsEvenIfTheClockIsSetBack) {
  const TempFolder folder;
  Timestamp last;
  uint64_t last_id = 0;
  uint64_t last_term = 0;
  for (int i = 0; i < 4; ++i) {
    ClusterRun run(folder.path(), 3, 1'700'000'000'000 - i * 86'400'000);
    const Timestamp first = *run.cluster.pd().AllocateTimestamp();
    EXPECT_GT(first, last);
    run.Pass(7'000'000);
    last = *run.cluster.pd().AllocateTimestamp();
    const tikv::Region* region = run.cluster.regions().FindByKey("");
    EXPECT_GT(run.cluster.raft().Term(region->id), last_term);
    EXPECT_TRUE(run.cluster.TransferLeader(region->id));
    last_term = run.cluster.raft().Term(region->id);
    const uint64_t id = run.cluster.pd().AllocateId();
    EXPECT_GT(id, last_id);
    last_id = id;
  }
}

TEST(RocksDbState, AMergeThatWasPreparedIsCommittedAfterTheRestart) {
  const TempFolder folder;
  {
    ClusterRun run(folder.path());
    ASSERT_TRUE(run.cluster.SplitAt("m"));
    ASSERT_TRUE(run.cluster.MergeWithNext(run.cluster.regions().FindByKey(EncodeKey("a"))->id));
  }
  ClusterRun again(folder.path());
  EXPECT_TRUE(again.cluster.regions().FindByKey(EncodeKey("a"))->merging);
  again.Pass(1'000'000);
  EXPECT_EQ(again.cluster.regions().FindByKey(EncodeKey("a")), again.cluster.regions().FindByKey(EncodeKey("m")));
  const std::string text = again.Text();
  EXPECT_THAT(text, Not(HasSubstr("merging")));
}

TEST(RocksDbState, WhatGarbageCollectionRemovedDoesNotComeBackAndTheSafePointStays) {
  const TempFolder folder;
  std::string before;
  {
    ClusterRun run(folder.path());
    run.cluster.LoadPairs({{"a", "old"}}, Timestamp(400));
    run.cluster.LoadPairs({{"a", "new"}}, Timestamp(500));
    ASSERT_TRUE(run.cluster.GcNow());
    before = run.Text();
    // Nothing is kept for a judge here.
    EXPECT_TRUE(run.cluster.OracleRead("", "", Timestamp(450)).empty());
  }
  ClusterRun again(folder.path());
  EXPECT_EQ(again.Text(), before);
  EXPECT_EQ(again.cluster.OracleRead("", "", Timestamp(600)).size(), 1U);
}

TEST(RocksDbState, AKilledProcessLosesNothingThatWasWritten) {
  const TempFolder folder;
  int acknowledged[2];
  ASSERT_EQ(::pipe(acknowledged), 0);
  const std::string pipe = std::to_string(acknowledged[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    // Threads do not survive a fork; a program of its own has its own.
    ::execl(KVJURY_STATE_WRITER, "writer", folder.path().c_str(), pipe.c_str(), nullptr);
    ::_exit(1);
  }
  ::close(acknowledged[1]);
  ASSERT_GT(child, 0);
  uint32_t last = 0;
  while (last < 5'000) {
    ASSERT_EQ(::read(acknowledged[0], &last, sizeof(last)), static_cast<ssize_t>(sizeof(last)));
  }
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  while (::read(acknowledged[0], &last, sizeof(last)) == static_cast<ssize_t>(sizeof(last))) {
  }
  ::close(acknowledged[0]);
  const auto state = OpenState(folder.path());
  std::set<Bytes> keys[tikv::kColumnFamilyCount];
  ASSERT_TRUE(state
                  ->LoadData([&keys](ColumnFamily cf, std::string_view key, std::string_view) {
                    keys[static_cast<size_t>(cf)].insert(Bytes(key));
                  })
                  .ok());
  for (uint32_t i = 0; i <= last; ++i) {
    ASSERT_EQ(keys[0].count(std::to_string(i)), 1U) << i;
  }
  EXPECT_EQ(keys[0], keys[2]) << "half a batch";
}

TEST(RocksDbState, WhoAsksIsToldOnceWhenEverythingWrittenBeforeIsKept) {
  const TempFolder folder;
  const auto state = OpenState(folder.path());
  std::mutex mutex;
  std::vector<int> told;
  for (int i = 0; i < 200; ++i) {
    WriteBatch batch;
    batch.Put(ColumnFamily::kDefault, std::to_string(i), "v");
    state->Write(batch, {});
    const auto tell = [&mutex, &told, i]() {
      const std::lock_guard lock(mutex);
      told.push_back(i);
    };
    EXPECT_TRUE(state->WhenKept(true, tell)) << "no record about the cluster was written";
    if (state->WhenKept(false, tell)) {
      tell();
    }
  }
  ASSERT_TRUE(state->Drain().ok());
  for (size_t i = 0; i < 100; ++i) {
    const std::lock_guard lock(mutex);
    if (told.size() == 200) {
      break;
    }
    ::usleep(10'000);
  }
  const std::lock_guard lock(mutex);
  EXPECT_EQ(std::set<int>(told.begin(), told.end()).size(), 200U);
  EXPECT_EQ(told.size(), 200U);
}

TEST(RocksDbState, AfterAWriteThatFailedNothingIsToldToBeKept) {
  const TempFolder folder;
  std::promise<Status> failed;
  RocksDbState::Options options;
  options.on_failure = [&failed](const Status& status) { failed.set_value(status); };
  std::unique_ptr<RocksDbState> state = *RocksDbState::Open(folder.path(), std::move(options));
  // A write beyond the size that a file may have is refused; the test's own output does not grow that far.
  rlimit former{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &former), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{rlim_t{1} << 20, former.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  WriteBatch batch;
  batch.Put(ColumnFamily::kDefault, "big", Bytes(size_t{2} << 20, 'v'));
  state->Write(batch, {});
  bool told = false;
  const bool kept = state->WhenKept(false, [&told]() { told = true; });
  const Status status = failed.get_future().get();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &former), 0);
  EXPECT_THAT(status.message(), HasSubstr("cannot write the state"));
  EXPECT_FALSE(kept);
  EXPECT_FALSE(state->WhenKept(false, [&told]() { told = true; }));
  EXPECT_FALSE(state->Drain().ok());
  state = nullptr;
  EXPECT_FALSE(told);
}

std::string NewestLog(const std::string& folder) {
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/db")) {
    if (entry.path().extension() == ".log" && std::filesystem::file_size(entry.path()) > 0) {
      newest = std::max(newest, entry.path().string());
    }
  }
  CHECK(!newest.empty());
  return newest;
}

TEST(RocksDbState, ATornEndOfTheLogIsCutOffAsAWholeBatch) {
  const TempFolder folder;
  {
    const auto state = OpenState(folder.path());
    for (const char* key : {"first", "second"}) {
      WriteBatch batch;
      batch.Put(ColumnFamily::kDefault, key, Bytes(1000, 'v'));
      batch.Put(ColumnFamily::kWrite, key, "w");
      state->Write(batch, {});
      ASSERT_TRUE(state->Drain().ok());
    }
  }
  const std::string log = NewestLog(folder.path());
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 3);
  std::vector<Bytes> keys;
  const auto collect = [&keys](ColumnFamily, std::string_view key, std::string_view) { keys.emplace_back(key); };
  ASSERT_TRUE(OpenState(folder.path())->LoadData(collect).ok());
  EXPECT_THAT(keys, testing::ElementsAre("first", "first"));
}

TEST(RocksDbState, DamageInTheMiddleOfTheLogStopsTheStart) {
  const TempFolder folder;
  {
    const auto state = OpenState(folder.path());
    for (int i = 0; i < 100; ++i) {
      WriteBatch batch;
      batch.Put(ColumnFamily::kDefault, std::to_string(i), Bytes(1000, 'v'));
      state->Write(batch, {});
      ASSERT_TRUE(state->Drain().ok());
    }
  }
  {
    std::fstream log(NewestLog(folder.path()), std::ios::in | std::ios::out | std::ios::binary);
    log.seekp(50'000);
    log.put('X');
  }
  EXPECT_THAT(WhyNot(folder.path()), HasSubstr("cannot open the state in " + folder.path()));
}

// Names and contents of everything below a folder.
std::map<std::string, std::string> Listing(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().string()] = entry.is_directory() ? "" : std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

TEST(RocksDbState, AFolderInUseIsRefusedAndLeftAlone) {
  const TempFolder folder;
  const auto state = OpenState(folder.path());
  const auto before = Listing(folder.path());
  EXPECT_THAT(WhyNot(folder.path()), HasSubstr("is in use by another process"));
  EXPECT_EQ(Listing(folder.path()), before);
}

TEST(RocksDbState, OtherFormatsAndOtherThingsAreRefusedAndLeftAlone) {
  const TempFolder folder;
  std::ofstream(folder / "photo.jpg") << "x";
  auto before = Listing(folder.path());
  EXPECT_THAT(WhyNot(folder.path()), HasSubstr("holds something else (photo.jpg)"));
  EXPECT_EQ(Listing(folder.path()), before);

  std::ofstream(folder / "KVJURY") << "kvjury cluster state, format 7\n";
  before = Listing(folder.path());
  EXPECT_THAT(WhyNot(folder.path()), HasSubstr("has another format"));
  EXPECT_EQ(Listing(folder.path()), before);

  EXPECT_THAT(WhyNot(folder / "photo.jpg"), HasSubstr("is not a folder"));
  EXPECT_THAT(WhyNot("/proc/no-such"), HasSubstr("cannot make the folder"));
}

TEST(RocksDbState, RecordsThatContradictEachOtherAreRefused) {
  const TempFolder folder;
  { ClusterRun run(folder.path()); }
  const auto state = OpenState(folder.path());
  const std::map<Bytes, Bytes> meta = *state->LoadMeta();
  const auto region = meta.lower_bound("region/");
  ASSERT_NE(region, meta.end());
  state->Write({}, {{region->first, std::nullopt}});
  Result<tikv::SavedCluster> saved = tikv::ReadSavedCluster(state.get());
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code(), StatusCode::kDataLoss);
  state->Write({}, {{region->first, region->second}, {"cluster", "\xff\xff"}});
  EXPECT_THAT(tikv::ReadSavedCluster(state.get()).error().message(), HasSubstr("damaged"));
  state->Write({}, {{"cluster", Bytes("\x08\x63", 2)}});
  EXPECT_EQ(tikv::ReadSavedCluster(state.get()).error().code(), StatusCode::kUnsupported);
}

RC_GTEST_PROP(RocksDbState, WhateverHappenedARestartHasTheSameState, ()) {
  const TempFolder folder;
  const auto steps = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 1'000'000));
  uint32_t restarts = 0;
  uint64_t commit_ts = 1000;
  auto run = std::make_unique<ClusterRun>(folder.path());
  for (const uint32_t step : steps) {
    const Bytes key = "k" + std::to_string(step / 16 % 64);
    const RegionId region = run->cluster.regions().FindByKey(EncodeKey(key))->id;
    WriteBatch batch;
    switch (step % 8) {
      case 0:
        run->cluster.SplitAt(key);
        break;
      case 1:
        run->cluster.MergeWithNext(region);
        break;
      case 2:
        run->cluster.TransferLeader(region);
        break;
      case 3:
        batch.DeleteRange(static_cast<ColumnFamily>(step / 8 % 2 * 2), EncodeKey(key), step / 16 % 3 == 0 ? Bytes() : EncodeKey("k7"));
        run->cluster.ApplyBatch(std::move(batch));
        break;
      case 4:
        run->cluster.GcNow();
        break;
      case 5: {
        if (restarts == 4) {
          break;  // opening a database takes most of the time
        }
        const std::string before = run->Text();
        run = nullptr;
        run = std::make_unique<ClusterRun>(folder.path());
        RC_ASSERT(run->Text() == before);
        ++restarts;
        break;
      }
      case 6:
        run->Pass(step % 64 * 1000);
        break;
      default:
        run->cluster.LoadPairs({{key, Bytes(step % 400, 'v')}}, Timestamp(++commit_ts));
        break;
    }
  }
  RC_CLASSIFY(restarts > 1, "restarted more than once");
}

}  // namespace
}  // namespace kvjury::ports
