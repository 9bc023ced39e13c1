// A whole client over real ports against a bare gRPC echo in the same process: what a read and a one-phase write cost, with all
// that a client does for them (a timestamp, finding the region, locks, retries), with one and with sixteen clients.
//
// BM_Echo is one round trip of a message of that size. A transaction that reads makes two (PD and store), one that writes too.
#include <benchmark/benchmark.h>

#include "fakes/ports/bench_echo.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_client.h"
#include "harness/client/client.h"
#include "harness/remote/remote_world.h"

namespace kvjury::remote {
namespace {

constexpr size_t kValueBytes = 200;
constexpr int kBatch = 20;  // transactions for each crossing to the client's thread

ports::ServedCluster* Served() {
  static ports::ServedCluster* served = []() {
    ports::ServeOptions options;
    options.pd_port = 0;
    options.stores = 1;
    Result<std::unique_ptr<ports::ServedCluster>> started = ports::ServedCluster::Start(std::move(options));
    CHECK(started.ok()) << started.status().ToString();
    return started->release();
  }();
  return served;
}

sim::Task<Status> Write(client::Client* client, Bytes key, sim::Label label) {
  auto beginning = client->Begin(std::move(label));
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(beginning));
  transaction->Put(key, Bytes(kValueBytes, 'v'));
  auto committing = transaction->Commit();
  const Result<client::CommitInfo> committed = co_await std::move(committing);
  co_return committed.status();
}

sim::Task<Status> Read(client::Client* client, Bytes key, sim::Label label) {
  auto beginning = client->Begin(std::move(label));
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(beginning));
  auto getting = transaction->Get(key);
  const auto got = co_await std::move(getting);
  co_return got.status();
}

using Operation = sim::Task<Status> (*)(client::Client*, Bytes, sim::Label);

sim::Task<Status> Repeat(client::Client* client, Operation operation, int times, Bytes key, uint64_t first) {
  for (int i = 0; i < times; ++i) {
    auto doing = operation(client, key, sim::Label("bench").Numbered("op", first + static_cast<uint64_t>(i)));
    const Status done = co_await std::move(doing);
    if (!done.ok()) {
      co_return done;
    }
  }
  co_return Status::Ok();
}

void Measure(benchmark::State& state, Operation operation) {
  Result<std::unique_ptr<RemoteWorld>> world = RemoteWorld::Start({});
  CHECK(world.ok()) << world.status();
  const Bytes key = "bench-" + std::to_string(state.thread_index());
  auto client = std::make_unique<client::Client>((*world)->channel(), (*world)->scheduler(), "client", Served()->pd_addresses().front(), nullptr);
  CHECK((*world)->Run(Repeat(client.get(), &Write, 1, key, 0)).ok());
  uint64_t first = 1;
  for (auto _ : state) {
    const Status done = (*world)->Run(Repeat(client.get(), operation, kBatch, key, first));
    CHECK(done.ok()) << done;
    first += kBatch;
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void BM_ClientRead(benchmark::State& state) { Measure(state, &Read); }
BENCHMARK(BM_ClientRead)->Threads(1)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);
void BM_ClientOnePhaseWrite(benchmark::State& state) { Measure(state, &Write); }
BENCHMARK(BM_ClientOnePhaseWrite)->Threads(1)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);

void BM_Echo(benchmark::State& state) {
  static ports::Echo* echo = new ports::Echo;
  ports::TestClient client(echo->address());
  kvrpcpb::GetRequest request;
  request.set_key(Bytes(kValueBytes, 'k'));
  kvrpcpb::GetRequest answer;
  constexpr sim::UnaryMethod<kvrpcpb::GetRequest, kvrpcpb::GetRequest> kEcho{"/bench.Echo/Echo"};
  for (auto _ : state) {
    for (int i = 0; i < kBatch; ++i) {
      CHECK(client.Call(kEcho, request, &answer).ok());
    }
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_Echo)->Threads(1)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvjury::remote
