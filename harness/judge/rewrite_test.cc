// What a dump and its load make of a volume, judged: quiet volumes come through in every form but for the form's known losses, writers tear a
// walk and nothing else, and each planted bug of dumps and loads is convicted by the check that the catalogue names.
//
// Over a store in memory, so that hundreds of runs are quick; whole clusters are the matter of harness/explore.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/sim/scheduler.h"
#include "harness/backup/juicefs_dump_model.h"
#include "harness/backup/juicefs_load_model.h"
#include "harness/judge/judge.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/operation_mix.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/writer.h"

namespace kvjury::judge {
namespace {

using juicefs::KeyValues;
using juicefs::TestStore;
using sim::Bug;

constexpr char kVolume[] = "vol";
enum class Form { kWalk, kFast, kBinary };

template <class T>
sim::Task<void> Keep(sim::Task<Result<T>> task, std::optional<Result<T>>* out) {
  out->emplace(co_await std::move(task));
}

struct Asked {
  Form form = Form::kWalk;
  bool skip_trash = false;
  Inode top = juicefs::kRootInode;
  std::optional<Bug> bug;
};

/// One store, what is in it, and the sessions that write into it.
class Volume {
 public:
  explicit Volume(const KeyValues& pairs, uint64_t seed = 1) : store_(&scheduler_, {.seed = seed}) {
    store_.Preload(juicefs::WithPrefix(pairs, kVolume));
  }

  /// Starts a session that carries out drawn operations and stops.
  void AddWriter(uint64_t seed, uint32_t id, uint32_t operations) {
    juicefs::WriterOptions options;
    options.id = id;
    options.volume_name = kVolume;
    options.wall_ns = [this] { return store_.wall_ns(); };
    writers_.push_back(std::make_unique<juicefs::Writer>(&store_, options));
    RandomStream random(seed, "writer-" + std::to_string(id));
    juicefs::PathPicture picture;
    picture.directories = {"", "d0", "d1", "d2", "d3"};
    picture.files = {"f0", "f1", "f2", "f3", "d0/f1", "d1/n2"};
    juicefs::MixOptions mix;
    mix.writer = id;
    mix.operations = operations;
    scripts_.push_back(juicefs::DrawOperations(&random, mix, &picture));
    scope_.Spawn("writer-" + std::to_string(id), Write(writers_.back().get(), scripts_.back()));
  }

  Judgement DumpLoadAndJudge(const Asked& run) {
    backup::JuicefsDumpOptions options;
    options.volume_name = kVolume;
    options.binary = run.form == Form::kBinary;
    options.dump.form = run.form == Form::kFast ? juicefs::DumpForm::kFast : juicefs::DumpForm::kWalk;
    options.dump.skip_trash = run.skip_trash;
    options.dump.root = run.top;
    sim::PlantedBugs bugs;
    if (run.bug.has_value()) {
      bugs.SwitchOn(*run.bug);
    }
    options.dump.bugs = &bugs;
    Bytes dump;
    MemorySink sink(&dump);
    std::optional<Result<backup::JuicefsDumpReport>> dumped;
    scope_.Spawn("dump", Keep(backup::RunJuicefsDump(&store_, sim::Label("dump"), options, &sink), &dumped));
    while (scope_.running() > 0) {
      CHECK(scheduler_.RunOne()) << "stuck";
    }
    scope_.RethrowFirst();
    CHECK(dumped->ok()) << dumped->status().ToString();
    return JudgeOne(run, dumped->value(), dump, &bugs);
  }

 private:
  static sim::Task<void> Write(juicefs::Writer* writer, std::vector<record::Operation> script) {
    auto start = writer->Start();
    CHECK((co_await std::move(start)).ok());
    for (const record::Operation& operation : script) {
      auto one = writer->Do(operation);
      static_cast<void>(co_await std::move(one));
    }
    auto stop = writer->Stop();
    CHECK((co_await std::move(stop)).ok());
  }

  /// The declared commits of the window, as changes of keys.
  std::vector<KeyChange> Changes(Timestamp first, Timestamp last) const {
    std::set<Timestamp> moments;
    for (const auto& writer : writers_) {
      for (const juicefs::DeclaredTransaction& transaction : writer->history()) {
        moments.insert(transaction.commit_ts);
      }
    }
    std::vector<KeyChange> changes;
    KeyValues before = store_.Snapshot(first);
    for (auto moment = moments.upper_bound(first); moment != moments.end() && *moment <= last; ++moment) {
      const KeyValues now = store_.Snapshot(*moment);
      for (const auto& [key, value] : now) {
        const auto old = before.find(key);
        if (old == before.end() || old->second != value) {
          changes.push_back({key, Version{value, Timestamp(), *moment}, *moment});
        }
      }
      for (const auto& [key, value] : before) {
        if (now.count(key) == 0) {
          changes.push_back({key, std::nullopt, *moment});
        }
      }
      before = now;
    }
    return changes;
  }

  static Pairs PairsOf(const KeyValues& values) {
    Pairs pairs;
    for (const auto& [key, value] : values) {
      pairs[key] = Version{value, Timestamp(), Timestamp()};
    }
    return pairs;
  }

  Judgement JudgeOne(const Asked& run, const backup::JuicefsDumpReport& dumped, const Bytes& dump, sim::PlantedBugs* bugs) {
    TestStore target(&scheduler_, {.seed = 7});
    backup::JuicefsLoadOptions options;
    options.volume_name = kVolume;
    options.binary = run.form == Form::kBinary;
    options.bugs = bugs;
    std::optional<Result<backup::JuicefsLoadReport>> loaded;
    sim::Scope scope(&scheduler_);
    scope.Spawn("load", Keep(backup::RunJuicefsLoad(&target, sim::Label("load"), options, dump), &loaded));
    while (scope.running() > 0) {
      CHECK(scheduler_.RunOne()) << "stuck";
    }
    scope.RethrowFirst();
    CHECK(loaded->ok()) << loaded->status().ToString();
    Evidence evidence;
    evidence.by_real_programs = true;  // nobody keeps a model here
    evidence.volume = kVolume;
    evidence.claim = {.backup_ran = true, .restore_ran = true, .success = true, .files = 1, .keys = loaded->value().pairs};
    Rewrite rewrite;
    rewrite.form = {.binary = options.binary, .without_trash = run.skip_trash, .top = run.top};
    rewrite.begin = dumped.first_ts;
    rewrite.end = dumped.last_ts;
    rewrite.at_begin = PairsOf(store_.Snapshot(dumped.first_ts));
    rewrite.changes = Changes(dumped.first_ts, dumped.last_ts);
    rewrite.entries_dumped = dumped.dump.entry_count;
    rewrite.entries_loaded = loaded->value().entries;
    evidence.rewrite = std::move(rewrite);
    evidence.target = PairsOf(target.Snapshot(target.Now()));
    SettleRewrite(&evidence);
    DecodeImages(&evidence);
    return Judge(evidence, {"TREE", "DIFF", "INV", "EXIT"});
  }

  sim::Scheduler scheduler_;
  TestStore store_;
  std::vector<std::unique_ptr<juicefs::Writer>> writers_;
  std::vector<std::vector<record::Operation>> scripts_;
  sim::Scope scope_{&scheduler_};
};

KeyValues Generated(uint64_t seed) {
  juicefs::GenerateOptions generate;
  generate.volume_name = kVolume;
  generate.seed = seed;
  generate.directories = static_cast<uint32_t>(seed % 6);
  generate.files = static_cast<uint32_t>(seed % 23);
  generate.trash_days = seed % 4 == 0 ? 0 : 1;
  return juicefs::GenerateVolume(generate);
}

std::string Words(const Judgement& judgement) {
  std::string words = record::Outcome_Name(judgement.outcome);
  for (const record::Finding& finding : judgement.findings) {
    words += "\n" + finding.check() + " " + finding.kind() + ": " + finding.message();
  }
  for (const std::string& why : judgement.unproven) {
    words += "\n" + why;
  }
  return words;
}

uint64_t CountKind(const Judgement& judgement, const std::string& kind) {
  uint64_t count = 0;
  for (const record::Finding& finding : judgement.findings) {
    count += finding.kind() == kind ? 1 : 0;
  }
  return count;
}

TEST(DumpAndLoadJudged, AHundredQuietVolumesAreSameInEveryForm) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    for (const Form form : {Form::kWalk, Form::kFast, Form::kBinary}) {
      const Judgement judgement = Volume(Generated(seed), seed).DumpLoadAndJudge({.form = form});
      ASSERT_EQ(judgement.outcome, record::SAME) << "seed " << seed << " form " << static_cast<int>(form) << ": " << Words(judgement);
      ASSERT_GT(judgement.scope.keys_compared(), 0u);
    }
  }
}

TEST(DumpAndLoadJudged, AVolumeWithOneOfEverythingIsSameInJsonAndLosesItsSessionsInBinary) {
  const KeyValues& full = juicefs::RealVolume("full");
  for (const Form form : {Form::kWalk, Form::kFast}) {
    const Judgement judgement = Volume(full).DumpLoadAndJudge({.form = form});
    EXPECT_EQ(judgement.outcome, record::SAME) << static_cast<int>(form) << ": " << Words(judgement);
    EXPECT_GT(judgement.scope.keys_compared(), 80u);
  }
  const Judgement binary = Volume(full).DumpLoadAndJudge({.form = Form::kBinary});
  EXPECT_EQ(binary.outcome, record::DIFFERENT);
  EXPECT_EQ(CountKind(binary, "form-loss"), binary.findings.size()) << Words(binary);
  EXPECT_THAT(Words(binary), testing::HasSubstr("the form loses sessions"));
}

TEST(DumpAndLoadJudged, WhatFormsAreKnownToLoseIsDifferentWithTheReason) {
  KeyValues pairs = Generated(21);
  const juicefs::VolumeImage image = juicefs::BuildImage(pairs);
  ASSERT_FALSE(image.symlinks.empty());
  const Inode link = image.symlinks.begin()->first;
  juicefs::Attr attr = image.inodes.at(link);
  attr.length = 5;
  pairs[juicefs::EncodeKey(juicefs::SymlinkKey(link))] = "a%2Fb";
  pairs[juicefs::EncodeKey(juicefs::AttrKey(link))] = juicefs::EncodeAttr(attr);
  EXPECT_EQ(Volume(pairs).DumpLoadAndJudge({.form = Form::kWalk}).outcome, record::SAME) << "JSON escapes the percent sign";
  const Judgement binary = Volume(pairs).DumpLoadAndJudge({.form = Form::kBinary});
  EXPECT_EQ(binary.outcome, record::DIFFERENT);
  EXPECT_THAT(Words(binary), testing::HasSubstr("form-loss: the source at the cut and the target differ"));
  EXPECT_THAT(Words(binary), testing::HasSubstr("a symbolic link's target with %XX"));

  pairs = Generated(21);
  const auto& [directory, entries] = *image.dentries.begin();
  const auto& [name, dentry] = *entries.begin();
  pairs.erase(juicefs::EncodeKey(juicefs::DentryKey(directory, name)));
  pairs[juicefs::EncodeKey(juicefs::DentryKey(directory, "new\xEF\xBF\xBD"))] = juicefs::EncodeDentry(dentry);
  EXPECT_EQ(Volume(pairs).DumpLoadAndJudge({.form = Form::kBinary}).outcome, record::SAME);
  const Judgement json = Volume(pairs).DumpLoadAndJudge({.form = Form::kFast});
  EXPECT_EQ(json.outcome, record::DIFFERENT);
  EXPECT_THAT(Words(json), testing::HasSubstr("a name with a real U+FFFD"));
}

TEST(DumpAndLoadJudged, ADumpWithoutTheTrashOrOfASubdirectoryIsSameInWhatItWasAskedFor) {
  const KeyValues generated = Generated(41);
  const Judgement without = Volume(generated).DumpLoadAndJudge({.form = Form::kFast, .skip_trash = true});
  EXPECT_GE(CountKind(without, "id-given-out-again"), 1u) << "juicefs forgets the ids of the trash: " << Words(without);
  EXPECT_EQ(CountKind(without, "id-given-out-again"), without.findings.size()) << Words(without);
  const Judgement part = Volume(juicefs::RealVolume("full")).DumpLoadAndJudge({.form = Form::kWalk, .top = Inode(16)});
  EXPECT_EQ(part.outcome, record::SAME) << Words(part);
  EXPECT_GE(part.scope.entries_compared(), 4u);
}

/// The judgement of a dump that begins while three sessions write.
Judgement UnderWrites(Form form, uint64_t seed) {
  juicefs::GenerateOptions generate;
  generate.volume_name = kVolume;
  generate.seed = seed;
  generate.directories = 4;
  generate.files = 20;
  Volume volume(juicefs::GenerateVolume(generate), seed);
  for (uint32_t id = 1; id <= 3; ++id) {
    volume.AddWriter(seed, id, 25);
  }
  return volume.DumpLoadAndJudge({.form = form});
}

TEST(DumpAndLoadJudged, OfAHundredWalksUnderWritesSomeAreTornAndTheTornPairIsNamed) {
  uint64_t torn = 0;
  uint64_t same = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const Judgement judgement = UnderWrites(Form::kWalk, seed);
    same += judgement.outcome == record::SAME ? 1 : 0;
    if (CountKind(judgement, "torn-pair") > 0) {
      ++torn;
      EXPECT_EQ(judgement.outcome, record::DIFFERENT);
      EXPECT_THAT(Words(judgement), testing::HasSubstr("no moment shows both"));
    }
  }
  std::printf("of 100 walks under writes %d are torn with the pair named, %d are same\n", static_cast<int>(torn), static_cast<int>(same));
  EXPECT_GE(torn, 1u);
}

TEST(DumpAndLoadJudged, OneScanAndABinaryDumpShowOneMomentUnderWrites) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    for (const Form form : {Form::kFast, Form::kBinary}) {
      const Judgement judgement = UnderWrites(form, seed);
      ASSERT_EQ(judgement.outcome, record::SAME) << "seed " << seed << " form " << static_cast<int>(form) << ": " << Words(judgement);
    }
  }
}

struct Planted {
  Bug bug;
  Asked run;
};

class PlantedBugsOfDumps : public testing::TestWithParam<Planted> {};

TEST_P(PlantedBugsOfDumps, AreConvictedByTheirCheckAndTheTwinIsQuiet) {
  const sim::BugInfo& info = sim::AllBugs()[static_cast<size_t>(GetParam().bug)];
  Asked run = GetParam().run;
  const KeyValues& full = juicefs::RealVolume("full");
  const Judgement twin = Volume(full).DumpLoadAndJudge(run);
  run.bug = GetParam().bug;
  const Judgement judgement = Volume(full).DumpLoadAndJudge(run);
  EXPECT_EQ(judgement.outcome, record::DIFFERENT);
  bool named = false;
  for (const record::Finding& finding : judgement.findings) {
    const bool quiet_without = finding.kind() == "form-loss" || finding.kind() == "id-given-out-again";
    named |= !quiet_without && std::string(info.checks).find(finding.check()) != std::string::npos;
  }
  EXPECT_TRUE(named) << info.name << " by " << info.checks << ": " << Words(judgement);
  for (const record::Finding& finding : twin.findings) {
    // A binary dump loses sessions; a load as juicefs does it forgets the ids of a trash that was left out.
    EXPECT_TRUE(finding.kind() == "form-loss" || finding.kind() == "id-given-out-again") << Words(twin);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedBugsOfDumps,
    testing::Values(Planted{Bug::kInodeCounterRewound, {}}, Planted{Bug::kAclIdCollision, {.form = Form::kBinary}},
                    Planted{Bug::kAclLeaksToNextNode, {.form = Form::kFast}}, Planted{Bug::kXattrDoubleEscaped, {}}, Planted{Bug::kNamesNotUtf8, {}},
                    Planted{Bug::kAttributeFieldForgotten, {}}, Planted{Bug::kQuotaLost, {.form = Form::kFast}},
                    Planted{Bug::kUsageCountersZero, {.form = Form::kBinary}},
                    Planted{Bug::kNlinkCountsHiddenLinks, {.form = Form::kFast, .skip_trash = true}},
                    Planted{Bug::kParentSetLost, {.form = Form::kFast}}, Planted{Bug::kSliceRefsLost, {.form = Form::kFast}},
                    Planted{Bug::kDumpBufferReused, {.form = Form::kBinary}}, Planted{Bug::kBatchLimitTruncates, {}},
                    Planted{Bug::kKeyPrefixConfusion, {.form = Form::kBinary}}, Planted{Bug::kDanglingEdgeOrInode, {.form = Form::kBinary}},
                    Planted{Bug::kDirectoryListingChanges, {.form = Form::kFast}}, Planted{Bug::kSubdirLoadWrongRoot, {.top = Inode(16)}},
                    Planted{Bug::kSustainedFilesLeak, {}}, Planted{Bug::kTrashDangling, {.form = Form::kFast}}),
    [](const auto& planted) {
      std::string name(sim::AllBugs()[static_cast<size_t>(planted.param.bug)].name);
      std::erase(name, '-');
      return name;
    });

}  // namespace
}  // namespace kvjury::judge
