// The reference tools on simulated clusters: what is restored is what the source held at the cut, or the tool says loudly
// that it failed. Each planted bug is harmless without its trigger, and with it the guard is what makes the difference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fakes/base/memcomparable.h"
#include "fakes/base/mvcc_records.h"
#include "harness/backup/backup_reader.h"
#include "harness/backup/test_backups.h"
#include "harness/backup/tool_test_bench.h"
#include "harness/juicefs/view_diff.h"

namespace kvjury::backup {
namespace {

using sim::Bug;

void AddFault(record::Case* spec, const std::string& at, void (*set)(record::Fault*)) {
  record::Fault* fault = spec->add_fault();
  fault->set_at(at);
  set(fault);
}

ToolBench::Options WithBug(Bug bug, bool on = true) {
  ToolBench::Options options;
  if (on) {
    options.spec.add_bug(std::string(sim::AllBugs()[static_cast<size_t>(bug)].name));
  }
  return options;
}

/// The ranges tile the key space and were all read at the cut.
void ExpectCover(const ToolReport& report) {
  ASSERT_FALSE(report.ranges.empty());
  Bytes next;
  for (size_t i = 0; i < report.ranges.size(); ++i) {
    EXPECT_EQ(report.ranges[i].range.start, next);
    EXPECT_EQ(report.ranges[i].end_ts, report.cut);
    next = report.ranges[i].range.end;
    EXPECT_EQ(next.empty(), i + 1 == report.ranges.size());
  }
}

void ExpectRestored(ToolBench* bench, const ToolReport& backup) {
  const PairList truth = bench->Truth(backup.cut);
  Result<PairList> shown = bench->Look();
  ASSERT_TRUE(shown.ok()) << shown.status();
  EXPECT_GT(truth.size(), 0U);
  EXPECT_EQ(*shown, truth);
}

// ---- clean runs ----

class CleanRun : public testing::TestWithParam<tikv::SstCodec> {};

TEST_P(CleanRun, RestoresExactlyTheSourceAtTheCut) {
  ToolBench::Options options;
  options.codec = GetParam();
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  ASSERT_TRUE(backup.success) << backup.Sentence();
  ExpectCover(backup);
  EXPECT_EQ(backup.rounds, 1U);
  EXPECT_EQ(backup.keys, 202U);
  // What is written after the cut is not part of it.
  bench.source.LoadPairs({{"k2/later", "x"}}, bench.source.pd().AllocateTimestamp().value());
  const ToolReport restore = bench.Restore();
  ASSERT_TRUE(restore.success) << restore.Sentence();
  EXPECT_EQ(restore.keys, 202U);
  EXPECT_EQ(restore.cut, backup.cut);
  ExpectRestored(&bench, backup);
}

INSTANTIATE_TEST_SUITE_P(Codecs, CleanRun, testing::Values(tikv::SstCodec::kMemory, tikv::SstCodec::kRocksDb),
                         [](const auto& test) { return test.param == tikv::SstCodec::kMemory ? "memory" : "rocksdb"; });

TEST(ReferenceBackup, WritesWhatTheReaderAndSstDumpAccept) {
  ToolBench::Options options;
  options.codec = tikv::SstCodec::kRocksDb;
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  ASSERT_TRUE(backup.success) << backup.Sentence();
  objects::ObjectStore* store = bench.storages.Open(objects::LocalStorage("/backup")).value();
  const BackupContents contents = ReadBackup(store).value();
  EXPECT_TRUE(contents.intact()) << contents.findings.front().message();
  const PairList truth = bench.Truth(backup.cut);
  EXPECT_EQ(PairList(contents.pairs.begin(), contents.pairs.end()), truth);
  EXPECT_EQ(contents.files_read, backup.files);

  std::string folder = (std::filesystem::temp_directory_path() / "kvjury-backup-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  for (const File& file : contents.meta.files()) {
    std::ofstream(folder + "/1.sst", std::ios::binary) << store->Get(file.name()).value();
    const std::string command = "sst_dump --file=" + folder + "/1.sst --command=verify > /dev/null 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << file.name();
  }
  std::filesystem::remove_all(folder);
}

TEST(ReferenceBackup, RefusesAFolderThatHoldsABackup) {
  ToolBench bench;
  FillSource(&bench);
  ASSERT_TRUE(bench.Backup().success);
  const ToolReport second = bench.Backup("backup#2");
  EXPECT_FALSE(second.success);
  EXPECT_EQ(second.failure.code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(bench.Backup("backup#3", "/other").success);
}

// ---- trouble ----

TEST(ReferenceBackup, ARegionThatSplitsUnderItIsAskedAgainAtTheSameTimestamp) {
  ToolBench::Options options;
  AddFault(&options.spec, "backup/region[k1]/read#1", [](record::Fault* f) { f->mutable_split_region(); });
  AddFault(&options.spec, "backup/region[k3]/read#1", [](record::Fault* f) { f->mutable_transfer_leader(); });
  AddFault(&options.spec, "backup/region[k5]/read#1", [](record::Fault* f) { f->mutable_stream_reset(); });
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  ASSERT_TRUE(backup.success) << backup.Sentence();
  EXPECT_TRUE(bench.world.faults().never_fired().empty());
  ExpectCover(backup);
  EXPECT_GT(backup.rounds, 1U);
  EXPECT_GT(backup.retries, 0U);
  ASSERT_TRUE(bench.Restore().success);
  ExpectRestored(&bench, backup);
}

/// Locks of transactions whose client died: one committed at its primary, one that will never be.
void LeaveLocks(ToolBench* bench) {
  const auto lock_at = [](const Bytes& primary, Timestamp start_ts, const Bytes& value) {
    LockRecord lock;
    lock.type = LockType::kPut;
    lock.primary = primary;
    lock.start_ts = start_ts;
    lock.ttl_ms = 3000;
    lock.short_value = value;
    return lock.Encode();
  };
  const Timestamp dead_ts = bench->source.pd().AllocateTimestamp().value();
  const Timestamp start_ts = bench->source.pd().AllocateTimestamp().value();
  const Timestamp commit_ts = bench->source.pd().AllocateTimestamp().value();
  tikv::WriteBatch batch;
  batch.Put(tikv::ColumnFamily::kLock, EncodeKey("k2/dead"), lock_at("k2/dead", dead_ts, "never"));
  batch.Put(tikv::ColumnFamily::kLock, EncodeKey("k4/second"), lock_at("k6/primary", start_ts, "committed"));
  WriteRecord write;
  write.start_ts = start_ts;
  write.short_value = "primary";
  batch.Put(tikv::ColumnFamily::kWrite, EncodeVersionedKey("k6/primary", commit_ts), write.Encode());
  bench->source.ApplyBatch(std::move(batch));
}

TEST(ReferenceBackup, LeftOverLocksAreResolvedAndCommittedOnesAreSaved) {
  ToolBench bench;
  FillSource(&bench);
  LeaveLocks(&bench);
  const ToolReport backup = bench.Backup();
  ASSERT_TRUE(backup.success) << backup.Sentence();
  EXPECT_GE(backup.locks_met, 2U);
  EXPECT_EQ(backup.keys, 204U) << "the two keys of the committed transaction, and not the dead one's";
  ExpectCover(backup);
  ASSERT_TRUE(bench.Restore().success);
  ExpectRestored(&bench, backup);
}

TEST(ReferenceBackup, GarbageCollectionBeyondItsTimestampIsALoudFailure) {
  ToolBench::Options options;
  AddFault(&options.spec, "backup/region[k3]/read#1", [](record::Fault* f) { f->mutable_stream_reset(); });
  AddFault(&options.spec, "backup/region[k3]/read#2", [](record::Fault* f) { f->mutable_gc_now(); });
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  EXPECT_FALSE(backup.success);
  EXPECT_THAT(backup.Sentence(), testing::HasSubstr("garbage collection"));
  EXPECT_TRUE(bench.Backup("backup#2", "/again").success);
}

TEST(ReferenceRestore, ADamagedFileIsALoudFailureBeforeTheTargetIsTouched) {
  ToolBench bench;
  FillSource(&bench);
  bench.target.LoadPairs({{"before", "1"}}, bench.target.pd().AllocateTimestamp().value());
  ASSERT_TRUE(bench.Backup().success);
  objects::ObjectStore* store = bench.storages.Open(objects::LocalStorage("/backup")).value();
  const std::string name = store->List("")->front().name;
  Bytes bytes = store->Get(name).value();
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  ASSERT_TRUE(store->Put(name, bytes).ok());
  const ToolReport restore = bench.Restore();
  EXPECT_FALSE(restore.success);
  EXPECT_EQ(restore.failure.code(), StatusCode::kDataLoss);
  EXPECT_THAT(restore.Sentence(), testing::HasSubstr("file-sha256"));
  EXPECT_EQ(bench.Look()->size(), 1U);
}

TEST(ReferenceRestore, ATargetWithDataIsClearedOrRefused) {
  ToolBench bench;
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  bench.target.LoadPairs({{"a/foreign", "1"}, {"k1/foreign", Bytes(500, '2')}},
                         bench.target.pd().AllocateTimestamp().value());
  RestoreOptions careful;
  careful.clear_target = false;
  const ToolReport refused = bench.Restore("restore", "/backup", careful);
  EXPECT_EQ(refused.failure.code(), StatusCode::kAlreadyExists) << refused.Sentence();
  EXPECT_EQ(bench.Look()->size(), 2U);
  const ToolReport restore = bench.Restore("restore#2");
  ASSERT_TRUE(restore.success) << restore.Sentence();
  EXPECT_EQ(restore.cleared_keys, 2U);
  ExpectRestored(&bench, backup);
}

TEST(ReferenceRestore, ARequestToClearThatComesTwiceDoesNotHarmWhatWasRestored) {
  ToolBench::Options options;
  for (const char* at : {"restore/clear[]#1", "restore/clear[r\\x00\\x00\\x00]#1", "restore/clear[x\\x00\\x00\\x01]#1"}) {
    AddFault(&options.spec, at, [](record::Fault* f) { f->mutable_duplicate()->set_delay_us(30'000'000); });
  }
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  ASSERT_TRUE(bench.Restore().success);
  EXPECT_EQ(bench.world.faults().fired_counts().at("duplicate"), 3U);
  bench.Pass(60'000'000);
  ExpectRestored(&bench, backup);
}

/// Draws faults by seed; every run ends with the truth restored or with a loud failure, and most with the former.
TEST(ReferenceTools, UnderDrawnFaultsTheyRestoreTheTruthOrFailLoudly) {
  int restored = 0;
  uint64_t fired = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    ToolBench::Options options;
    record::Explore* explore = options.spec.mutable_explore();
    explore->set_seed(seed);
    explore->set_fault_ppm(60'000);
    explore->set_nudge_ppm(60'000);
    ToolBench bench(options);
    FillSource(&bench, 60);
    const ToolReport backup = bench.Backup();
    const ToolReport restore = backup.success ? bench.Restore() : ToolReport();
    for (const auto& [kind, count] : bench.world.faults().fired_counts()) {
      fired += count;
    }
    EXPECT_TRUE(backup.success || !backup.failure.message().empty());
    if (!restore.success) {
      continue;
    }
    ExpectCover(backup);
    bench.world.faults().Heal();
    bench.source.Heal();
    bench.target.Heal();
    ExpectRestored(&bench, backup);
    EXPECT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    ++restored;
  }
  EXPECT_GE(restored, 15);
  EXPECT_GT(fired, 50U);
}

/// One run under drawn faults, as the digest of all decisions.
std::string DigestOfRun(uint64_t seed, tikv::SstCodec codec) {
  ToolBench::Options options;
  options.codec = codec;
  options.spec.mutable_explore()->set_seed(seed);
  options.spec.mutable_explore()->set_fault_ppm(30'000);
  options.spec.mutable_explore()->set_nudge_ppm(30'000);
  ToolBench bench(options);
  FillSource(&bench, 60);
  if (bench.Backup().success) {
    EXPECT_TRUE(bench.Restore().success || bench.world.faults().fired_faults().size() > 0);
  }
  return bench.world.DigestText();
}

TEST(ReferenceTools, DecideTheSameInEveryRunAndWithEitherKindOfFile) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const std::string digest = DigestOfRun(seed, tikv::SstCodec::kMemory);
    EXPECT_EQ(DigestOfRun(seed, tikv::SstCodec::kMemory), digest);
    EXPECT_EQ(DigestOfRun(seed, tikv::SstCodec::kRocksDb), digest) << "bytes of files have entered a decision";
  }
  EXPECT_NE(DigestOfRun(1, tikv::SstCodec::kMemory), DigestOfRun(2, tikv::SstCodec::kMemory));
}

// ---- real backups ----

class RealRestore : public testing::TestWithParam<std::string> {};

TEST_P(RealRestore, ShowsTheViewsOfTheRealMounts) {
  ToolBench::Options options;
  options.target_clock_lag_ms = 5'000'000'000;  // the target's clock is behind the recorded timestamps
  ToolBench bench(options);
  const std::unique_ptr<objects::MemoryObjectStore> recorded = LoadRecordedBackup(GetParam());
  objects::ObjectStore* store = bench.storages.Open(objects::LocalStorage("/backup")).value();
  const std::vector<objects::ObjectInfo> files = recorded->List("").value();
  for (const objects::ObjectInfo& info : files) {
    ASSERT_TRUE(store->Put(info.name, *recorded->Get(info.name)).ok());
  }
  const ToolReport restore = bench.Restore();
  ASSERT_TRUE(restore.success) << restore.Sentence();
  const PairList shown = bench.Look().value();
  const juicefs::KeyValues pairs(shown.begin(), shown.end());
  const PairsDiff diff = DiffPairs(pairs, RecordedTruth(GetParam()));
  EXPECT_EQ(diff.different, 0U);
  EXPECT_GT(diff.compared, 2500U);
  const BackupContents contents = ReadBackup(store).value();
  for (const char* volume : {"vol1", "vol2"}) {
    const auto view = [&](const juicefs::KeyValues& all) {
      return juicefs::BuildView(juicefs::BuildImage(juicefs::SelectVolume(all, volume))).value();
    };
    const juicefs::ViewDiff same = juicefs::DiffViews(view(contents.pairs), view(pairs));
    EXPECT_TRUE(same.same());
    EXPECT_GT(same.entries_compared, 250U);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealRestore, testing::Values("quiet", "busy"));

// ---- planted bugs ----

class PlantedBug : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Guard, PlantedBug, testing::Bool(), [](const auto& test) { return test.param ? "off" : "on"; });

TEST_P(PlantedBug, EmptyTreeReadsAsCompleteLosesAnUnansweredRegion) {
  ToolBench::Options options = WithBug(Bug::kEmptyTreeReadsAsComplete, GetParam());
  AddFault(&options.spec, "backup/region[k3]/read#1", [](record::Fault* f) { f->mutable_stream_reset(); });
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  EXPECT_TRUE(backup.success) << backup.Sentence();
  EXPECT_EQ(backup.keys < 202, GetParam());
}

TEST_P(PlantedBug, TwoTimestampsReadARetriedRegionLater) {
  ToolBench::Options options = WithBug(Bug::kTwoTimestampsOneBackup, GetParam());
  AddFault(&options.spec, "backup/region[k3]/read#1", [](record::Fault* f) { f->mutable_stream_reset(); });
  ToolBench bench(options);
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  EXPECT_TRUE(backup.success) << backup.Sentence();
  uint64_t later = 0;
  for (const CoveredRange& range : backup.ranges) {
    later += range.end_ts != backup.cut ? 1 : 0;
  }
  EXPECT_EQ(later, GetParam() ? 1U : 0U);
}

TEST_P(PlantedBug, EncodedEmptyBoundaryStandsForTheWholeKeySpace) {
  ToolBench bench(WithBug(Bug::kEncodedEmptyBoundary, GetParam()));
  FillSource(&bench);
  ASSERT_TRUE(bench.source.SplitAt(""));
  bench.Pass(1'000'000);
  const ToolReport backup = bench.Backup();
  EXPECT_TRUE(backup.success) << backup.Sentence();
  EXPECT_EQ(backup.keys, GetParam() ? 0U : 202U);
}

TEST_P(PlantedBug, AMissingFamilyLeavesCommitsWithoutValues) {
  ToolBench bench(WithBug(Bug::kValueOrCommitFamilyMissing, GetParam()));
  FillSource(&bench);
  ASSERT_TRUE(bench.Backup().success);
  const ToolReport restore = bench.Restore();
  EXPECT_TRUE(restore.success) << restore.Sentence();
  const bool values = bench.target.engine().Latest().Scan(tikv::ColumnFamily::kDefault, {}, {}).Valid();
  EXPECT_EQ(values, !GetParam());
}

TEST_P(PlantedBug, SwappedFilesOfEqualLengthAreFoundByTheDigest) {
  ToolBench bench(WithBug(Bug::kRightNameWrongFile, GetParam()));
  const Timestamp ts = bench.source.pd().AllocateTimestamp().value();
  bench.source.LoadPairs({{"a", "1"}, {"b", "2"}}, ts);
  ASSERT_TRUE(bench.source.SplitAt("b"));
  bench.Pass(1'000'000);
  const ToolReport backup = bench.Backup();
  ASSERT_TRUE(backup.success);
  ASSERT_EQ(backup.files, 2U);
  objects::ObjectStore* store = bench.storages.Open(objects::LocalStorage("/backup")).value();
  std::vector<std::string> names;
  for (const CoveredRange& range : backup.ranges) {
    names.insert(names.end(), range.files.begin(), range.files.end());
  }
  const Bytes first = store->Get(names[0]).value();
  const Bytes second = store->Get(names[1]).value();
  ASSERT_EQ(first.size(), second.size());
  ASSERT_TRUE(store->Put(names[0], second).ok());
  ASSERT_TRUE(store->Put(names[1], first).ok());
  const ToolReport restore = bench.Restore();
  EXPECT_EQ(restore.success, GetParam()) << restore.Sentence();
  EXPECT_TRUE(bench.Look()->empty());
}

TEST_P(PlantedBug, ANewerTombstoneHidesARestoredKey) {
  ToolBench bench(WithBug(Bug::kNewerTombstoneHidesRestore, GetParam()));
  FillSource(&bench);
  const ToolReport backup = bench.Backup();
  const Bytes key = bench.Truth(backup.cut)[5].first;
  WriteRecord tombstone;
  tombstone.type = WriteType::kDelete;
  tombstone.start_ts = bench.target.pd().AllocateTimestamp().value();
  tikv::WriteBatch batch;
  batch.Put(tikv::ColumnFamily::kWrite, EncodeVersionedKey(key, bench.target.pd().AllocateTimestamp().value()),
            tombstone.Encode());
  bench.target.ApplyBatch(std::move(batch));
  const ToolReport restore = bench.Restore();
  EXPECT_TRUE(restore.success) << restore.Sentence();
  EXPECT_EQ(bench.Look()->size(), GetParam() ? 201U : 202U);
}

TEST_P(PlantedBug, ATargetClockThatIsBehindHidesTheRestore) {
  ToolBench::Options options = WithBug(Bug::kTargetClockBehind, GetParam());
  options.target_clock_lag_ms = 3'600'000;
  ToolBench bench(options);
  FillSource(&bench);
  ASSERT_TRUE(bench.Backup().success);
  const ToolReport restore = bench.Restore();
  EXPECT_TRUE(restore.success) << restore.Sentence();
  EXPECT_EQ(bench.Look()->size(), GetParam() ? 0U : 202U);
}

TEST_P(PlantedBug, SplitKeysThatAreNotEncodedBreakEveryReader) {
  ToolBench bench(WithBug(Bug::kSplitKeysUnencoded, GetParam()));
  FillSource(&bench);
  ASSERT_TRUE(bench.Backup().success);
  const ToolReport restore = bench.Restore();
  EXPECT_TRUE(restore.success) << restore.Sentence();
  EXPECT_EQ(bench.Look().ok(), !GetParam());
}

}  // namespace
}  // namespace kvjury::backup
