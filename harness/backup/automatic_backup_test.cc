// --backup-meta: who makes a backup, what it holds, which ones are kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fakes/base/compress.h"
#include "harness/backup/automatic_backup_model.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/rfc3339.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/writer.h"

namespace kvjury::backup {
namespace {

using Outcome = AutomaticBackupReport::Outcome;

constexpr char kVolume[] = "vol";
constexpr int64_t kNowS = 1'795'356'540;  // 2026-11-22T14:09:00Z
constexpr int64_t kDayS = 86'400;

sim::Task<void> Keep(sim::Task<Result<AutomaticBackupReport>> task, std::optional<Result<AutomaticBackupReport>>* out) {
  out->emplace(co_await std::move(task));
}

sim::Task<void> LiveForMinutes(sim::Scheduler* scheduler, juicefs::Writer* session, int64_t minutes) {
  sim::Task<Status> start = session->Start();
  EXPECT_TRUE((co_await std::move(start)).ok());
  co_await scheduler->Sleep(minutes * 60'000'000);
  sim::Task<Status> stop = session->Stop();
  EXPECT_TRUE((co_await std::move(stop)).ok());
}

struct Mounts {
  explicit Mounts(juicefs::KeyValues pairs) : store(&scheduler, {}) { store.Preload(juicefs::WithPrefix(pairs, kVolume)); }

  /// So many clients look at once.
  std::vector<AutomaticBackupReport> Look(int64_t now_s, size_t clients = 1, int64_t interval_s = 3600) {
    std::vector<std::optional<Result<AutomaticBackupReport>>> results(clients);
    sim::Scope scope(&scheduler);
    for (size_t i = 0; i < clients; ++i) {
      AutomaticBackupOptions options;
      options.volume_name = kVolume;
      options.bucket_folder = "realvol";
      options.interval_s = interval_s;
      const sim::Label label = sim::Label("mount").Numbered("client", i);
      scope.Spawn(label.text(), Keep(RunAutomaticBackup(&store, &objects, label, options, now_s * 1'000'000'000), &results[i]));
    }
    while (scope.running() > 0) {
      CHECK(scheduler.RunOne());
    }
    scope.RethrowFirst();
    std::vector<AutomaticBackupReport> reports;
    for (std::optional<Result<AutomaticBackupReport>>& result : results) {
      reports.push_back(std::move(*result).value());
    }
    return reports;
  }

  sim::Scheduler scheduler;
  juicefs::TestStore store;
  objects::MemoryObjectStore objects;
};

TEST(AutomaticBackup, HoldsItsOwnTimeAndIsNotMadeAgainWithinTheInterval) {
  Mounts mounts(juicefs::RealVolume("rich"));
  const AutomaticBackupReport first = mounts.Look(kNowS).front();
  EXPECT_EQ(first.outcome, Outcome::kDone);
  EXPECT_EQ(first.object, "realvol/meta/dump-2026-11-22-140900.json.gz");
  EXPECT_TRUE(first.fast);
  const juicefs::JsonDump dump = juicefs::ReadDumpJson("d", mounts.objects.Get(first.object).value()).value();
  EXPECT_EQ(dump.image.xattrs.at(juicefs::kRootInode).at("lastBackup"), "2026-11-22T14:09:00Z");
  EXPECT_GT(dump.entry_count, 300u);
  EXPECT_EQ(mounts.Look(kNowS + 3599).front().outcome, Outcome::kNotDue);
  EXPECT_EQ(mounts.Look(kNowS + 3600).front().object, "realvol/meta/dump-2026-11-22-150900.json.gz");
}

TEST(AutomaticBackup, ASessionMakesItInItsBackground) {
  Mounts mounts(juicefs::RealVolume("rich"));
  AutomaticBackupOptions backup_options;
  backup_options.volume_name = kVolume;
  backup_options.bucket_folder = "realvol";
  SessionBackup backup(&mounts.objects, backup_options);
  juicefs::WriterOptions options;
  options.volume_name = kVolume;
  options.wall_ns = [&mounts] { return mounts.store.wall_ns(); };
  options.mount.backup_meta_us = 3'600'000'000;
  options.mount.backup_skip_trash = true;
  options.backup = &backup;
  juicefs::Writer session(&mounts.store, options);
  sim::Scope scope(&mounts.scheduler);
  scope.Spawn("session", LiveForMinutes(&mounts.scheduler, &session, 10));
  scope.Spawn("background", session.RunBackground());
  while (scope.running() > 0) {
    ASSERT_TRUE(mounts.scheduler.RunOne());
  }
  scope.RethrowFirst();
  const std::vector<objects::ObjectInfo> made = mounts.objects.List("realvol/meta/").value();
  ASSERT_EQ(made.size(), 1U);
  const juicefs::JsonDump dump = juicefs::ReadDumpJson("d", mounts.objects.Get(made[0].name).value()).value();
  EXPECT_GT(dump.entry_count, 300u);
  EXPECT_EQ(dump.image.FindAttr(Inode(juicefs::kTrashInode.value() + 1)), nullptr) << "without the trash";
  const std::string time = dump.image.xattrs.at(juicefs::kRootInode).at("lastBackup");
  EXPECT_EQ(time.substr(0, 10), made[0].name.substr(18, 10));
}

TEST(AutomaticBackup, TwoClientsThatLookAtOnceBothMakeOne) {
  Mounts mounts(juicefs::RealVolume("rich"));
  for (const AutomaticBackupReport& report : mounts.Look(kNowS, 2)) {
    EXPECT_EQ(report.outcome, Outcome::kDone);
  }
}

TEST(AutomaticBackup, TheNumberOfInodesDecidesWhetherAndHow) {
  juicefs::KeyValues pairs = juicefs::RealVolume("rich");
  Bytes& total = pairs[juicefs::EncodeKey(juicefs::CounterKey("totalInodes"))];
  total = juicefs::EncodeInt64Le(1'000'001);
  Mounts large(pairs);
  EXPECT_EQ(large.Look(kNowS).front().outcome, Outcome::kTooManyInodes);
  const AutomaticBackupReport longer = large.Look(kNowS, 1, 3601).front();
  EXPECT_EQ(longer.outcome, Outcome::kDone);
  EXPECT_FALSE(longer.fast);
  total = juicefs::EncodeInt64Le(99'999);
  EXPECT_TRUE(Mounts(pairs).Look(kNowS).front().fast);
}

TEST(AutomaticBackup, KeepsTwoDaysThenTheEarliestOfEachSpan) {
  std::vector<std::string> names = {"notes.txt", "dump-2026-13-01-000000.json.gz", "dump-2024-11-22-140800.json.gz"};
  const auto name_of = [](int64_t seconds) {
    std::string text = juicefs::Rfc3339Seconds(seconds);  // 2026-11-22T14:09:00Z
    return "dump-" + text.substr(0, 10) + "-" + text.substr(11, 2) + text.substr(14, 2) + text.substr(17, 2) + ".json.gz";
  };
  for (int64_t hours = 0; hours < 24 * 80; ++hours) {
    names.push_back(name_of(kNowS - hours * 3600));
  }
  const std::vector<std::string> removed = BackupsToRemove(names, kNowS);
  std::vector<std::string> kept;
  for (const std::string& name : names) {
    if (std::find(removed.begin(), removed.end(), name) == removed.end()) {
      kept.push_back(name);
    }
  }
  // 49 of two days, one of each of 12 days, 7 weeks up to 63 days, one span of 30 days; and the names that are none.
  EXPECT_THAT(kept, testing::SizeIs(2 + 49 + 12 + 7 + 1));
  EXPECT_THAT(removed, testing::Contains("dump-2024-11-22-140800.json.gz"));
  EXPECT_THAT(kept, testing::Contains(name_of(kNowS - 3 * kDayS))) << "the earliest of the third day";
  EXPECT_THAT(removed, testing::Contains(name_of(kNowS - 3 * kDayS + 3600)));
}

TEST(AutomaticBackup, TimesHaveOffsets) {
  EXPECT_EQ(juicefs::ParseRfc3339("2026-11-22T14:09:00Z").value(), kNowS);
  EXPECT_EQ(juicefs::ParseRfc3339("2026-11-22T15:09:00+01:00").value(), kNowS);
  EXPECT_EQ(juicefs::ParseRfc3339("2026-11-22T08:39:00-05:30").value(), kNowS);
  for (const char* wrong : {"", "yesterday", "2026-11-22T14:09:00", "2026-02-30T00:00:00Z", "2026-11-22T14:09:00*01:00"}) {
    EXPECT_EQ(juicefs::ParseRfc3339(wrong).status().code(), StatusCode::kDataLoss) << wrong;
  }
}

}  // namespace
}  // namespace kvjury::backup
