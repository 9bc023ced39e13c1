// Each test takes evidence in which everything agrees, breaks one account, and names the checks that must say so.
#include "harness/judge/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "harness/juicefs/keys.h"
#include "harness/juicefs/kv_text.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::judge {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::IsSupersetOf;

constexpr uint64_t kCut = 1000;

std::string ReadFile(const std::string& path) {
  std::ifstream in(KVJURY_SOURCE_DIR + path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

std::map<std::string, uint64_t> BlocksOf(const juicefs::VolumeImage& image, const juicefs::BlockLayout& layout) {
  std::map<std::string, uint64_t> objects;
  for (const juicefs::SliceName& slice : juicefs::SlicesOf(image)) {
    for (const juicefs::SliceBlock& block : juicefs::BlocksOfSlice(layout, slice.id, slice.size)) {
      objects[block.name] = block.bytes;
    }
  }
  return objects;
}

Evidence HealthyEvidence() {
  Evidence evidence;
  evidence.volume = "vol";
  evidence.cut = Timestamp(kCut);
  evidence.cut_us = 500;
  const auto pairs = juicefs::ParseKvText("kv.tsv.gz", ReadFile("/scenarios/volumes/rich/kv.tsv.gz"));
  EXPECT_TRUE(pairs.ok()) << pairs.status();
  const Bytes prefix = juicefs::VolumePrefix("vol");
  for (const auto& [key, value] : *pairs) {
    evidence.source[prefix + key] = Version{value, Timestamp(10), Timestamp(20)};
  }
  evidence.target = evidence.source;
  evidence.files.emplace();
  evidence.files->end_version = evidence.cut;
  evidence.files->pairs = evidence.source;
  evidence.files->files.push_back({"1/2_3_write.sst", "write", "", "", Timestamp(0), evidence.cut});
  evidence.claimed_ranges = {{"", "vol", evidence.cut, RegionId(4)}, {"vol", "", evidence.cut, RegionId(6)}};
  evidence.target_records.emplace();
  evidence.target_records->records_checked = evidence.source.size();
  evidence.target_records->boundaries_checked = 2;
  for (const auto& [key, version] : evidence.source) {
    evidence.target_records->newest_commit_ts[key] = version.commit_ts;
  }
  evidence.target_timestamps = {Timestamp(2000)};
  evidence.transactions.push_back({"w1/op1/txn#1", Timestamp(10), true, Timestamp(20), true, 100});
  evidence.claim.backup_ran = true;
  evidence.claim.restore_ran = true;
  evidence.claim.success = true;
  evidence.claim.files = 1;
  evidence.claim.keys = evidence.source.size();
  DecodeImages(&evidence);
  evidence.model_view = juicefs::BuildView(*evidence.source_image).value();
  evidence.bucket.emplace();
  evidence.bucket->layout.volume_name = "vol";
  evidence.bucket->objects = BlocksOf(*evidence.source_image, evidence.bucket->layout);
  evidence.bucket->in_use = true;
  evidence.afterlife_asked = true;
  AfterlifeEvidence& afterlife = evidence.afterlife.emplace();
  afterlife.begun = *evidence.target_image;
  afterlife.worked = afterlife.begun;
  afterlife.cleaned = afterlife.begun;
  afterlife.model_view = *evidence.model_view;
  afterlife.before_gc = *evidence.target;
  afterlife.after_gc = *evidence.target;
  afterlife.objects_left = evidence.bucket->objects;
  afterlife.timestamps = {Timestamp(3000), Timestamp(3001)};
  return evidence;
}

std::set<std::string> Convicting(const Judgement& judgement) {
  std::set<std::string> checks;
  for (const record::Finding& finding : judgement.findings) {
    checks.insert(finding.check());
  }
  return checks;
}

Judgement JudgeAgain(Evidence* evidence) {
  DecodeImages(evidence);
  return Judge(*evidence);
}

Bytes KeyOf(const juicefs::Key& key) { return juicefs::VolumePrefix("vol") + juicefs::EncodeKey(key); }

TEST(Judge, EvidenceInWhichAllAgreesIsTheSameWithCounts) {
  const Judgement judgement = Judge(HealthyEvidence());
  EXPECT_EQ(judgement.outcome, record::SAME) << testing::PrintToString(judgement.unproven);
  EXPECT_THAT(judgement.findings, IsEmpty());
  EXPECT_GT(judgement.scope.keys_compared(), 1000u);
  EXPECT_GT(judgement.scope.entries_compared(), 500u);
  EXPECT_GT(judgement.scope.fields_compared(), 5000u);
  EXPECT_EQ(judgement.checks.size(), AllChecks().size());
  for (const record::CheckResult& result : judgement.checks) {
    EXPECT_GT(result.counted(), 0u) << result.check();
  }
}

TEST(Judge, NothingToCompareIsNeverTheSame) {
  Evidence evidence;
  evidence.claim.backup_ran = true;
  evidence.claim.restore_ran = true;
  evidence.claim.success = true;
  evidence.target.emplace();
  evidence.files.emplace();
  evidence.target_records.emplace();
  EXPECT_NE(Judge(evidence).outcome, record::SAME);
}

TEST(Judge, AKeyMissingOnTheTargetIsNamedWithPathAndLayer) {
  Evidence evidence = HealthyEvidence();
  Inode inode;
  for (const auto& [name, entry] : evidence.model_view->entries) {
    if (name != "." && !entry.content.empty() && entry.size > 0) {
      inode = entry.inode;
      break;
    }
  }
  const Bytes key = KeyOf(juicefs::AttrKey(inode));
  ASSERT_EQ(evidence.target->erase(key), 1u);
  evidence.target_records->newest_commit_ts.erase(key);
  const Judgement judgement = JudgeAgain(&evidence);
  EXPECT_EQ(judgement.outcome, record::DIFFERENT);
  EXPECT_TRUE(judgement.false_success);
  EXPECT_THAT(Convicting(judgement), IsSupersetOf({"DIFF", "TREE", "INV"}));
  bool named = false;
  for (const record::Finding& finding : judgement.findings) {
    if (finding.check() == "DIFF") {
      named = true;
      EXPECT_EQ(finding.key(), key);
      EXPECT_EQ(finding.lost_at(), record::LOST_AT_IMPORT);
      EXPECT_FALSE(finding.path().empty());
      EXPECT_EQ(finding.written_by(), "w1/op1/txn#1");
    }
  }
  EXPECT_TRUE(named);
}

TEST(Judge, AValueHiddenByANewerVersionIsLostAtTheTarget) {
  Evidence evidence = HealthyEvidence();
  const Bytes key = KeyOf(juicefs::AttrKey(Inode(1)));
  (*evidence.target)[key].value.back() = '\x01';
  const Judgement judgement = JudgeAgain(&evidence);
  EXPECT_THAT(Convicting(judgement), Contains("DIFF"));
  EXPECT_EQ(judgement.findings.front().lost_at(), record::LOST_AT_TARGET);
}

TEST(Judge, AKeyThatOnlyTheTargetHasIsFound) {
  Evidence evidence = HealthyEvidence();
  (*evidence.target)["zzz"] = Version{"x", {}, {}};
  EXPECT_THAT(Convicting(JudgeAgain(&evidence)), testing::ElementsAre("DIFF"));
}

TEST(Judge, AKeyMissingInTheFilesIsLostThereAndTearsItsTransaction) {
  Evidence evidence = HealthyEvidence();
  const Bytes key = KeyOf(juicefs::AttrKey(Inode(1)));
  evidence.files->pairs.erase(key);
  evidence.target->erase(key);
  const Judgement judgement = JudgeAgain(&evidence);
  EXPECT_THAT(Convicting(judgement), IsSupersetOf({"DIFF", "HIST"}));
  EXPECT_EQ(judgement.findings.front().lost_at(), record::LOST_AT_FILES);
}

TEST(Judge, ACommitAboveTheCutInTheFilesBreaksHistory) {
  Evidence evidence = HealthyEvidence();
  evidence.files->pairs.begin()->second.commit_ts = Timestamp(kCut + 1);
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("HIST"));
}

TEST(Judge, AnAcknowledgedTransactionThatCommittedAboveTheCutBreaksHistory) {
  Evidence evidence = HealthyEvidence();
  evidence.transactions.push_back({"w2/op1/txn#1", Timestamp(900), true, Timestamp(kCut + 5), true, 400});
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("HIST"));
  evidence.transactions.back().acknowledged_us = 600;  // after the cut was asked for: legal
  EXPECT_EQ(Judge(evidence).outcome, record::SAME);
}

TEST(Judge, ATransactionThatNobodyCouldSettleLeavesTheHistoryUnprovenAndIsNamed) {
  Evidence evidence = HealthyEvidence();
  // The writer never learned its fate, and the store could not tell either: the cut may lack it or hold half of it.
  evidence.transactions.push_back({"w2/op7/txn#1", Timestamp(900), false, Timestamp(), false, 0});
  evidence.unsettled.push_back("w2/op7/txn#1 (region of the primary key is unavailable)");
  const Judgement judgement = Judge(evidence);
  EXPECT_EQ(judgement.outcome, record::UNPROVEN);
  EXPECT_THAT(judgement.findings, IsEmpty());
  EXPECT_THAT(judgement.unproven, testing::ElementsAre(testing::AllOf(
                                      testing::HasSubstr("HIST"), testing::HasSubstr("w2/op7/txn#1"),
                                      testing::HasSubstr("region of the primary key is unavailable"))));
}

TEST(Judge, ManyUnsettledTransactionsAreNamedUpToABoundAndCountedBeyond) {
  Evidence evidence = HealthyEvidence();
  for (int i = 1; i <= 7; ++i) {
    evidence.unsettled.push_back("w" + std::to_string(i) + "/op1/txn#1 (no answer)");
  }
  const Judgement judgement = Judge(evidence);
  ASSERT_EQ(judgement.unproven.size(), 1u);
  EXPECT_THAT(judgement.unproven[0], testing::AllOf(testing::HasSubstr("w5/op1"), testing::HasSubstr("and 2 more"),
                                                    testing::Not(testing::HasSubstr("w6/op1"))));
}

TEST(Judge, AHoleAnOverlapAndASecondTimestampAreFoundByCover) {
  Evidence hole = HealthyEvidence();
  hole.claimed_ranges[0].end = "u";
  EXPECT_THAT(Convicting(Judge(hole)), testing::ElementsAre("COVER"));
  Evidence overlap = HealthyEvidence();
  overlap.claimed_ranges[0].end = "vom";
  EXPECT_THAT(Convicting(Judge(overlap)), testing::ElementsAre("COVER"));
  Evidence open_end = HealthyEvidence();
  open_end.claimed_ranges[1].end = "w";
  EXPECT_THAT(Convicting(Judge(open_end)), testing::ElementsAre("COVER"));
  Evidence later = HealthyEvidence();
  later.claimed_ranges[1].end_ts = Timestamp(kCut + 1);
  EXPECT_THAT(Convicting(Judge(later)), testing::ElementsAre("COVER"));
  Evidence no_file = HealthyEvidence();
  no_file.files->files[0].end = "vol";
  EXPECT_THAT(Convicting(Judge(no_file)), testing::ElementsAre("COVER"));
}

TEST(Judge, ADamagedFileIsFoundByFileAndAStructureByMvcc) {
  Evidence evidence = HealthyEvidence();
  record::Finding finding;
  finding.set_check("FILE");
  finding.set_kind("file-digest");
  finding.set_file("1/2_3_write.sst");
  evidence.files->findings.push_back(finding);
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("FILE"));
  Evidence target = HealthyEvidence();
  finding.set_check("MVCC");
  finding.clear_file();
  target.target_records->findings.push_back(finding);
  EXPECT_THAT(Convicting(Judge(target)), testing::ElementsAre("MVCC"));
}

TEST(Judge, AModelThatDisagreesWithTheSourceIsLostAtTheSource) {
  Evidence evidence = HealthyEvidence();
  evidence.model_view->entries.begin()->second.uid += 1;
  const Judgement judgement = Judge(evidence);
  EXPECT_THAT(Convicting(judgement), testing::ElementsAre("TREE"));
  EXPECT_EQ(judgement.findings.front().lost_at(), record::LOST_AT_SOURCE);
  EXPECT_EQ(judgement.findings.front().field(), "uid");
}

TEST(Judge, AClockBehindAnUndecodableBoundaryAndAnUnreadableRangeEachHaveTheirCheck) {
  Evidence clock = HealthyEvidence();
  clock.target_timestamps.push_back(Timestamp(kCut));
  EXPECT_THAT(Convicting(Judge(clock)), testing::ElementsAre("TSO"));
  Evidence boundary = HealthyEvidence();
  boundary.target_records->undecodable_boundaries.push_back("raw");
  EXPECT_THAT(Convicting(Judge(boundary)), testing::ElementsAre("STATE"));
  Evidence unreadable = HealthyEvidence();
  unreadable.unreadable_ranges.push_back("[a, b): region boundary cannot be decoded");
  EXPECT_THAT(Convicting(Judge(unreadable)), testing::ElementsAre("LIVE"));
  Evidence hang = HealthyEvidence();
  hang.hang = "the restore did not end";
  EXPECT_THAT(Convicting(Judge(hang)), testing::ElementsAre("LIVE"));
}

TEST(Judge, SuccessOverNothingIsFoundByExit) {
  Evidence evidence = HealthyEvidence();
  evidence.claim.keys = 0;
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("EXIT"));
}

TEST(Judge, ALoudFailureIsHonestUnderAFaultAndADefectWithoutOne) {
  Evidence evidence = HealthyEvidence();
  evidence.claim.success = false;
  evidence.claim.message = "store unavailable";
  evidence.claim.restore_ran = false;
  evidence.target.reset();
  evidence.target_image.reset();
  evidence.target_records.reset();
  evidence.trouble = true;
  evidence.claimed_ranges.clear();
  const Judgement honest = Judge(evidence);
  EXPECT_EQ(honest.outcome, record::HONEST_FAILURE);
  EXPECT_THAT(honest.findings, IsEmpty()) << "half-done work of a tool that says so is no finding";
  evidence.trouble = false;
  const Judgement judgement = Judge(evidence);
  EXPECT_EQ(judgement.outcome, record::DIFFERENT);
  EXPECT_FALSE(judgement.false_success);
}

TEST(Judge, AHazardThatTheSourceHadAtTheCutIsNotDamage) {
  Evidence evidence = HealthyEvidence();
  // A dentry without inode on both sides: correct clients can leave that behind.
  const Bytes key = KeyOf(juicefs::DentryKey(Inode(1), "ghost"));
  const Version version{Bytes("\x01\x00\x00\x00\x00\x00\x0f\xff\xff", 9), Timestamp(10), Timestamp(20)};
  evidence.source[key] = version;
  (*evidence.target)[key] = version;
  evidence.files->pairs[key] = version;
  evidence.claim.keys = evidence.source.size();
  DecodeImages(&evidence);
  evidence.model_view = juicefs::BuildView(*evidence.source_image).value();
  EXPECT_EQ(Judge(evidence).outcome, record::SAME);
}

TEST(Judge, ABlockThatIsMissingOrHasAnotherSizeIsNamed) {
  for (const bool missing : {true, false}) {
    Evidence evidence = HealthyEvidence();
    auto first = evidence.bucket->objects.begin();
    const std::string name = first->first;
    if (missing) {
      evidence.bucket->objects.erase(first);
    } else {
      first->second += 1;
    }
    const Judgement judgement = JudgeAgain(&evidence);
    EXPECT_EQ(judgement.outcome, record::DIFFERENT);
    EXPECT_THAT(Convicting(judgement), testing::ElementsAre("OBJ"));
    EXPECT_EQ(judgement.findings.front().file(), name);
  }
}

TEST(Judge, AnObjectUnderAnIdThatWillBeIssuedMattersOnlyToWhoWritesIntoTheBucket) {
  Evidence evidence = HealthyEvidence();
  const auto next = static_cast<uint64_t>(evidence.target_image->Counter("nextChunk"));
  evidence.bucket->objects[juicefs::BlocksOfSlice(evidence.bucket->layout, next, 10).front().name] = 10;
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("OBJ"));
  evidence.bucket->in_use = false;
  EXPECT_THAT(Convicting(Judge(evidence)), IsEmpty()) << "a living source's";
}

TEST(Judge, AnObjectThatNothingNamesIsLegal) {
  Evidence evidence = HealthyEvidence();
  const auto last = static_cast<uint64_t>(evidence.target_image->Counter("nextChunk")) - 1;
  evidence.bucket->objects[juicefs::BlocksOfSlice(evidence.bucket->layout, last, 10).front().name] = 10;
  EXPECT_THAT(Convicting(Judge(evidence)), IsEmpty());
}

TEST(Judge, AnUntouchedEntryThatChangedIsAFindingEvenIfItsWriterDeclaredIt) {
  Evidence evidence = HealthyEvidence();
  AfterlifeEvidence& afterlife = *evidence.afterlife;
  const auto file = std::find_if(afterlife.model_view.entries.begin(), afterlife.model_view.entries.end(),
                                 [](const auto& entry) { return !entry.second.content.empty() && entry.first[0] != '.'; });
  ASSERT_NE(file, afterlife.model_view.entries.end());
  const Bytes path = file->first;
  afterlife.worked.inodes[file->second.inode].mode ^= 1;
  afterlife.cleaned = afterlife.worked;
  afterlife.model_view = juicefs::BuildView(afterlife.worked).value();
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("WRITE"));
  afterlife.named.insert(path);
  EXPECT_THAT(Convicting(Judge(evidence)), IsEmpty()) << "an operation named it";
}

TEST(Judge, AnIdThatWasIssuedBeforeOrIsInUseIsAFinding) {
  for (const bool is_slice : {true, false}) {
    Evidence twice = HealthyEvidence();
    twice.afterlife->issued = {{is_slice, 1'000'000, "w1", true}, {is_slice, 1'000'000, "w700", false}};
    EXPECT_THAT(Convicting(Judge(twice)), testing::ElementsAre("WRITE"));
    twice.afterlife->issued[1].id += 1;
    EXPECT_THAT(Convicting(Judge(twice)), IsEmpty());
    Evidence in_use = HealthyEvidence();
    const uint64_t used = is_slice ? juicefs::SlicesOf(in_use.afterlife->begun).begin()->id : in_use.afterlife->begun.inodes.begin()->first.value();
    in_use.afterlife->issued = {{is_slice, used, "w700", false}};
    EXPECT_THAT(Convicting(Judge(in_use)), testing::ElementsAre("WRITE"));
  }
}

TEST(Judge, APairOrABlockThatIsGoneAfterGcAndCleanersIsAFinding) {
  Evidence evidence = HealthyEvidence();
  evidence.afterlife->after_gc.erase(evidence.afterlife->after_gc.begin());
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("GC"));
  evidence = HealthyEvidence();
  evidence.afterlife->objects_left.erase(evidence.afterlife->objects_left.begin());
  EXPECT_THAT(Convicting(Judge(evidence)), testing::ElementsAre("GC"));
}

TEST(Judge, AnAfterlifeThatWasAskedForAndDidNotHappenIsUnproven) {
  Evidence evidence = HealthyEvidence();
  evidence.afterlife.reset();
  EXPECT_EQ(Judge(evidence).outcome, record::UNPROVEN);
  evidence.afterlife_asked = false;
  EXPECT_EQ(Judge(evidence).outcome, record::SAME);
}

}  // namespace
}  // namespace kvjury::judge
