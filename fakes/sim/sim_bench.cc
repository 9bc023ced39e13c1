// Budgets of the simulation alone: an event, a simulated RPC, an empty world.
#include <benchmark/benchmark.h>

#include "fakes/sim/world.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::sim {
namespace {

constexpr UnaryMethod<kvrpcpb::GetRequest, kvrpcpb::GetResponse> kGet{"/test/Get"};

Task<void> Tick(Scheduler* scheduler, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    co_await scheduler->Sleep(1);
  }
}

void BM_Event(benchmark::State& state) {
  for (auto _ : state) {
    World world{record::Case()};
    static_cast<void>(world.Run(Tick(&world.scheduler(), 10'000), INT64_MAX / 2));
  }
  state.SetItemsProcessed(state.iterations() * 10'000);
}
BENCHMARK(BM_Event);

class EchoService {
 public:
  EchoService() { table_.Add(kGet, this, &EchoService::Get); }
  const MethodTable* table() const { return &table_; }

 private:
  Task<Result<kvrpcpb::GetResponse>> Get(std::shared_ptr<const kvrpcpb::GetRequest> request, CallContext) {
    kvrpcpb::GetResponse response;
    response.set_value(request->key());
    co_return response;
  }
  MethodTable table_;
};

Task<void> CallMany(World* world, int count) {
  const Label root("bench");
  for (int i = 0; i < count; ++i) {
    kvrpcpb::GetRequest request;
    request.set_key("key");
    CallOptions options;
    options.label = root.Numbered("get", static_cast<uint64_t>(i));
    auto call = Call(world->fabric().ChannelFrom("client"), kGet, "store-1", std::move(request), std::move(options));
    auto response = co_await std::move(call);
    benchmark::DoNotOptimize(response.ok());
  }
}

void BM_SimulatedRpc(benchmark::State& state) {
  for (auto _ : state) {
    World world{record::Case()};
    EchoService service;
    world.fabric().Listen("store-1", service.table());
    static_cast<void>(world.Run(CallMany(&world, 10'000), INT64_MAX / 2));
  }
  state.SetItemsProcessed(state.iterations() * 10'000);
}
BENCHMARK(BM_SimulatedRpc);

void BM_EmptyWorld(benchmark::State& state) {
  for (auto _ : state) {
    World world{record::Case()};
    static_cast<void>(world.Run(Tick(&world.scheduler(), 0), 1000));
  }
}
BENCHMARK(BM_EmptyWorld);

}  // namespace
}  // namespace kvjury::sim
