// Drills in which everything agrees, and each account of them broken: the verdict, and the words an operator reads.
#include "harness/judge/judge_drill.h"

#include "harness/judge/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::judge {
namespace {

using testing::HasSubstr;

constexpr uint64_t kBegin = uint64_t{1000} << 18;
constexpr uint64_t kCut = uint64_t{2000} << 18;
constexpr uint64_t kMiB = uint64_t{1} << 20;

const record::CheckResult* FindCheck(const record::DrillRecord& record, const std::string& code) {
  for (const record::CheckResult& result : record.check()) {
    if (result.check() == code) {
      return &result;
    }
  }
  return nullptr;
}

class JudgeDrillTest : public testing::Test {
 protected:
  JudgeDrillTest() {
    juicefs::GenerateOptions options;
    options.volume_name = "vol";
    options.directories = 3;
    options.files = 12;
    options.seed = 5;
    for (const auto& [key, value] : juicefs::WithPrefix(juicefs::GenerateVolume(options), "vol")) {
      source_[key] = Version{value, Timestamp(kBegin), Timestamp(kBegin + 1)};
    }
    evidence_.set_volume("vol");
    evidence_.set_backup_ran(true);
    evidence_.set_restore_ran(true);
    evidence_.set_claim("success");
    evidence_.set_cut_ts(kCut);
    AddPairs(source_, evidence_.mutable_source());
    AddPairs(source_, evidence_.mutable_target()->mutable_pair());
    evidence_.mutable_target()->set_records_checked(source_.size());
    evidence_.mutable_target()->set_boundaries_checked(4);
    evidence_.mutable_target()->add_timestamp(kCut + 5);
    evidence_.mutable_files()->set_end_version(kCut);
    AddPairs(source_, evidence_.mutable_files()->mutable_pair());
    auto* file = evidence_.mutable_files()->add_file();
    file->set_name("1/2_3_write.sst");
    file->set_end_version(kCut);
    const juicefs::View view = juicefs::BuildView(ImageOf(source_, "vol")).value();
    walks_ = DrillWalks{view, view};
  }

  record::DrillRecord Judged() {
    record::DrillRecord record;
    JudgeDrill(evidence_, walks_, &record);
    return record;
  }
  record::DrillEvidence::Pair* TargetPair(const Bytes& key) {
    for (record::DrillEvidence::Pair& pair : *evidence_.mutable_target()->mutable_pair()) {
      if (pair.key() == key) {
        return &pair;
      }
    }
    return nullptr;
  }
  /// The target holds what `pairs` say.
  void SetTarget(const Pairs& pairs) {
    evidence_.mutable_target()->clear_pair();
    AddPairs(pairs, evidence_.mutable_target()->mutable_pair());
  }
  /// A phase with a limit of 1 MiB a second.
  record::DrillRate* AddRate(const std::string& phase, uint64_t store_bytes_max, int64_t took_ms) {
    record::DrillRate* rate = evidence_.add_rate();
    rate->set_phase(phase);
    rate->set_bytes(3 * store_bytes_max);
    rate->set_store_bytes_max(store_bytes_max);
    rate->set_took_ms(took_ms);
    rate->set_limit_bytes_per_s(kMiB);
    return rate;
  }
  void MakeLogical() {
    evidence_.set_logical(true);
    evidence_.clear_files();
    evidence_.set_cut_ts(kBegin + 1);
    evidence_.set_window_end_ts(kCut);
  }
  /// The entry NAME of the root goes at `ts`: its name alone, as an observer between two transactions cannot see it.
  Pairs Remove(Pairs pairs, const Bytes& key, uint64_t ts) {
    auto* change = evidence_.add_change();
    change->set_key(key);
    change->set_deleted(true);
    change->set_commit_ts(ts);
    pairs.erase(key);
    return pairs;
  }
  std::vector<Bytes> NamesOfFiles() {
    std::vector<Bytes> keys;
    const Bytes prefix = juicefs::VolumePrefix("vol");
    for (const auto& [key, version] : source_) {
      // A, eight bytes of inode, D, a name; of a regular file.
      if (key.size() > prefix.size() + 10 && key[prefix.size()] == 'A' && key[prefix.size() + 9] == 'D' && version.value[0] == 1) {
        keys.push_back(key);
      }
    }
    return keys;
  }

  Pairs source_;
  record::DrillEvidence evidence_;
  std::optional<DrillWalks> walks_;
};

TEST_F(JudgeDrillTest, WhatAgreesEverywhereIsSameWithCounts) {
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_SAME) << record.why() << record.DebugString();
  EXPECT_EQ(record.scope().keys_compared(), source_.size());
  EXPECT_GT(record.scope().entries_compared(), 12U);
  EXPECT_THAT(record.why(), HasSubstr("two mounts show the same"));
}

TEST_F(JudgeDrillTest, ALostKeyIsAFalseSuccessThatNamesKeyAndLayer) {
  const Bytes lost = NamesOfFiles().front();
  Pairs target = source_;
  target.erase(lost);
  SetTarget(target);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), HasSubstr("the target lacks 1, shows 0 with another value and 0 that were not there"));
  EXPECT_THAT(record.why(), HasSubstr("D("));
  EXPECT_THAT(record.why(), HasSubstr("lost while it was imported"));
}

TEST_F(JudgeDrillTest, AnEmptyBackupIsLostInItsFiles) {
  evidence_.mutable_files()->clear_pair();
  evidence_.mutable_files()->clear_file();
  SetTarget({});
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), HasSubstr("lost in the backup's files"));
  EXPECT_THAT(record.why(), HasSubstr("EXIT: the tool said success over 0 keys"));
}

TEST_F(JudgeDrillTest, FilesThatCannotBeReadProveNothing) {
  evidence_.clear_files();
  evidence_.set_no_files("no backupmeta");
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_UNPROVEN);
  EXPECT_THAT(record.why(), HasSubstr("no backupmeta"));
}

TEST_F(JudgeDrillTest, ASuccessThatLeftNothingIsFalseThoughTheRestoreFailsLoudly) {
  evidence_.clear_files();
  evidence_.set_no_files("no backupmeta");
  evidence_.set_restore_ran(false);
  evidence_.set_trouble(true);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), HasSubstr("left nothing to restore: no backupmeta"));
}

TEST_F(JudgeDrillTest, ACopyWhoseFormIsNotReadIsJudgedByItsTarget) {
  evidence_.clear_files();
  EXPECT_EQ(Judged().outcome(), record::DRILL_SAME);
  SetTarget({});
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), testing::Not(HasSubstr("EXIT")));
}

TEST_F(JudgeDrillTest, AClockBehindIsNamedAsTheCause) {
  SetTarget({});
  evidence_.mutable_target()->set_timestamp(0, kBegin);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), HasSubstr("TSO: the target gives the timestamp"));
}

TEST_F(JudgeDrillTest, MountsThatDifferConvictAlone) {
  walks_->target.entries.erase(std::prev(walks_->target.entries.end()));
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), HasSubstr("the keys agree"));
}

TEST_F(JudgeDrillTest, WithoutMountsNothingIsProved) {
  walks_.reset();
  evidence_.set_no_walks("no juicefs");
  EXPECT_EQ(Judged().outcome(), record::DRILL_UNPROVEN);
}

TEST_F(JudgeDrillTest, AFaultThatDidNotStrikeProvesNothingAndHidesNothing) {
  evidence_.set_fault_missed(true);
  EXPECT_EQ(Judged().outcome(), record::DRILL_UNPROVEN);
  EXPECT_THAT(Judged().why(), HasSubstr("the fault did not strike"));
  SetTarget({});
  EXPECT_EQ(Judged().outcome(), record::DRILL_FALSE_SUCCESS);
}

TEST_F(JudgeDrillTest, ADrillThatWasNotPlayedToItsEndIsUnprovenWithTheReason) {
  evidence_.set_not_played("juicefs mount of live did not get ready");
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_UNPROVEN);
  EXPECT_THAT(record.why(), HasSubstr("juicefs mount of live did not get ready"));
}

TEST_F(JudgeDrillTest, ALoudFailureIsHonestUnderAFaultAndADefectWithoutOne) {
  evidence_.set_restore_ran(false);
  evidence_.set_claim("Error: split failed");
  EXPECT_EQ(Judged().outcome(), record::DRILL_DIFFERENT);
  evidence_.set_trouble(true);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_HONEST_FAILURE);
  EXPECT_EQ(record.why(), "the restore failed and said so: Error: split failed");
}

TEST_F(JudgeDrillTest, ATimeThatRanOutIsAHangOnlyIfNothingMoved) {
  evidence_.set_backup_ran(false);
  evidence_.set_timed_out(true);
  EXPECT_EQ(Judged().outcome(), record::DRILL_UNPROVEN);
  evidence_.set_stuck("backup wrote nothing for 60 s; of the source store-1 backup 200 times");
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_HANG);
  EXPECT_THAT(record.why(), HasSubstr("store-1 backup 200 times"));
}

TEST_F(JudgeDrillTest, APaceTenTimesOverTheLimitIsConvictedAloneAndMakesSameUnprovenAndNeverDifferent) {
  AddRate("backup", 40 * kMiB, 40'000);
  AddRate("restore", 40 * kMiB, 4'000);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_UNPROVEN);
  EXPECT_THAT(record.why(), HasSubstr("the limit was not kept: the restore moved 41943040 bytes through one store in 4000 ms, at least 8388608 a "
                                      "second where 1048576 were asked for"));
  EXPECT_THAT(record.why(), HasSubstr("two mounts show the same"));
  ASSERT_EQ(record.finding_size(), 1);
  EXPECT_EQ(record.finding(0).check(), "RATE");
  EXPECT_EQ(record.finding(0).field(), "restore");
  EXPECT_EQ(record.finding(0).expected(), "1048576");
  EXPECT_EQ(FindCheck(record, "RATE")->counted(), 2U);
  EXPECT_EQ(FindCheck(record, "RATE")->findings(), 1U);
  EXPECT_EQ(record.rate(0).judgement(), record::DrillRate::KEPT);
  EXPECT_EQ(record.rate(1).judgement(), record::DrillRate::EXCEEDED);
}

TEST_F(JudgeDrillTest, APaceOverTheLimitHidesNoDifference) {
  AddRate("backup", 40 * kMiB, 1'000);
  SetTarget({});
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_EQ(FindCheck(record, "RATE")->findings(), 1U);
}

TEST_F(JudgeDrillTest, ALimitThatIsKeptLeavesTheVerdictAlone) {
  const std::string why = Judged().why();
  // Three stores may move three times the limit together.
  AddRate("backup", 40 * kMiB, 40'000)->set_bytes(120 * kMiB);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_SAME);
  EXPECT_EQ(record.why(), why);
  EXPECT_EQ(FindCheck(record, "RATE")->counted(), 1U);
  EXPECT_EQ(FindCheck(record, "RATE")->unproven(), "");
  EXPECT_EQ(record.rate(0).judgement(), record::DrillRate::KEPT);
}

TEST_F(JudgeDrillTest, WithoutALimitOrWithTooFewBytesThePaceIsNotJudgedAndNeverCalledKept) {
  AddRate("backup", 40 * kMiB, 1)->set_limit_bytes_per_s(0);
  EXPECT_EQ(FindCheck(Judged(), "RATE")->unproven(), "no command names a limit");
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, kMiB}) {
    evidence_.clear_rate();
    AddRate("backup", bytes, 0);
    const record::DrillRecord record = Judged();
    EXPECT_EQ(record.outcome(), record::DRILL_SAME) << bytes;
    EXPECT_EQ(FindCheck(record, "RATE")->counted(), 0U);
    EXPECT_THAT(FindCheck(record, "RATE")->unproven(), HasSubstr(bytes == 0 ? "moved nothing" : "no more through a store"));
    EXPECT_EQ(record.rate(0).judgement(), record::DrillRate::NOT_JUDGED);
  }
}

TEST_F(JudgeDrillTest, APaceIsConvictedByNoHonestLimiterAndByEveryOneThatIsTenTimesTooFast) {
  google::protobuf::RepeatedPtrField<record::DrillRate> judged;
  const auto findings = [this, &judged]() { return CheckRates(evidence_.rate(), &judged).result.findings(); };
  uint64_t judged_count = 0;
  // TiKV's bucket begins with a tenth of a second's bytes, and what is left over at the end is not waited for.
  for (const uint64_t limit : {uint64_t{100}, uint64_t{4096}, kMiB, uint64_t{1} << 40}) {
    for (const uint64_t seconds : {1, 2, 3, 10, 1000, 100'000}) {
      for (const uint64_t free_ms : {0, 100, 1000}) {
        evidence_.clear_rate();
        AddRate("backup", limit * seconds, static_cast<int64_t>(seconds * 1000 - free_ms))->set_limit_bytes_per_s(limit);
        EXPECT_EQ(findings(), 0U) << limit << " " << seconds << " " << free_ms;
        judged_count += judged[0].judgement() == record::DrillRate::KEPT ? 1 : 0;
        evidence_.mutable_rate(0)->set_took_ms(static_cast<int64_t>(seconds * 100));
        EXPECT_EQ(findings(), seconds == 1 ? 0U : 1U) << limit << " " << seconds;
      }
    }
  }
  EXPECT_EQ(judged_count, 4U * 5U * 3U);
  for (const int64_t took_ms : {int64_t{-1}, int64_t{0}, int64_t{1} << 40}) {
    evidence_.clear_rate();
    AddRate("backup", ~uint64_t{0}, took_ms);
    EXPECT_EQ(findings(), 1U);
    evidence_.mutable_rate(0)->set_limit_bytes_per_s(~uint64_t{0});
    EXPECT_EQ(findings(), 0U);
  }
}

// What a drill wrote before rates were evidence: the same verdict, the same digest, and the record's own rates stay as they are.
TEST_F(JudgeDrillTest, EvidenceFromBeforeRatesWereKeptIsJudgedAsItWas) {
  record::DrillRecord old;
  old.add_rate()->set_bytes(7);
  JudgeDrill(evidence_, walks_, &old);
  EXPECT_EQ(old.outcome(), record::DRILL_SAME);
  EXPECT_EQ(FindCheck(old, "RATE"), nullptr);
  ASSERT_EQ(old.rate_size(), 1);
  EXPECT_EQ(old.rate(0).bytes(), 7U);
  // Recorded with the judge that knew no rates; anew since the invariants of sessions and detached nodes count their subjects, too.
  EXPECT_EQ(old.digest(), "e2c5889fd6f4de40");
}

TEST_F(JudgeDrillTest, ADumpThatShowsAMomentOfTheWindowIsSameAtThatMoment) {
  MakeLogical();
  const std::vector<Bytes> names = NamesOfFiles();
  const Pairs one_gone = Remove(source_, names[0], kBegin + 10);
  static_cast<void>(Remove(one_gone, names[1], kBegin + 20));
  SetTarget(one_gone);
  // What mounts show is computed from the records in between.
  const juicefs::View view = juicefs::BuildView(ImageOf(one_gone, "vol")).value();
  walks_ = DrillWalks{view, view};
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.cut_ts(), kBegin + 10);
  const WindowJudgement window = WindowOf(evidence_).value();
  EXPECT_EQ(window.best, Timestamp(kBegin + 10));
  EXPECT_EQ(ImageOf(window.source_at_best, "vol").inodes.size(), ImageOf(one_gone, "vol").inodes.size());
  record::DrillRecord with_window;
  JudgeDrill(evidence_, walks_, &with_window, WindowOf(evidence_));
  EXPECT_EQ(with_window.SerializeAsString(), record.SerializeAsString()) << "a window that is known already changes nothing";
  for (const record::CheckResult& result : record.check()) {
    EXPECT_TRUE(result.check() != "TREE" || result.findings() == 0) << record.DebugString();
  }
}

TEST_F(JudgeDrillTest, TheClockOfATargetThatWasWrittenAnewMayBeBehind) {
  MakeLogical();
  evidence_.mutable_target()->set_timestamp(0, 7);
  EXPECT_EQ(Judged().outcome(), record::DRILL_SAME) << Judged().why();
}

TEST_F(JudgeDrillTest, ADumpThatMixesTwoMomentsIsConvictedWithTheTornPair) {
  MakeLogical();
  const std::vector<Bytes> names = NamesOfFiles();
  ASSERT_GE(names.size(), 2U);
  const Pairs one_gone = Remove(source_, names[0], kBegin + 10);
  static_cast<void>(Remove(one_gone, names[1], kBegin + 20));
  // The first removal is missed and the second is seen.
  Pairs torn = source_;
  torn.erase(names[1]);
  SetTarget(torn);
  const record::DrillRecord record = Judged();
  EXPECT_EQ(record.outcome(), record::DRILL_FALSE_SUCCESS);
  EXPECT_THAT(record.why(), HasSubstr("no moment shows both"));
  EXPECT_THAT(record.why(), HasSubstr("as at or before " + std::to_string(kBegin + 1)));
  EXPECT_THAT(record.why(), HasSubstr("as at or after " + std::to_string(kBegin + 20)));
}

TEST_F(JudgeDrillTest, TheDigestTellsEvidenceApartAndIsTheSameForTheSame) {
  const std::string before = Judged().digest();
  EXPECT_EQ(before, Judged().digest());
  TargetPair(NamesOfFiles().front())->set_value("other");
  EXPECT_NE(before, Judged().digest());
}

}  // namespace
}  // namespace kvjury::judge
