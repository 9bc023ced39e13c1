// Cost of the transaction core: one put (prewrite and commit), one get, one scan of a thousand keys.
#include <benchmark/benchmark.h>

#include <cstdio>

#include "fakes/tikv/mvcc_test_store.h"

namespace kvjury::tikv {
namespace {

Bytes KeyNumber(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof(text), "A%020llu", static_cast<unsigned long long>(number));
  return text;
}

void PutOne(MvccTestStore* store, uint64_t number, uint64_t start_ts) {
  const Bytes key = KeyNumber(number);
  kvrpcpb::PrewriteRequest prewrite;
  prewrite.set_start_version(start_ts);
  prewrite.set_primary_lock(key);
  prewrite.set_lock_ttl(3000);
  kvrpcpb::Mutation* mutation = prewrite.add_mutations();
  mutation->set_key(key);
  mutation->set_value(Bytes(70, 'v'));
  CHECK_EQ(store->Call(prewrite).errors_size(), 0);
  kvrpcpb::CommitRequest commit;
  commit.set_start_version(start_ts);
  commit.set_commit_version(start_ts + 1);
  commit.add_keys(key);
  CHECK(!store->Call(commit).has_error());
}

void Put(benchmark::State& state) {
  MvccTestStore store;
  uint64_t number = 0;
  for (auto _ : state) {
    PutOne(&store, number % 100'000, 2 * number + 10);
    ++number;
    store.engine.Prune(store.engine.last_sequence());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Put);

void GetOne(benchmark::State& state) {
  MvccTestStore store;
  for (uint64_t number = 0; number < 100'000; ++number) {
    PutOne(&store, number, 2 * number + 10);
  }
  kvrpcpb::GetRequest get;
  get.set_version(1'000'000);
  uint64_t number = 0;
  for (auto _ : state) {
    number = (number + 7919) % 100'000;
    get.set_key(KeyNumber(number));
    CHECK(!store.Call(get).not_found());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(GetOne);

void ScanThousand(benchmark::State& state) {
  MvccTestStore store;
  for (uint64_t number = 0; number < 100'000; ++number) {
    PutOne(&store, number, 2 * number + 10);
  }
  kvrpcpb::ScanRequest scan;
  scan.set_version(1'000'000);
  scan.set_limit(1000);
  uint64_t number = 0;
  for (auto _ : state) {
    number = (number + 7919) % 99'000;
    scan.set_start_key(KeyNumber(number));
    CHECK_EQ(store.Call(scan).pairs_size(), 1000);
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(ScanThousand);

}  // namespace
}  // namespace kvjury::tikv
