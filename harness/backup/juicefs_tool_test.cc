// The models of juicefs dump and load: what they write over a quiet store, that writers tear a walk and nothing else, and over a whole cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "harness/backup/juicefs_dump_model.h"
#include "harness/backup/juicefs_load_model.h"
#include "harness/backup/tool_test_bench.h"
#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/load_json.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/writer.h"

namespace kvjury::backup {
namespace {

using juicefs::KeyValues;
using juicefs::RealVolume;

constexpr char kVolume[] = "vol";

template <class T>
sim::Task<void> Keep(sim::Task<Result<T>> task, std::optional<Result<T>>* out) {
  out->emplace(co_await std::move(task));
}

/// A store in which a volume stands.
struct Held {
  explicit Held(const KeyValues& pairs, uint64_t seed = 1) : store(&scheduler, {.seed = seed}) { store.Preload(juicefs::WithPrefix(pairs, kVolume)); }

  template <class T>
  Result<T> Run(sim::Task<Result<T>> task) {
    std::optional<Result<T>> result;
    sim::Scope scope(&scheduler);
    scope.Spawn("test", Keep(std::move(task), &result));
    while (scope.running() > 0) {
      CHECK(scheduler.RunOne());
    }
    scope.RethrowFirst();
    return *std::move(result);
  }
  Result<JuicefsDumpReport> Dump(const JuicefsDumpOptions& options, Bytes* out) {
    MemorySink sink(out);
    return Run(RunJuicefsDump(&store, sim::Label("dump"), options, &sink));
  }
  Result<JuicefsLoadReport> Load(bool binary, const Bytes& dump) {
    JuicefsLoadOptions options;
    options.volume_name = kVolume;
    options.binary = binary;
    return Run(RunJuicefsLoad(&store, sim::Label("load"), options, dump));
  }
  KeyValues Pairs() { return juicefs::SelectVolume(store.Snapshot(store.Now()), kVolume); }

  sim::Scheduler scheduler;
  juicefs::TestStore store;
};

enum class Form { kWalk, kFast, kBinary };

JuicefsDumpOptions OptionsOf(Form form) {
  JuicefsDumpOptions options;
  options.volume_name = kVolume;
  options.binary = form == Form::kBinary;
  options.dump.form = form == Form::kFast ? juicefs::DumpForm::kFast : juicefs::DumpForm::kWalk;
  return options;
}

class DumpOfAQuietVolume : public testing::TestWithParam<std::string> {};

TEST_P(DumpOfAQuietVolume, IsTheRecordedOneInEveryForm) {
  Held held(RealVolume(GetParam()));
  for (const Form form : {Form::kWalk, Form::kFast}) {
    Bytes dump;
    const JuicefsDumpReport report = held.Dump(OptionsOf(form), &dump).value();
    const bool odd_fast = GetParam() == "odd" && form == Form::kFast;
    EXPECT_TRUE(dump == juicefs::ReadVolumeText(GetParam(), odd_fast ? "dump-fast.json.gz" : "dump.json.gz"));
    EXPECT_GT(report.dump.entry_count, 40u);
    if (form == Form::kWalk) {
      EXPECT_GT(report.transactions, report.dump.entry_count) << "one for each inode, and one more for the names of a directory";
    } else {
      EXPECT_LT(report.transactions, 10u);
    }
    EXPECT_LT(report.first_ts, report.last_ts);
  }
  Bytes dump;
  const JuicefsDumpReport report = held.Dump(OptionsOf(Form::kBinary), &dump).value();
  EXPECT_EQ(report.first_ts, report.last_ts) << "one timestamp for everything";
  EXPECT_EQ(juicefs::ReadDumpBinary("ours", dump).value(),
            juicefs::ReadDumpBinary("real", juicefs::ReadVolumeFile(GetParam(), "dump.bin.gz")).value());
}

TEST_P(DumpOfAQuietVolume, IsLoadedAsAFileIs) {
  KeyValues pairs = RealVolume(GetParam());
  std::erase_if(pairs, [](const auto& pair) { return pair.second.empty(); });
  Held source(pairs);
  for (const bool binary : {false, true}) {
    Bytes dump;
    ASSERT_TRUE(source.Dump(OptionsOf(binary ? Form::kBinary : Form::kWalk), &dump).ok());
    KeyValues expected;
    juicefs::KeyValuesTarget target(&expected);
    MemorySource bytes(dump);
    ASSERT_TRUE((binary ? juicefs::LoadDumpBinary("d", &bytes, &target) : juicefs::LoadDumpJson("d", &bytes, &target)).ok());
    Held empty(KeyValues{});
    const JuicefsLoadReport report = empty.Load(binary, dump).value();
    EXPECT_EQ(empty.Pairs(), expected);
    EXPECT_GE(report.pairs, expected.size());
    EXPECT_EQ(report.errors_passed_over, 0u);
    EXPECT_EQ(empty.Load(binary, dump).status().message(), "the database is used by a volume");
  }
}

INSTANTIATE_TEST_SUITE_P(Volumes, DumpOfAQuietVolume, testing::Values("rich", "crashed", "busy", "odd"), [](const auto& volume) { return volume.param; });

constexpr std::array kDirectories = {"aa", "zz"};

/// Moves one file between two directories until it is told to end.
sim::Task<void> MoveToAndFro(juicefs::Writer* writer, const bool* stop, uint32_t* moves) {
  auto start = writer->Start();
  CHECK((co_await std::move(start)).ok());
  uint32_t id = 0;
  for (const char* directory : kDirectories) {
    record::Operation operation;
    operation.set_id(++id);
    operation.mutable_mkdir()->set_path(directory);
    operation.mutable_mkdir()->set_mode(0755);
    auto run = writer->Do(operation);
    CHECK_EQ((co_await std::move(run)).error, 0);
  }
  for (uint32_t i = 0; i < 30; ++i) {  // names between the two, more than there are readers
    record::Operation between;
    between.set_id(++id);
    between.mutable_create()->set_path("m" + std::to_string(i));
    auto run = writer->Do(between);
    CHECK_EQ((co_await std::move(run)).error, 0);
  }
  record::Operation create;
  create.set_id(++id);
  create.mutable_create()->set_path("aa/wanderer");
  auto made = writer->Do(create);
  CHECK_EQ((co_await std::move(made)).error, 0);
  for (; !*stop; ++*moves) {
    record::Operation rename;
    rename.set_id(++id);
    rename.mutable_rename()->set_from(*moves % 2 == 0 ? "aa/wanderer" : "zz/wanderer");
    rename.mutable_rename()->set_to(*moves % 2 == 0 ? "zz/wanderer" : "aa/wanderer");
    auto run = writer->Do(rename);
    CHECK_EQ((co_await std::move(run)).error, 0);
  }
  auto end = writer->Stop();
  CHECK((co_await std::move(end)).ok());
}

sim::Task<void> DumpMeanwhile(juicefs::TestStore* store, Form form, const uint32_t* moves, bool* stop, Bytes* out) {
  while (*moves < 3) {
    co_await store->scheduler()->Sleep(1000);
  }
  MemorySink sink(out);
  auto dump = RunJuicefsDump(store, sim::Label("dump"), OptionsOf(form), &sink);
  const Result<JuicefsDumpReport> report = co_await std::move(dump);
  CHECK(report.ok()) << report.status().ToString();
  *stop = true;
}

/// How often a dump that is made while it wanders names the file.
size_t TimesSeen(Form form, uint64_t seed) {
  juicefs::GenerateOptions generate;
  generate.directories = 20;
  generate.files = 60;
  generate.seed = seed;
  Held held(juicefs::GenerateVolume(generate), seed);
  juicefs::WriterOptions options;
  options.volume_name = kVolume;
  options.wall_ns = [&held] { return held.store.wall_ns(); };
  juicefs::Writer writer(&held.store, options);
  bool stop = false;
  uint32_t moves = 0;
  Bytes dump;
  sim::Scope scope(&held.scheduler);
  scope.Spawn("writer", MoveToAndFro(&writer, &stop, &moves));
  scope.Spawn("dump", DumpMeanwhile(&held.store, form, &moves, &stop, &dump));
  while (scope.running() > 0) {
    CHECK(held.scheduler.RunOne());
  }
  scope.RethrowFirst();
  CHECK_GT(moves, 3u);
  const juicefs::VolumeImage image = form == Form::kBinary ? juicefs::BuildImage(juicefs::ReadDumpBinary("d", dump).value())
                                                           : juicefs::ReadDumpJson("d", dump).value().image;
  size_t seen = 0;
  for (const auto& [directory, entries] : image.dentries) {
    seen += entries.count("wanderer");
  }
  return seen;
}

TEST(DumpOfABusyVolume, AWalkIsTornAndTheOthersShowOneMoment) {
  std::map<size_t, int> walks;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    ++walks[TimesSeen(Form::kWalk, seed)];
    EXPECT_EQ(TimesSeen(Form::kFast, seed), 1u) << seed;
    EXPECT_EQ(TimesSeen(Form::kBinary, seed), 1u) << seed;
  }
  EXPECT_GT(walks[0], 0) << "dumps that show the file nowhere";
  EXPECT_GT(walks[1], 0);
  EXPECT_GT(walks[2], 0) << "dumps that show it in both places";
}

TEST(JuicefsLoadModel, RefusesAStoreThatHoldsAnything) {
  Held held(KeyValues{{juicefs::EncodeKey(juicefs::CounterKey("nextInode")), juicefs::EncodeInt64Le(2)}});
  const Result<JuicefsLoadReport> report = held.Load(false, juicefs::ReadVolumeText("odd", "dump.json.gz"));
  EXPECT_EQ(report.status().ToString(), Status::AlreadyExists("the database is not empty").ToString());
}

TEST(JuicefsLoadModel, AnEmptyValueFailsAsInTheRealProgram) {
  Held json(KeyValues{});
  EXPECT_EQ(json.Load(false, juicefs::ReadVolumeText("rich", "dump.json.gz")).status().message(), "can not set nil value");
  Held binary(KeyValues{});
  EXPECT_THAT(binary.Load(true, juicefs::ReadVolumeText("rich", "dump.bin.gz")).status().message(), testing::HasSubstr("database is not formatted"))
      << "the error itself is passed over; the setting was in the same transaction";
}

TEST(JuicefsLoadModel, ABinaryLoadWhoseLastGroupFailsClaimsSuccess) {
  KeyValues pairs = RealVolume("busy");
  pairs[juicefs::EncodeKey(juicefs::XattrKey(Inode(2), "user.empty"))] = Bytes();  // behind the first 10,240 records of the file
  Bytes dump;
  MemorySink sink(&dump);
  ASSERT_TRUE(juicefs::WriteDumpBinary(pairs, {}, &sink).ok());
  Held held(KeyValues{});
  JuicefsLoadOptions options;
  options.volume_name = kVolume;
  options.binary = true;
  options.writers = 1;
  const JuicefsLoadReport report = held.Run(RunJuicefsLoad(&held.store, sim::Label("load"), options, dump)).value();
  EXPECT_EQ(report.errors_passed_over, 1u);
  EXPECT_EQ(held.Pairs().size(), 10'240u) << "of " << pairs.size();
}

TEST(JuicefsToolModels, WorkOnAWholeClusterInRegions) {
  ToolBench bench;
  KeyValues pairs = RealVolume("crashed");
  std::erase_if(pairs, [](const auto& pair) { return pair.second.empty(); });
  const KeyValues full = juicefs::WithPrefix(pairs, kVolume);
  bench.source.LoadPairs(PairList(full.begin(), full.end()), bench.source.pd().AllocateTimestamp().value());
  for (const char* key : {"vol\xFD" "A\x40", "vol\xFD" "A\xA0", "vol\xFD" "K"}) {
    ASSERT_TRUE(bench.source.SplitAt(key));
  }
  bench.Pass(1'000'000);
  for (const Form form : {Form::kWalk, Form::kFast, Form::kBinary}) {
    Bytes dump;
    MemorySink sink(&dump);
    std::optional<Result<JuicefsDumpReport>> report;
    ASSERT_EQ(bench.world.Run(Keep(RunJuicefsDump(&bench.source_client, sim::Label("dump"), OptionsOf(form), &sink), &report), ToolBench::kRunUsMax),
              sim::RunEnd::kDone);
    ASSERT_TRUE(report->ok()) << report->status().ToString();
    Bytes expected;
    MemorySink expected_sink(&expected);
    ASSERT_TRUE((form == Form::kBinary ? juicefs::WriteDumpBinary(pairs, {}, &expected_sink)
                                       : juicefs::WriteDumpJson(pairs, OptionsOf(form).dump, &expected_sink))
                    .ok());
    if (form == Form::kBinary) {
      EXPECT_EQ(juicefs::ReadDumpBinary("d", dump).value(), juicefs::ReadDumpBinary("d", expected).value());
      continue;
    }
    EXPECT_TRUE(dump == expected);
    if (form == Form::kFast) {
      std::optional<Result<JuicefsLoadReport>> loaded;
      JuicefsLoadOptions options;
      options.volume_name = kVolume;
      ASSERT_EQ(bench.world.Run(Keep(RunJuicefsLoad(&bench.target_client, sim::Label("load"), options, dump), &loaded), ToolBench::kRunUsMax),
                sim::RunEnd::kDone);
      ASSERT_TRUE(loaded->ok()) << loaded->status().ToString();
      const PairList target = bench.Look().value();
      KeyValues expected_pairs;
      juicefs::KeyValuesTarget expected_target(&expected_pairs);
      MemorySource source(dump);
      ASSERT_TRUE(juicefs::LoadDumpJson("d", &source, &expected_target).ok());
      EXPECT_EQ(juicefs::SelectVolume(KeyValues(target.begin(), target.end()), kVolume), expected_pairs);
    }
  }
}

}  // namespace
}  // namespace kvjury::backup
