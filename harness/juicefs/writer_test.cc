// One writer alone: golden bytes of what it leaves behind, and the errno of odd calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "fakes/sim/scheduler.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {
namespace {

constexpr char kVolume[] = "vol";

/// A formatted volume with one running session.
class Mounted {
 public:
  explicit Mounted(uint32_t trash_days = 1, MountOptions mount = {}) : store_(&scheduler_, {}) {
    store_.Preload(WithPrefix(FormatPairs(DefaultFormat(kVolume, trash_days), store_.wall_ns()), kVolume));
    WriterOptions options;
    options.volume_name = kVolume;
    options.mount = mount;
    options.wall_ns = [this] { return store_.wall_ns(); };
    writer_ = std::make_unique<Writer>(&store_, options);
    Run(StartWriter(writer_.get()));
  }

  OperationResult Do(record::Operation operation) {
    operation.set_id(++last_id_);
    OperationResult result;
    Run(DoOne(writer_.get(), std::move(operation), &result));
    return result;
  }
  void Stop() { Run(StopWriter(writer_.get())); }

  int Mkdir(const Bytes& path) {
    record::Operation operation;
    operation.mutable_mkdir()->set_path(path);
    operation.mutable_mkdir()->set_mode(0755);
    return Do(operation).error;
  }
  int Create(const Bytes& path) {
    record::Operation operation;
    operation.mutable_create()->set_path(path);
    operation.mutable_create()->set_mode(0644);
    return Do(operation).error;
  }
  int Write(const Bytes& path, uint64_t offset, uint32_t length) {
    record::Operation operation;
    operation.mutable_write()->set_path(path);
    operation.mutable_write()->set_offset(offset);
    operation.mutable_write()->set_length(length);
    return Do(operation).error;
  }
  int Truncate(const Bytes& path, uint64_t length) {
    record::Operation operation;
    operation.mutable_truncate()->set_path(path);
    operation.mutable_truncate()->set_length(length);
    return Do(operation).error;
  }
  int Link(const Bytes& from, const Bytes& to) {
    record::Operation operation;
    operation.mutable_link()->set_from(from);
    operation.mutable_link()->set_to(to);
    return Do(operation).error;
  }
  int Symlink(const Bytes& target, const Bytes& path) {
    record::Operation operation;
    operation.mutable_symlink()->set_target(target);
    operation.mutable_symlink()->set_path(path);
    return Do(operation).error;
  }
  int Unlink(const Bytes& path) {
    record::Operation operation;
    operation.mutable_unlink()->set_path(path);
    return Do(operation).error;
  }
  int Rmdir(const Bytes& path) {
    record::Operation operation;
    operation.mutable_rmdir()->set_path(path);
    return Do(operation).error;
  }
  int Rename(const Bytes& from, const Bytes& to, uint32_t flags = 0) {
    record::Operation operation;
    operation.mutable_rename()->set_from(from);
    operation.mutable_rename()->set_to(to);
    operation.mutable_rename()->set_flags(flags);
    return Do(operation).error;
  }
  int SetXattr(const Bytes& path, const Bytes& name, const Bytes& value) {
    record::Operation operation;
    operation.mutable_setxattr()->set_path(path);
    operation.mutable_setxattr()->set_name(name);
    operation.mutable_setxattr()->set_value(value);
    return Do(operation).error;
  }
  int RemoveXattr(const Bytes& path, const Bytes& name) {
    record::Operation operation;
    operation.mutable_removexattr()->set_path(path);
    operation.mutable_removexattr()->set_name(name);
    return Do(operation).error;
  }

  KeyValues Pairs() { return SelectVolume(store_.Snapshot(store_.Now()), kVolume); }
  Bytes Value(const Key& key) {
    const KeyValues pairs = Pairs();
    const auto found = pairs.find(EncodeKey(key));
    return found == pairs.end() ? Bytes("absent") : found->second;
  }
  TestStore& store() { return store_; }
  Writer& writer() { return *writer_; }

 private:
  static sim::Task<void> StartWriter(Writer* writer) {
    sim::Task<Status> start = writer->Start();
    const Status started = co_await std::move(start);
    EXPECT_TRUE(started.ok()) << started;
  }
  static sim::Task<void> StopWriter(Writer* writer) {
    sim::Task<Status> stop = writer->Stop();
    const Status stopped = co_await std::move(stop);
    EXPECT_TRUE(stopped.ok()) << stopped;
  }
  static sim::Task<void> DoOne(Writer* writer, record::Operation operation, OperationResult* result) {
    sim::Task<OperationResult> run = writer->Do(operation);
    *result = co_await std::move(run);
  }
  void Run(sim::Task<void> task) {
    sim::Scope scope(&scheduler_);
    scope.Spawn("test", std::move(task));
    while (scope.running() > 0) {
      ASSERT_TRUE(scheduler_.RunOne());
    }
    scope.RethrowFirst();
  }

  sim::Scheduler scheduler_;
  TestStore store_;
  std::unique_ptr<Writer> writer_;
  uint32_t last_id_ = 0;
};

TEST(FormatVolume, WritesTheGoldenRecordsAndNothingElse) {
  const int64_t wall_ns = int64_t{0x6b0309ff} * 1'000'000'000 + 123;
  const KeyValues pairs = WithPrefix(FormatPairs(DefaultFormat(kVolume, 1), wall_ns), kVolume);
  EXPECT_EQ(pairs.size(), 5U);
  EXPECT_EQ(ToHex(pairs.at(Hex("766f6cfd 41 0100000000000000 49"))),
            ToHex(Hex("00 21ff 00000000 00000000 000000006b0309ff 00000000 000000006b0309ff 00000000 000000006b0309ff "
                      "00000000 00000002 0000000000001000 00000000 0000000000000001 00")));
  EXPECT_EQ(ToHex(pairs.at(Hex("766f6cfd 41 00000010ffffff7f 49"))).substr(0, 6), "00216d");
  EXPECT_EQ(ToHex(pairs.at(Hex("766f6cfd 43 6e657874496e6f6465"))), "0200000000000000");
  EXPECT_EQ(ToHex(pairs.at(Hex("766f6cfd 43 6e6578744368756e6b"))), "0100000000000000");
  EXPECT_EQ(pairs.count(Hex("766f6cfd 73657474696e67")), 1U);
  EXPECT_EQ(FormatPairs(DefaultFormat(kVolume, 0), wall_ns).size(), 4U) << "no trash, no root of the trash";
}

TEST(GenerateVolume, KeepsEveryInvariant) {
  uint64_t counted = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    GenerateOptions options;
    options.seed = seed;
    options.files = static_cast<uint32_t>(seed * 7 % 60);
    options.directories = static_cast<uint32_t>(seed % 9);
    options.trash_days = seed % 3 == 0 ? 0 : 1;
    const VolumeImage image = BuildImage(GenerateVolume(options));
    for (const InvariantResult& result : CheckInvariants(image)) {
      counted += result.counted;
      for (const InvariantIssue& issue : result.issues) {
        ADD_FAILURE() << "seed " << seed << ": " << result.name << ": " << issue.ToString();
      }
    }
    EXPECT_GE(image.inodes.size(), options.files + options.directories);
  }
  EXPECT_GT(counted, 1000U);
}

TEST(Writer, KnowsTheVolumesSettingFromItsStart) {
  for (const uint32_t days : {0U, 3U}) {
    Mounted mounted(days);
    EXPECT_EQ(mounted.writer().setting(), DefaultFormat(kVolume, days));
  }
  sim::Scheduler scheduler;
  TestStore empty(&scheduler, {});
  WriterOptions options;
  options.volume_name = kVolume;
  options.wall_ns = [&empty] { return empty.wall_ns(); };
  Writer writer(&empty, options);
  Status started;
  sim::Scope scope(&scheduler);
  scope.Spawn("test", [](Writer* of, Status* status) -> sim::Task<void> {
    sim::Task<Status> start = of->Start();
    *status = co_await std::move(start);
  }(&writer, &started));
  while (scope.running() > 0) {
    ASSERT_TRUE(scheduler.RunOne());
  }
  EXPECT_EQ(started.code(), StatusCode::kNotFound) << started;
  EXPECT_TRUE(empty.Snapshot(empty.Now()).empty()) << "nothing is written to a volume that is not there";
}

TEST(Writer, AReadOnlyMountReadsAndLeavesNoTrace) {
  MountOptions mount;
  mount.read_only = true;
  Mounted mounted(1, mount);
  const KeyValues before = mounted.Pairs();
  record::Operation lookup;
  lookup.mutable_lookup()->set_path("");
  EXPECT_EQ(mounted.Do(lookup).error, 0);
  record::Operation readdir;
  readdir.mutable_readdir()->set_path("");
  EXPECT_EQ(mounted.Do(readdir).error, 0);
  EXPECT_EQ(mounted.Mkdir("d"), EROFS);
  EXPECT_EQ(mounted.Create("f"), EROFS);
  EXPECT_EQ(mounted.SetXattr("", "user.a", "b"), EROFS);
  EXPECT_EQ(mounted.writer().session_id(), 0U);
  mounted.Stop();
  EXPECT_EQ(mounted.Pairs(), before);
}

TEST(Writer, AClientThatDiesFlushesNothingAndLeavesItsSession) {
  Mounted mounted;
  EXPECT_EQ(mounted.Create("f"), 0);
  record::Operation die;
  die.mutable_die();
  EXPECT_EQ(mounted.Do(die).error, 0);
  EXPECT_EQ(mounted.Create("g"), ENOTCONN);
  mounted.Stop();
  EXPECT_EQ(mounted.Value(CounterKey("usedSpace")), "absent");
  EXPECT_EQ(mounted.Value(SessionKey(KeyKind::kSessionExpiry, 1)).size(), 8U);
  EXPECT_NE(mounted.Value(SessionKey(KeyKind::kSessionInfo, 1)), "absent");
}

TEST(Writer, SleepLetsTimePass) {
  Mounted mounted;
  const int64_t before_ns = mounted.store().wall_ns();
  record::Operation sleep;
  sleep.mutable_sleep()->set_duration_us(3'600'000'000);
  EXPECT_EQ(mounted.Do(sleep).error, 0);
  EXPECT_EQ(mounted.store().wall_ns() - before_ns, 3'600'000'000'000);
}

TEST(Writer, TruncateAppendsTheGoldenZeroRecords) {
  Mounted mounted;
  EXPECT_EQ(mounted.Create("f"), 0);
  const Inode file(2);
  EXPECT_EQ(mounted.Write("f", 0, 8192), 0);
  EXPECT_EQ(mounted.Write("f", 4096, 8192), 0);
  const std::string written =
      "00000000 0000000000000001 00002000 00000000 00002000 00001000 0000000000000002 00002000 00000000 00002000 ";
  EXPECT_EQ(ToHex(mounted.Value(ChunkKey(file, 0))), ToHex(Hex(written)));
  EXPECT_EQ(mounted.Truncate("f", 5000), 0);
  std::string first = written + "00001388 0000000000000000 00000000 00000000 00001c78 ";
  EXPECT_EQ(ToHex(mounted.Value(ChunkKey(file, 0))), ToHex(Hex(first)));
  EXPECT_EQ(mounted.Truncate("f", uint64_t{200} << 20), 0);
  first += "00001388 0000000000000000 00000000 00000000 03ffec78 ";
  std::string last = "00000000 0000000000000000 00000000 00000000 00800000 ";
  EXPECT_EQ(ToHex(mounted.Value(ChunkKey(file, 0))), ToHex(Hex(first)));
  EXPECT_EQ(ToHex(mounted.Value(ChunkKey(file, 3))), ToHex(Hex(last)));
  EXPECT_EQ(mounted.Value(ChunkKey(file, 1)), "absent");
  EXPECT_EQ(mounted.Truncate("f", 10000), 0);
  first += "00002710 0000000000000000 00000000 00000000 03ffd8f0";
  last += last;
  EXPECT_EQ(ToHex(mounted.Value(ChunkKey(file, 0))), ToHex(Hex(first)));
  EXPECT_EQ(ToHex(mounted.Value(ChunkKey(file, 3))), ToHex(Hex(last)));
}

TEST(Writer, ALinkMovesTheParentIntoCounts) {
  Mounted mounted;
  EXPECT_EQ(mounted.Mkdir("d"), 0);
  EXPECT_EQ(mounted.Create("d/f"), 0);
  EXPECT_EQ(mounted.Link("d/f", "g"), 0);
  const Bytes attr = mounted.Value(AttrKey(Inode(3)));
  ASSERT_EQ(attr.size(), 72U);
  EXPECT_EQ(ToHex(attr).substr(0, 6), "0011a4");
  EXPECT_EQ(ToHex(attr.substr(47)), ToHex(Hex("00000002 0000000000000000 00000000 0000000000000000 00")));
  EXPECT_EQ(ToHex(mounted.Value(LinkCountKey(Inode(3), Inode(2)))), "0100000000000000");
  EXPECT_EQ(ToHex(mounted.Value(LinkCountKey(Inode(3), kRootInode))), "0100000000000000");
  EXPECT_EQ(ToHex(mounted.Value(DentryKey(kRootInode, "g"))), "010000000000000003");
}

TEST(Writer, IdsComeInBatchesAndUsageIsFlushedAtTheEnd) {
  Mounted mounted;
  EXPECT_EQ(mounted.Mkdir("d"), 0);
  EXPECT_EQ(mounted.Create("d/f"), 0);
  EXPECT_EQ(mounted.Write("d/f", 0, 10000), 0);
  EXPECT_EQ(ToHex(mounted.Value(CounterKey("nextInode"))), "0204000000000000");
  EXPECT_EQ(ToHex(mounted.Value(CounterKey("nextChunk"))), "0110000000000000");
  EXPECT_EQ(mounted.Value(CounterKey("usedSpace")), "absent");
  EXPECT_EQ(mounted.Value(SessionKey(KeyKind::kSessionExpiry, 1)).size(), 8U);
  mounted.Stop();
  EXPECT_EQ(mounted.Value(SessionKey(KeyKind::kSessionExpiry, 1)), "absent");
  EXPECT_EQ(*DecodeInt64Le(mounted.Value(CounterKey("usedSpace"))), 4096 + 12288);
  EXPECT_EQ(*DecodeInt64Le(mounted.Value(CounterKey("totalInodes"))), 2);
  EXPECT_EQ(ToHex(mounted.Value(DirStatKey(Inode(2)))),
            ToHex(Hex("0000000000002710 0000000000003000 0000000000000001")));
}

TEST(Writer, UnlinkMovesToTheHourOrRemovesEverything) {
  Mounted with_trash(1);
  EXPECT_EQ(with_trash.Create("f"), 0);
  EXPECT_EQ(with_trash.Unlink("f"), 0);
  const Inode hour(kTrashInode.value() + 1);
  EXPECT_EQ(ToHex(with_trash.Value(DentryKey(hour, "1-2-f"))), "010000000000000002");
  EXPECT_EQ(ToHex(with_trash.Value(DentryKey(kTrashInode, TrashHourName(with_trash.store().wall_ns())))),
            "027fffffff10000001");

  Mounted without(0);
  EXPECT_EQ(without.Create("f"), 0);
  EXPECT_EQ(without.Write("f", 0, 5000), 0);
  EXPECT_EQ(without.SetXattr("f", "user.a", "b"), 0);
  EXPECT_EQ(without.Unlink("f"), 0);
  size_t looked_at = 0;
  for (const auto& [key, value] : without.Pairs()) {
    looked_at += 1;
    const Result<Key> parsed = ParseKey(key);
    ASSERT_TRUE(parsed.ok());
    EXPECT_NE(parsed->inode, Inode(2)) << DescribeKey(*parsed) << " is left";
    EXPECT_NE(parsed->kind, KeyKind::kSliceReferences);
  }
  EXPECT_GT(looked_at, 3U);
}

TEST(Writer, OddCallsGetTheErrnoOfPosix) {
  Mounted m;
  ASSERT_EQ(m.Mkdir("d"), 0);
  ASSERT_EQ(m.Mkdir("d/e"), 0);
  ASSERT_EQ(m.Create("f"), 0);
  ASSERT_EQ(m.Create("g"), 0);
  ASSERT_EQ(m.Link("f", "d/link"), 0);
  EXPECT_EQ(m.Mkdir("d"), EEXIST);
  EXPECT_EQ(m.Mkdir(""), EEXIST);
  EXPECT_EQ(m.Mkdir("none/x"), ENOENT);
  EXPECT_EQ(m.Create("f/x"), ENOTDIR);
  EXPECT_EQ(m.Create(Bytes(256, 'n')), ENAMETOOLONG);
  EXPECT_EQ(m.Create(Bytes(255, 'n')), 0);
  EXPECT_EQ(m.Create(".trash/x"), EPERM);
  EXPECT_EQ(m.Mkdir(".trash"), EPERM);
  EXPECT_EQ(m.Symlink("", "s"), ENOENT);
  EXPECT_EQ(m.Symlink(Bytes(4097, 't'), "s"), ENAMETOOLONG);
  EXPECT_EQ(m.Write("d", 0, 1), EISDIR);
  EXPECT_EQ(m.Write("none", 0, 1), ENOENT);
  EXPECT_EQ(m.Write("f", uint64_t{1} << 62, 1), EFBIG);
  EXPECT_EQ(m.Truncate("d", 0), EISDIR);
  EXPECT_EQ(m.Link("d", "x"), EPERM);
  EXPECT_EQ(m.Link("f", "g"), EEXIST);
  EXPECT_EQ(m.Unlink("d"), EISDIR);
  EXPECT_EQ(m.Unlink("none"), ENOENT);
  EXPECT_EQ(m.Rmdir("f"), ENOTDIR);
  EXPECT_EQ(m.Rmdir("d"), ENOTEMPTY);
  EXPECT_EQ(m.Rmdir("none"), ENOENT);
  EXPECT_EQ(m.Rmdir(""), EBUSY);
  EXPECT_EQ(m.Rmdir(".trash"), EPERM);
  EXPECT_EQ(m.Rename("none", "x"), ENOENT);
  EXPECT_EQ(m.Rename("f", "g", 1), EEXIST);
  EXPECT_EQ(m.Rename("f", "none", 2), ENOENT);
  EXPECT_EQ(m.Rename("f", "x", 4), ENOTSUP);
  EXPECT_EQ(m.Rename("f", "x", 64), EINVAL);
  EXPECT_EQ(m.Rename("d", "d/e/x"), EINVAL);
  EXPECT_EQ(m.Rename("d/e", "d"), ENOTEMPTY);
  EXPECT_EQ(m.Rename("f", "d"), EISDIR);
  EXPECT_EQ(m.Rename("d", "f"), ENOTDIR);
  EXPECT_EQ(m.Rename("f", "f"), 0);
  EXPECT_EQ(m.Rename("f", "d/link"), 0) << "two links of one file";
  EXPECT_EQ(m.Rename("f", ".trash/x"), EPERM);
  EXPECT_EQ(m.SetXattr("f", "user.a", ""), EINVAL);
  EXPECT_EQ(m.SetXattr("f", Bytes(256, 'x'), "v"), ERANGE);
  EXPECT_EQ(m.SetXattr("none", "user.a", "v"), ENOENT);
  EXPECT_EQ(m.RemoveXattr("f", "user.a"), ENODATA);
  record::Operation readdir;
  readdir.mutable_readdir()->set_path("");
  EXPECT_THAT(m.Do(readdir).names, testing::ElementsAre("d", "f", "g", Bytes(255, 'n')));
  EXPECT_EQ(m.Do(record::Operation()).error, EINVAL);
}

TEST(Writer, ALostAnswerIsNeverTriedAgainAndMayHaveHappened) {
  for (const bool takes_place : {false, true}) {
    Mounted m;
    ASSERT_EQ(m.Mkdir("d"), 0);
    m.store().LoseAnswer("w1/op2/txn#1", takes_place);
    record::Operation operation;
    operation.mutable_mkdir()->set_path("e");
    const OperationResult result = m.Do(operation);
    EXPECT_EQ(result.error, EIO);
    EXPECT_FALSE(result.acknowledged);
    EXPECT_TRUE(result.undetermined);
    ASSERT_EQ(result.transactions.size(), 1U);
    const DeclaredTransaction& transaction = result.transactions[0];
    EXPECT_TRUE(transaction.undetermined);
    EXPECT_FALSE(transaction.commit_ts.valid());
    EXPECT_EQ(transaction.label, "w1/op2/txn#1");
    EXPECT_FALSE(transaction.effects.empty());
    EXPECT_EQ(m.store().CommitOf(transaction.start_ts).has_value(), takes_place);
    EXPECT_EQ(m.Value(DentryKey(kRootInode, "e")) != "absent", takes_place);
  }
}

}  // namespace
}  // namespace kvjury::juicefs
