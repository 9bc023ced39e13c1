// Several sessions on one volume: heartbeats, dead sessions and who cleans them, elected jobs, the end.
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/rfc3339.h"
#include "harness/juicefs/test_sessions.h"
#include "harness/juicefs/test_volumes.h"

namespace kvjury::juicefs {
namespace {

int64_t ExpiryOf(Sessions* sessions, uint64_t session) {
  return *DecodeInt64Be(sessions->Value(SessionKey(KeyKind::kSessionExpiry, session)).value());
}

TEST(SessionsOfAVolume, AHeartbeatMovesTheLeaseForward) {
  Sessions sessions(Formatted());
  sessions.Mount();
  const int64_t first_s = ExpiryOf(&sessions, 1);
  EXPECT_EQ(first_s, sessions.now_s() + 60);
  sessions.Pass(30 * kSecondUs);
  const int64_t second_s = ExpiryOf(&sessions, 1);
  EXPECT_GE(second_s, first_s + 20);
  EXPECT_LE(second_s, sessions.now_s() + 60);
}

TEST(SessionsOfAVolume, AMountWithoutHeartbeatsHasALeaseOfAYear) {
  Sessions sessions(Formatted());
  MountOptions mount;
  mount.heartbeat_period_us = 0;
  sessions.Mount(mount);
  EXPECT_EQ(ExpiryOf(&sessions, 1), sessions.now_s() + 365 * 86'400);
}

TEST(SessionsOfAVolume, AVolumeWithAChangeLogGetsBothRecordsInOneTransaction) {
  for (const bool change_log : {false, true}) {
    Format format = Formatted();
    format.change_log = change_log;
    Sessions sessions(format);
    const Writer* writer = sessions.Mount();
    EXPECT_EQ(Commits(*writer, TransactionKind::kSession), change_log ? 2U : 3U);
    EXPECT_TRUE(sessions.Value(SessionKey(KeyKind::kSessionInfo, 1)).has_value());
  }
}

TEST(SessionsOfAVolume, ASessionThatWasTakenForDeadComesBackWholeWithItsNextHeartbeat) {
  Sessions sessions(Formatted());
  sessions.Mount();
  sessions.Remove(SessionKey(KeyKind::kSessionExpiry, 1));
  sessions.Remove(SessionKey(KeyKind::kSessionInfo, 1));
  sessions.Pass(15 * kSecondUs);
  EXPECT_TRUE(sessions.Value(SessionKey(KeyKind::kSessionExpiry, 1)).has_value());
  EXPECT_TRUE(sessions.Value(SessionKey(KeyKind::kSessionInfo, 1)).has_value());
}

TEST(SessionsOfAVolume, AClientEndsItselfWhenTheVolumeIsGoneOrAnotherOne) {
  for (const int what : {0, 1, 2}) {
    Sessions sessions(Formatted());
    Writer* writer = sessions.Mount();
    Format other = Formatted();
    if (what == 0) {
      sessions.Remove(SettingKey());
    } else if (what == 1) {
      other.uuid = "00000000-0000-4000-a000-000000000000";
      sessions.Put({{EncodeKey(SettingKey()), EncodeFormat(other)}});
    } else {
      other.meta_version = 2;
      sessions.Put({{EncodeKey(SettingKey()), EncodeFormat(other)}});
    }
    EXPECT_FALSE(writer->dead());
    sessions.Pass(15 * kSecondUs);
    EXPECT_TRUE(writer->dead()) << what;
    EXPECT_EQ(sessions.Create(writer, "f"), ENOTCONN);
  }
  Sessions sessions(Formatted());
  Writer* writer = sessions.Mount();
  Format changed = Formatted(7);
  sessions.Put({{EncodeKey(SettingKey()), EncodeFormat(changed)}});
  sessions.Pass(15 * kSecondUs);
  EXPECT_FALSE(writer->dead());
  EXPECT_EQ(writer->setting().trash_days, 7) << "any other change is taken over";
}

TEST(SessionsOfAVolume, ADeadSessionLosesItsLocksItsRemovedFilesAndItsRecords) {
  Sessions sessions(Formatted());
  Writer* dying = sessions.Mount();
  ASSERT_EQ(sessions.Create(dying, "f"), 0);
  Attr removed;
  removed.type = kTypeFile;
  removed.length = 5000;
  removed.nlink = 0;
  removed.parent = kRootInode;
  const Inode open_file(77);
  sessions.Put({{EncodeKey(FlocksKey(Inode(2))), EncodeFlocks({{1, 10, 'R'}, {9, 10, 'R'}})},
                {EncodeKey(FlocksKey(Inode(3))), EncodeFlocks({{1, 10, 'W'}})},
                {EncodeKey(PlocksKey(Inode(2))), EncodePlocks({{1, 5, {{1, 4242, 0, 99}}}})},
                {EncodeKey(AttrKey(open_file)), EncodeAttr(removed)},
                {EncodeKey(SustainedKey(1, open_file)), Bytes(1, '\1')},
                {EncodeKey(SustainedKey(1, Inode(78))), Bytes(1, '\1')},
                {EncodeKey(ChunkKey(open_file, 0)), EncodeChunk({{0, 5, 5000, 0, 5000}})}});
  dying->Die();
  Writer* living = sessions.Mount();
  sessions.Pass(90 * kSecondUs);
  EXPECT_FALSE(sessions.Value(SessionKey(KeyKind::kSessionExpiry, 1)).has_value());
  EXPECT_FALSE(sessions.Value(SessionKey(KeyKind::kSessionInfo, 1)).has_value());
  EXPECT_TRUE(sessions.Value(SessionKey(KeyKind::kSessionExpiry, living->session_id())).has_value());
  EXPECT_EQ(ToHex(sessions.Value(FlocksKey(Inode(2))).value()), "0000000000000009000000000000000a52");
  EXPECT_FALSE(sessions.Value(FlocksKey(Inode(3))).has_value());
  EXPECT_FALSE(sessions.Value(PlocksKey(Inode(2))).has_value());
  EXPECT_FALSE(sessions.Value(AttrKey(open_file)).has_value());
  EXPECT_FALSE(sessions.Value(SustainedKey(1, open_file)).has_value());
  EXPECT_FALSE(sessions.Value(ChunkKey(open_file, 0)).has_value());
  EXPECT_FALSE(sessions.Value(DeletedFileKey(open_file, 5000)).has_value());
  EXPECT_TRUE(sessions.Value(SustainedKey(1, Inode(78))).has_value()) << "whose inode is gone already stays for ever";
}

TEST(SessionsOfAVolume, ClientsThatRunNoJobsCleanNobody) {
  MountOptions quiet;
  quiet.no_background_jobs = true;
  MountOptions read_only;
  read_only.read_only = true;
  for (const MountOptions& mount : {quiet, read_only}) {
    Sessions sessions(Formatted());
    sessions.Mount()->Die();
    sessions.Mount(mount);
    sessions.Pass(120 * kSecondUs);
    EXPECT_TRUE(sessions.Value(SessionKey(KeyKind::kSessionExpiry, 1)).has_value());
    EXPECT_FALSE(sessions.Value(CounterKey("lastCleanupSessions")).has_value());
  }
}

TEST(SessionsOfAVolume, OneOfTwoClientsIsElectedInEachPeriod) {
  Sessions sessions(Formatted());
  const Writer* first = sessions.Mount();
  const Writer* second = sessions.Mount();
  sessions.Pass(10 * 60 * kSecondUs);
  const uint64_t won = Commits(*first, TransactionKind::kElection) + Commits(*second, TransactionKind::kElection);
  EXPECT_GE(won, 40U) << "there is a winner in nearly each of the 50 periods";
  EXPECT_LE(won, 61U) << "and never a second one within nine tenths of it";
  const Bytes at = sessions.Value(CounterKey("lastCleanupSessions")).value();
  EXPECT_LE(sessions.now_s() - *DecodeInt64Be(at), 26) << "seconds, big endian";
}

TEST(SessionsOfAVolume, NothingHappensBetweenWhatIsDue) {
  Sessions sessions(Formatted());
  MountOptions mount;
  mount.heartbeat_period_us = kHourUs;
  sessions.Mount(mount);
  const uint64_t before = sessions.events_run();
  sessions.Pass(24 * kHourUs);
  EXPECT_LT(sessions.events_run() - before, 24U * 200U);
}

TEST(JobsOfAVolume, TheTrashIsKeptForItsDaysAndThenRemovedWithTheData) {
  Sessions sessions(Formatted(1));
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  ASSERT_EQ(sessions.Write(writer, "f", 5000), 0);
  record::Operation unlink;
  unlink.mutable_unlink()->set_path("f");
  ASSERT_EQ(sessions.Do(writer, unlink).error, 0);
  const Inode hour(kTrashInode.value() + 1);
  sessions.Pass(25 * kHourUs);
  EXPECT_TRUE(sessions.Value(AttrKey(Inode(2))).has_value()) << "a day and two hours after the beginning of its hour";
  sessions.Pass(4 * kHourUs);
  EXPECT_FALSE(sessions.Value(AttrKey(Inode(2))).has_value());
  EXPECT_FALSE(sessions.Value(AttrKey(hour)).has_value());
  EXPECT_FALSE(sessions.Value(DirStatKey(hour)).has_value());
  EXPECT_FALSE(sessions.Value(ChunkKey(Inode(2), 0)).has_value());
  EXPECT_FALSE(sessions.Value(DeletedFileKey(Inode(2), 5000)).has_value());
  EXPECT_FALSE(sessions.Value(SliceReferencesKey(1, 5000)).has_value());
  sessions.Stop(writer);
  EXPECT_EQ(*DecodeInt64Le(sessions.Value(CounterKey("usedSpace")).value()), 0);
  EXPECT_EQ(*DecodeInt64Le(sessions.Value(CounterKey("totalInodes")).value()), 0);
}

TEST(JobsOfAVolume, LeftoversGoWithinTheHour) {
  Sessions sessions(Formatted(1));
  Writer* writer = sessions.Mount();
  const int64_t old_s = sessions.now_s() - 2 * 3600;
  const int64_t longer_ago_s = sessions.now_s() - 2 * 86'400;
  sessions.Put({{EncodeKey(DeletedFileKey(Inode(50), 100)), EncodeInt64Be(old_s)},
                {EncodeKey(ChunkKey(Inode(50), 0)), EncodeChunk({{0, 7, 100, 0, 100}, {0, 8, 100, 0, 50}})},
                {EncodeKey(SliceReferencesKey(8, 100)), EncodeInt64Le(1)},
                {EncodeKey(DeletedFileKey(Inode(51), 100)), EncodeInt64Be(sessions.now_s() + 3600)},
                {EncodeKey(SliceReferencesKey(20, 4096)), EncodeInt64Le(-1)},
                {EncodeKey(SliceReferencesKey(21, 4096)), EncodeInt64Le(0)},
                {EncodeKey(SliceReferencesKey(22, 4096)), EncodeInt64Le(3)},
                {EncodeKey(DelayedSlicesKey(static_cast<uint64_t>(longer_ago_s), 30)), EncodeSliceNames({{31, 8192}, {22, 4096}, {31, 8192}})},
                {EncodeKey(DelayedSlicesKey(static_cast<uint64_t>(old_s), 40)), EncodeSliceNames({{41, 8192}})},
                {EncodeKey(SliceReferencesKey(31, 8192)), EncodeInt64Le(1)}});
  sessions.Pass(kHourUs + kHourUs / 10);
  EXPECT_FALSE(sessions.Value(DeletedFileKey(Inode(50), 100)).has_value());
  EXPECT_FALSE(sessions.Value(ChunkKey(Inode(50), 0)).has_value());
  EXPECT_TRUE(sessions.Value(DeletedFileKey(Inode(51), 100)).has_value()) << "younger than an hour";
  EXPECT_FALSE(sessions.Value(SliceReferencesKey(20, 4096)).has_value());
  EXPECT_FALSE(sessions.Value(SliceReferencesKey(21, 4096)).has_value());
  EXPECT_EQ(*DecodeInt64Le(sessions.Value(SliceReferencesKey(22, 4096)).value()), 2);
  EXPECT_FALSE(sessions.Value(DelayedSlicesKey(static_cast<uint64_t>(longer_ago_s), 30)).has_value());
  EXPECT_TRUE(sessions.Value(DelayedSlicesKey(static_cast<uint64_t>(old_s), 40)).has_value()) << "kept as long as the trash";
  EXPECT_FALSE(sessions.Value(SliceReferencesKey(31, 8192)).has_value());
  EXPECT_GT(Commits(*writer, TransactionKind::kCleanup), 0U);
}

TEST(JobsOfAVolume, GarbageIsCollectedWithoutAnElectionAndWithHalfMadeClones) {
  Sessions sessions(Formatted(1));
  Writer* writer = sessions.Mount();
  Attr clone;
  clone.type = kTypeDirectory;
  clone.nlink = 2;
  clone.length = kDirectoryBytes;
  clone.parent = kRootInode;
  Attr child;
  child.type = kTypeFile;
  child.nlink = 1;
  child.parent = Inode(60);
  const KeyValues before = sessions.Pairs();
  sessions.Put({{EncodeKey(AttrKey(Inode(60))), EncodeAttr(clone)},
                {EncodeKey(XattrKey(Inode(60), "user.a")), "b"},
                {EncodeKey(DirStatKey(Inode(60))), EncodeDirStat({0, 4096, 1})},
                {EncodeKey(DetachedKey(Inode(60))), EncodeInt64Be(sessions.now_s() - 25 * 3600)},
                {EncodeKey(DentryKey(Inode(60), "x")), EncodeDentry({kTypeFile, Inode(61)})},
                {EncodeKey(AttrKey(Inode(61))), EncodeAttr(child)},
                {EncodeKey(SliceReferencesKey(20, 4096)), EncodeInt64Le(-1)}});
  sessions.CollectGarbage(writer);
  EXPECT_EQ(sessions.Pairs(), before);
}

TEST(JobsOfAVolume, TheOldestOfAChangeLogGoByAgeAndByNumber) {
  for (const bool by_age : {false, true}) {
    Format format = Formatted();
    format.change_log = true;
    (by_age ? format.change_log_age_s_max : format.change_log_lines_max) = by_age ? 7200 : 4;  // two are the session's own
    Sessions sessions(format);
    Writer* writer = sessions.Mount();
    KeyValues entries;
    for (const int hours : {5, 4, 1}) {
      const auto ts = static_cast<uint64_t>(100 - hours);
      entries[EncodeKey(ChangelogKey(static_cast<uint8_t>(hours), ts))] =
          std::to_string(sessions.now_s() - hours * 3600) + ".000000000|UNLINK(1,a,0)|(1,2)";
    }
    sessions.Put(entries);
    sessions.CollectGarbage(writer);
    EXPECT_FALSE(sessions.Value(ChangelogKey(5, 95)).has_value());
    EXPECT_EQ(sessions.Value(ChangelogKey(4, 96)).has_value(), !by_age);
    EXPECT_TRUE(sessions.Value(ChangelogKey(1, 99)).has_value());
  }
}

TEST(JobsOfAVolume, OneOfTwoClientsDoesEachJob) {
  Sessions sessions(Formatted(1));
  sessions.Mount();
  sessions.Mount();
  for (int hour = 1; hour <= 6; ++hour) {
    sessions.Pass(kHourUs + kHourUs / 10);
    for (const char* counter : {"lastCleanupFiles", "nextCleanupSlices", "lastCleanupTrash"}) {
      const std::optional<Bytes> at = sessions.Value(CounterKey(counter));
      ASSERT_TRUE(at.has_value()) << counter;
      EXPECT_LE(sessions.now_s() - *DecodeInt64Be(*at), 2 * 3600) << counter;
    }
  }
}

/// Notes what it is asked for.
class NotedBackups final : public MetadataBackup {
 public:
  sim::Task<Status> Make(Request request) override {
    requests.push_back(std::move(request));
    co_return Status::Unavailable("noted only");
  }
  std::vector<Request> requests;
};

const Key kLastBackupKey = XattrKey(kRootInode, "lastBackup");

MountOptions BackingUpEvery(Micros period_us) {
  MountOptions mount;
  mount.backup_meta_us = period_us;
  return mount;
}

TEST(BackupsOfAVolume, TheFirstComesAfterATenthOfTheIntervalAndThenOneInEach) {
  Sessions sessions(Formatted(1));
  NotedBackups first;
  NotedBackups second;
  const Writer* writer = sessions.Mount(BackingUpEvery(kHourUs), &first);
  sessions.Mount(BackingUpEvery(kHourUs), &second);
  sessions.Pass(5 * 60 * kSecondUs);
  EXPECT_EQ(first.requests.size() + second.requests.size(), 0U);
  sessions.Pass(90 * kSecondUs);
  ASSERT_EQ(first.requests.size() + second.requests.size(), 1U) << "the other one found that it was done";
  const int64_t at_ns = (first.requests.empty() ? second : first).requests[0].wall_ns;
  EXPECT_EQ(sessions.Value(kLastBackupKey), Rfc3339Seconds(at_ns / 1'000'000'000));
  sessions.Pass(5 * kHourUs);
  const size_t count = first.requests.size() + second.requests.size();
  EXPECT_GE(count, 5U);
  EXPECT_LE(count, 6U) << "a failure is not made good before the next interval";
  uint64_t declared = 0;
  for (const DeclaredTransaction& transaction : writer->history()) {
    for (const Effect& effect : transaction.effects) {
      const auto* xattr = std::get_if<SetXattrEffect>(&effect);
      declared += xattr != nullptr && xattr->inode == kRootInode && xattr->name == "lastBackup" ? 1 : 0;
    }
  }
  EXPECT_EQ(declared, first.requests.size());
}

TEST(BackupsOfAVolume, LargeVolumesAreWalkedAndVeryLargeOnesOnlyInLongIntervals) {
  struct Expected {
    int64_t inodes;
    Micros interval_us;
    bool made;
    bool fast;
  };
  for (const Expected& expected : {Expected{99'999, kHourUs, true, true}, Expected{100'000, kHourUs, true, false}, Expected{1'000'000, kHourUs, true, false},
                                   Expected{1'000'001, kHourUs, false, false}, Expected{1'000'001, 2 * kHourUs, true, false}}) {
    Sessions sessions(Formatted(1));
    sessions.Put({{EncodeKey(CounterKey("totalInodes")), EncodeInt64Le(expected.inodes)}});
    NotedBackups backups;
    MountOptions mount = BackingUpEvery(expected.interval_us);
    mount.backup_skip_trash = expected.fast;
    sessions.Mount(mount, &backups);
    sessions.Pass(expected.interval_us / 8);
    ASSERT_EQ(backups.requests.size(), expected.made ? 1U : 0U) << expected.inodes;
    EXPECT_EQ(sessions.Value(kLastBackupKey).has_value(), expected.made);
    if (expected.made) {
      EXPECT_EQ(backups.requests[0].fast, expected.fast) << expected.inodes;
      EXPECT_EQ(backups.requests[0].skip_trash, mount.backup_skip_trash);
    }
  }
}

TEST(BackupsOfAVolume, WhoRunsNoJobsMakesNoneAndATimeThatNobodyReadsStopsThem) {
  MountOptions quiet = BackingUpEvery(kHourUs);
  quiet.no_background_jobs = true;
  MountOptions read_only = BackingUpEvery(kHourUs);
  read_only.read_only = true;
  for (const MountOptions& mount : {quiet, read_only, BackingUpEvery(0), BackingUpEvery(kHourUs)}) {
    Sessions sessions(Formatted(1));
    const bool unreadable = !mount.read_only && !mount.no_background_jobs && mount.backup_meta_us > 0;
    if (unreadable) {
      sessions.Put({{EncodeKey(kLastBackupKey), "yesterday"}});
    }
    NotedBackups backups;
    sessions.Mount(mount, &backups);
    sessions.Pass(2 * kHourUs);
    EXPECT_TRUE(backups.requests.empty());
    EXPECT_EQ(sessions.Value(kLastBackupKey).has_value(), unreadable);
  }
}

TEST(SessionsOfAVolume, StopEndsTheBackgroundAtOnceAndLeavesNoRecord) {
  Sessions sessions(Formatted());
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  const int64_t before_s = sessions.now_s();
  sessions.Stop(writer);
  EXPECT_LE(sessions.now_s() - before_s, 1);
  EXPECT_FALSE(sessions.Value(SessionKey(KeyKind::kSessionExpiry, 1)).has_value());
  EXPECT_FALSE(sessions.Value(SessionKey(KeyKind::kSessionInfo, 1)).has_value());
  EXPECT_EQ(*DecodeInt64Le(sessions.Value(CounterKey("totalInodes")).value()), 1);
}

}  // namespace
}  // namespace kvjury::juicefs
