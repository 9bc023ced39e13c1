// Several sessions on one volume: heartbeats, dead sessions and who cleans them, elected jobs, the end.
#include <gtest/gtest.h>

#include <cerrno>

#include "fakes/sim/scheduler.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {
namespace {

constexpr char kVolume[] = "vol";
constexpr Micros kSecondUs = 1'000'000;
constexpr Micros kHourUs = 3600 * kSecondUs;

/// A formatted volume and any number of sessions, whose background runs while operations and sleeps take their time.
class Sessions {
 public:
  explicit Sessions(Format format) : store_(&scheduler_, {}), scope_(&scheduler_) {
    store_.Preload(WithPrefix(FormatPairs(format, store_.wall_ns()), kVolume));
  }
  ~Sessions() {
    for (const auto& writer : writers_) {
      writer->Die();  // so that the background of those that a test left running ends
    }
    while (scope_.running() > 0) {
      CHECK(scheduler_.RunOne());
    }
  }

  Writer* Mount(MountOptions mount = {}) {
    WriterOptions options;
    options.id = static_cast<uint32_t>(writers_.size() + 1);
    options.volume_name = kVolume;
    options.mount = mount;
    options.wall_ns = [this] { return store_.wall_ns(); };
    writers_.push_back(std::make_unique<Writer>(&store_, options));
    Writer* writer = writers_.back().get();
    Status started;
    RunToEnd(StartOne(writer, &started));
    EXPECT_TRUE(started.ok()) << started;
    scope_.Spawn("background", writer->RunBackground());
    return writer;
  }
  void Stop(Writer* writer) {
    Status stopped;
    RunToEnd(StopOne(writer, &stopped));
    EXPECT_TRUE(stopped.ok()) << stopped;
  }
  OperationResult Do(Writer* writer, record::Operation operation) {
    operation.set_id(++last_id_);
    OperationResult result;
    RunToEnd(DoOne(writer, std::move(operation), &result));
    return result;
  }
  int Create(Writer* writer, const Bytes& path) {
    record::Operation operation;
    operation.mutable_create()->set_path(path);
    operation.mutable_create()->set_mode(0644);
    return Do(writer, operation).error;
  }
  int Write(Writer* writer, const Bytes& path, uint32_t length) {
    record::Operation operation;
    operation.mutable_write()->set_path(path);
    operation.mutable_write()->set_length(length);
    return Do(writer, operation).error;
  }
  void CollectGarbage(Writer* writer) { RunToEnd(writer->CollectGarbage()); }
  void Pass(Micros duration_us) { RunToEnd(SleepOne(&scheduler_, duration_us)); }
  /// Puts raw records in, as somebody else's commit.
  void Put(const KeyValues& pairs) { store_.Preload(WithPrefix(pairs, kVolume)); }
  void Remove(const Key& key) { RunToEnd(RemoveOne(&store_, VolumePrefix(kVolume) + EncodeKey(key))); }

  KeyValues Pairs() { return SelectVolume(store_.Snapshot(store_.Now()), kVolume); }
  std::optional<Bytes> Value(const Key& key) {
    const KeyValues pairs = Pairs();
    const auto found = pairs.find(EncodeKey(key));
    return found == pairs.end() ? std::nullopt : std::optional<Bytes>(found->second);
  }
  int64_t now_s() { return store_.wall_ns() / 1'000'000'000; }
  uint64_t events_run() const { return scheduler_.events_run(); }

 private:
  static sim::Task<void> StartOne(Writer* writer, Status* status) {
    sim::Task<Status> start = writer->Start();
    *status = co_await std::move(start);
  }
  static sim::Task<void> StopOne(Writer* writer, Status* status) {
    sim::Task<Status> stop = writer->Stop();
    *status = co_await std::move(stop);
  }
  static sim::Task<void> DoOne(Writer* writer, record::Operation operation, OperationResult* result) {
    sim::Task<OperationResult> run = writer->Do(operation);
    *result = co_await std::move(run);
  }
  static sim::Task<void> SleepOne(sim::Scheduler* scheduler, Micros duration_us) { co_await scheduler->Sleep(duration_us); }
  static sim::Task<void> RemoveOne(TestStore* store, Bytes key) {
    sim::Task<Result<std::unique_ptr<client::Transaction>>> begin = store->Begin(sim::Label("other"));
    const std::unique_ptr<client::Transaction> transaction = (co_await std::move(begin)).value();
    transaction->Delete(key);
    sim::Task<Result<client::CommitInfo>> commit = transaction->Commit();
    EXPECT_TRUE((co_await std::move(commit)).ok());
  }
  void RunToEnd(sim::Task<void> task) {
    sim::Scope scope(&scheduler_);
    scope.Spawn("test", std::move(task));
    while (scope.running() > 0) {
      ASSERT_TRUE(scheduler_.RunOne());
    }
    scope.RethrowFirst();
  }

  sim::Scheduler scheduler_;
  TestStore store_;
  sim::Scope scope_;
  std::vector<std::unique_ptr<Writer>> writers_;
  uint32_t last_id_ = 0;
};

Format Formatted(uint32_t trash_days = 1) { return DefaultFormat(kVolume, trash_days); }

uint64_t Commits(const Writer& writer, TransactionKind kind) {
  uint64_t count = 0;
  for (const DeclaredTransaction& transaction : writer.history()) {
    count += transaction.kind == kind ? 1 : 0;
  }
  return count;
}

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

TEST(QuotasOfAVolume, ADirectoryQuotaIsSetUsedRefusedAndDeletedWithTheGoldenRecord) {
  Sessions sessions(Formatted(0));
  Writer* writer = sessions.Mount();
  record::Operation mkdir;
  mkdir.mutable_mkdir()->set_path("d");
  mkdir.mutable_mkdir()->set_mode(0755);
  ASSERT_EQ(sessions.Do(writer, mkdir).error, 0);
  ASSERT_EQ(sessions.Create(writer, "d/f"), 0);
  ASSERT_EQ(sessions.Write(writer, "d/f", 10000), 0);
  sessions.Pass(2 * kSecondUs);
  EXPECT_EQ(ToHex(sessions.Value(DirStatKey(Inode(2))).value()), ToHex(Hex("0000000000002710 0000000000003000 0000000000000001")));
  record::Operation set;
  set.mutable_set_quota()->set_path("d");
  set.mutable_set_quota()->set_space_max(uint64_t{1} << 30);
  set.mutable_set_quota()->set_inodes_max(1000);
  ASSERT_EQ(sessions.Do(writer, set).error, 0);
  EXPECT_EQ(ToHex(sessions.Value(DirQuotaKey(Inode(2))).value()),
            ToHex(Hex("0000000040000000 00000000000003e8 0000000000003000 0000000000000001")));
  set.mutable_set_quota()->set_inodes_max(2);
  ASSERT_EQ(sessions.Do(writer, set).error, 0);
  sessions.Pass(15 * kSecondUs);  // a heartbeat
  EXPECT_EQ(sessions.Create(writer, "d/g"), 0);
  EXPECT_EQ(sessions.Create(writer, "d/h"), EDQUOT) << "by the session's own changes, flushed or not";
  EXPECT_EQ(sessions.Create(writer, "outside"), 0);
  sessions.Pass(5 * kSecondUs);
  EXPECT_EQ(DecodeQuota(sessions.Value(DirQuotaKey(Inode(2))).value()).value(), (Quota{int64_t{1} << 30, 2, 16384, 2}));
  record::Operation remove;
  remove.mutable_delete_quota()->set_path("d");
  ASSERT_EQ(sessions.Do(writer, remove).error, 0);
  EXPECT_FALSE(sessions.Value(DirQuotaKey(Inode(2))).has_value());
  sessions.Pass(15 * kSecondUs);
  EXPECT_EQ(sessions.Create(writer, "d/h"), 0);
}

TEST(QuotasOfAVolume, UsersAndGroupsAreCountedAndLimited) {
  Format format = Formatted(0);
  format.user_group_quota = true;
  Sessions sessions(format);
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  ASSERT_EQ(sessions.Write(writer, "f", 28000), 0);
  ASSERT_EQ(sessions.Create(writer, "g"), 0);
  sessions.Pass(5 * kSecondUs);
  const std::string golden = ToHex(Hex("ffffffffffffffff ffffffffffffffff 0000000000008000 0000000000000002"));
  EXPECT_EQ(ToHex(sessions.Value(UserQuotaKey(0)).value()), golden);
  EXPECT_EQ(ToHex(sessions.Value(GroupQuotaKey(0)).value()), golden);
  record::Operation set;
  set.mutable_set_quota()->set_uid(0);
  set.mutable_set_quota()->set_space_max(32768);
  ASSERT_EQ(sessions.Do(writer, set).error, 0);
  sessions.Pass(15 * kSecondUs);
  EXPECT_EQ(sessions.Create(writer, "h"), EDQUOT);
  record::Operation remove;
  remove.mutable_delete_quota()->set_uid(0);
  ASSERT_EQ(sessions.Do(writer, remove).error, 0);
  EXPECT_EQ(ToHex(sessions.Value(UserQuotaKey(0)).value()), golden) << "the usage stays";
}

TEST(QuotasOfAVolume, AFullVolumeAnswersENOSPC) {
  Format format = Formatted(0);
  format.inodes = 2;
  Sessions sessions(format);
  Writer* writer = sessions.Mount();
  ASSERT_EQ(sessions.Create(writer, "f"), 0);
  ASSERT_EQ(sessions.Create(writer, "g"), 0);
  sessions.Pass(2 * kSecondUs);
  EXPECT_EQ(sessions.Create(writer, "h"), ENOSPC);
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
