// Real ports against a bare gRPC echo in the same process: round trips of Get and of a one-phase write, calls a second with one
// and with sixteen clients, timestamps while a backup runs, start of a cluster, memory of a million keys.
//
// BM_Echo is the yardstick: the same client and message sizes against a server that only gives the bytes back. Each client has a
// connection of its own and waits for its answer before it asks again.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "fakes/base/check.h"
#include "fakes/ports/bench_echo.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"

namespace kvjury::ports {
namespace {

constexpr char kPdTso[] = "/pdpb.PD/Tso";
constexpr size_t kValueBytes = 200;

class OneStore {
 public:
  explicit OneStore(std::vector<tikv::UserVersion> versions = {}) {
    ServeOptions options;
    options.pd_port = 0;
    options.stores = 1;
    options.versions = std::move(versions);
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    CHECK(started.ok()) << started.status().ToString();
    served_ = *std::move(started);
    TestClusterClient client(this->pd());
    cluster_id_ = client.cluster_id();
    context_ = client.Find("bench").context;
  }
  [[nodiscard]] std::string pd() const { return served_->pd_addresses().front(); }
  [[nodiscard]] std::string store() const { return served_->stores().front().address; }
  [[nodiscard]] const kvrpcpb::Context& context() const { return context_; }
  [[nodiscard]] uint64_t cluster_id() const { return cluster_id_; }

 private:
  std::unique_ptr<ServedCluster> served_;
  uint64_t cluster_id_ = 0;
  kvrpcpb::Context context_;
};

std::string KeyOf(int thread) { return "bench-" + std::to_string(thread); }

kvrpcpb::GetRequest GetOf(int thread, const kvrpcpb::Context& context) { return TestClusterClient::GetAt(context, KeyOf(thread)); }

void BM_Echo(benchmark::State& state) {
  static Echo* echo = new Echo;  // for all threads of all repetitions
  TestClient client(echo->address());
  const kvrpcpb::GetRequest request = GetOf(state.thread_index(), kvrpcpb::Context());
  kvrpcpb::GetRequest answer;
  constexpr sim::UnaryMethod<kvrpcpb::GetRequest, kvrpcpb::GetRequest> kEcho{"/bench.Echo/Echo"};
  for (auto _ : state) {
    CHECK(client.Call(kEcho, request, &answer).ok());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Echo)->Threads(1)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);

OneStore* Shared() {
  static OneStore* cluster = new OneStore;
  return cluster;
}

void BM_Get(benchmark::State& state) {
  TestClient client(Shared()->store());
  const kvrpcpb::GetRequest request = GetOf(state.thread_index(), Shared()->context());
  kvrpcpb::GetResponse answer;
  for (auto _ : state) {
    CHECK(client.Call(tikv::kKvGet, request, &answer).ok());
    CHECK(!answer.has_region_error()) << answer.ShortDebugString();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Get)->Threads(1)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);

// As a client writes: a timestamp, then the prewrite that commits at once.
void BM_OnePhaseWrite(benchmark::State& state) {
  TestClient pd(Shared()->pd());
  TestClient store(Shared()->store());
  grpc::ClientContext context;
  auto timestamps = pd.Stream<pdpb::TsoRequest, pdpb::TsoResponse>(kPdTso, &context);
  pdpb::TsoRequest ask;
  ask.mutable_header()->set_cluster_id(Shared()->cluster_id());
  ask.set_count(1);
  kvrpcpb::PrewriteRequest request =
      TestClusterClient::OnePhase(Shared()->context(), KeyOf(state.thread_index()), std::string(kValueBytes, 'v'), 0);
  request.clear_min_commit_ts();
  pdpb::TsoResponse now;
  kvrpcpb::PrewriteResponse answer;
  for (auto _ : state) {
    CHECK(timestamps->Write(ask) && timestamps->Read(&now));
    const uint64_t ts = static_cast<uint64_t>(now.timestamp().physical()) << 18 | static_cast<uint64_t>(now.timestamp().logical());
    request.set_start_version(ts);
    CHECK(store.Call(tikv::kKvPrewrite, request, &answer).ok());
    CHECK(answer.one_pc_commit_ts() != 0) << answer.ShortDebugString();
  }
  timestamps->WritesDone();
  context.TryCancel();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_OnePhaseWrite)->Threads(1)->Threads(16)->UseRealTime()->Unit(benchmark::kMicrosecond);

std::vector<tikv::UserVersion> Versions(size_t count) {
  std::vector<tikv::UserVersion> versions;
  versions.reserve(count);
  char key[32];
  for (size_t i = 0; i < count; ++i) {
    std::snprintf(key, sizeof(key), "key-%016zu", i);
    versions.push_back({key, Bytes(100, 'v'), {}, {}});
  }
  return versions;
}

// What a client waits for a timestamp while the store backs 200,000 keys up, again and again. `p99_us` is the figure.
void BM_TimestampDuringBackup(benchmark::State& state) {
  OneStore cluster(Versions(200'000));
  const std::string folder = std::filesystem::temp_directory_path() / ("kvjury-bench-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> backups{0};
  std::thread backup([&]() {
    TestClient store(cluster.store());
    backup::BackupRequest request;
    request.set_end_version(UINT64_MAX - 1);
    request.mutable_storage_backend()->mutable_local()->set_path(folder);
    request.set_compression_type(backup::ZSTD);
    while (!stop) {
      grpc::ClientContext context;
      auto stream = store.Stream<backup::BackupRequest, backup::BackupResponse>(tikv::kBackup.path, &context);
      stream->Write(request);
      stream->WritesDone();
      for (backup::BackupResponse response; stream->Read(&response);) {
        CHECK(!response.has_error()) << response.ShortDebugString();
      }
      CHECK(stream->Finish().ok());
      ++backups;
    }
  });
  TestClient pd(cluster.pd());
  grpc::ClientContext context;
  auto timestamps = pd.Stream<pdpb::TsoRequest, pdpb::TsoResponse>(kPdTso, &context);
  pdpb::TsoRequest ask;
  ask.mutable_header()->set_cluster_id(cluster.cluster_id());
  ask.set_count(1);
  std::vector<double> took_us;
  for (auto _ : state) {
    const auto begun = std::chrono::steady_clock::now();
    pdpb::TsoResponse now;
    CHECK(timestamps->Write(ask) && timestamps->Read(&now));
    took_us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
  }
  context.TryCancel();
  stop = true;
  backup.join();
  std::filesystem::remove_all(folder);
  std::sort(took_us.begin(), took_us.end());
  state.counters["p50_us"] = took_us[took_us.size() / 2];
  state.counters["p99_us"] = took_us[took_us.size() * 99 / 100];
  state.counters["worst_us"] = took_us.back();
  state.counters["backups"] = static_cast<double>(backups);
}
BENCHMARK(BM_TimestampDuringBackup)->UseRealTime()->MinTime(4)->Unit(benchmark::kMicrosecond);

void BM_StartAndStop(benchmark::State& state) {
  for (auto _ : state) {
    ServeOptions options;
    options.pd_port = 0;
    Result<std::unique_ptr<ServedCluster>> started = ServedCluster::Start(std::move(options));
    CHECK(started.ok()) << started.status().ToString();
    (*started)->Stop();
  }
}
BENCHMARK(BM_StartAndStop)->UseRealTime()->Unit(benchmark::kMillisecond);

// Heap bytes of a cluster that holds a million keys of twenty bytes with values of a hundred.
void BM_MillionKeys(benchmark::State& state) {
  for (auto _ : state) {
    std::vector<tikv::UserVersion> versions = Versions(1'000'000);
    const size_t before = mallinfo2().uordblks;
    {
      const OneStore cluster(std::move(versions));
      // The versions were handed over; what is held now is the cluster's, and what they took is free again.
      state.counters["bytes_per_key"] = static_cast<double>(mallinfo2().uordblks) / 1'000'000;
    }
    state.counters["versions_bytes_per_key"] = static_cast<double>(before) / 1'000'000;
  }
}
BENCHMARK(BM_MillionKeys)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvjury::ports
