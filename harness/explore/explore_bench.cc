// Whole proofs a second at the design's size: three stores, twenty regions, four writers with fifty operations each, backup,
// restore and all checks; what an almost empty case costs; memory of one world.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>

#include "harness/explore/case_shape.h"
#include "harness/explore/run_case.h"
#include "harness/explore/stage.h"

namespace kvjury::explore {
namespace {

CaseShape FullSize(uint64_t seed, bool memory_sst) {
  CaseShape shape;
  shape.seed = seed;
  shape.regions = 20;
  shape.writers = 4;
  shape.operations_per_writer = 50;
  shape.directories = 10;
  shape.files = 60;
  shape.memory_sst = memory_sst;
  return shape;
}

CaseShape Smallest() {
  CaseShape shape;
  shape.stores = 1;
  shape.target_stores = 1;
  shape.regions = 1;
  shape.writers = 1;
  shape.operations_per_writer = 1;
  shape.directories = 0;
  shape.files = 0;
  return shape;
}

void RunShapes(benchmark::State& state, const CaseShape& shape) {
  VolumeLibrary volumes;
  const Result<record::Case> c = MakeCase(shape, &volumes);
  CHECK(c.ok()) << c.status().ToString();
  uint64_t events = 0;
  uint64_t keys = 0;
  for (auto _ : state) {
    const Result<record::CaseRecord> record = RunCase(*c, &volumes);
    CHECK(record.ok()) << record.status().ToString();
    CHECK_EQ(record->outcome(), record::SAME);
    events += record->counts().events();
    keys += record->scope().keys_compared();
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["events"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kAvgIterations);
  state.counters["keys"] = benchmark::Counter(static_cast<double>(keys), benchmark::Counter::kAvgIterations);
}

void BM_ProofWithRealFiles(benchmark::State& state) { RunShapes(state, FullSize(1, false)); }
BENCHMARK(BM_ProofWithRealFiles)->Unit(benchmark::kMillisecond);

void BM_ProofWithMemoryFiles(benchmark::State& state) { RunShapes(state, FullSize(1, true)); }
BENCHMARK(BM_ProofWithMemoryFiles)->Unit(benchmark::kMillisecond);

void BM_ProofUnderFaults(benchmark::State& state) {
  CaseShape shape = FullSize(1, true);
  shape.fault_ppm = 2'000;
  shape.nudge_ppm = 20'000;
  VolumeLibrary volumes;
  uint64_t seed = 0;
  uint64_t same = 0;
  for (auto _ : state) {
    shape.seed = ++seed;
    const Result<record::Case> c = MakeCase(shape, &volumes);
    CHECK(c.ok()) << c.status().ToString();
    const Result<record::CaseRecord> record = RunCase(*c, &volumes);
    CHECK(record.ok()) << record.status().ToString();
    CHECK_NE(record->outcome(), record::DIFFERENT);
    same += record->outcome() == record::SAME ? 1 : 0;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["same"] = benchmark::Counter(static_cast<double>(same), benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_ProofUnderFaults)->Unit(benchmark::kMillisecond);

void BM_SmallestProof(benchmark::State& state) { RunShapes(state, Smallest()); }
BENCHMARK(BM_SmallestProof)->Unit(benchmark::kMillisecond);

// Operations of simulated clients a second: nearly all of the case is what four sessions do, and its backup comes last.
void BM_OperationsOfSessions(benchmark::State& state) {
  CaseShape shape = FullSize(1, true);
  shape.operations_per_writer = 1'000;
  shape.backup_after_permille = 1'000;
  VolumeLibrary volumes;
  const Result<record::Case> c = MakeCase(shape, &volumes);
  CHECK(c.ok()) << c.status().ToString();
  uint64_t operations = 0;
  for (auto _ : state) {
    const Result<record::CaseRecord> record = RunCase(*c, &volumes);
    CHECK(record.ok()) << record.status().ToString();
    CHECK_EQ(record->outcome(), record::SAME);
    operations += record->counts().operations();
  }
  state.SetItemsProcessed(static_cast<int64_t>(operations));
}
BENCHMARK(BM_OperationsOfSessions)->Unit(benchmark::kMillisecond);

void BM_MakeCase(benchmark::State& state) {
  VolumeLibrary volumes;
  for (auto _ : state) {
    const Result<record::Case> c = MakeCase(FullSize(1, true), &volumes);
    CHECK(c.ok()) << c.status().ToString();
    benchmark::DoNotOptimize(c->writers_size());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_MakeCase);

// Bytes that the heap holds more while one world stands, its volume put in and cut into regions, nothing played yet.
void BM_MemoryOfOneWorld(benchmark::State& state) {
  VolumeLibrary volumes;
  const Result<record::Case> c = MakeCase(FullSize(1, true), &volumes);
  CHECK(c.ok()) << c.status().ToString();
  const auto volume = volumes.Load(c->volume());
  CHECK(volume.ok()) << volume.status().ToString();
  uint64_t bytes = 0;
  for (auto _ : state) {
    const size_t before = ::mallinfo2().uordblks;
    auto stage = std::make_unique<Stage>(*c, *volume);
    bytes += ::mallinfo2().uordblks - before;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes"] = benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_MemoryOfOneWorld)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvjury::explore
