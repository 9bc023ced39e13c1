// Test support: a world with a source and a target cluster, and the reference tools between them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fakes/tikv/cluster.h"
#include "fakes/tikv/cluster_faults.h"
#include "harness/backup/reference_backup.h"
#include "harness/backup/reference_restore.h"

namespace kvjury::backup {

using PairList = std::vector<std::pair<Bytes, Bytes>>;

struct ToolBench {
  static constexpr int64_t kClockStartMs = 1'800'000'000'000;
  static constexpr Micros kRunUsMax = 600'000'000;

  struct Options {
    record::Case spec;
    uint32_t stores = 3;
    tikv::SstCodec codec = tikv::SstCodec::kMemory;
    int64_t target_clock_lag_ms = 0;
  };

  ToolBench() : ToolBench(Options()) {}
  explicit ToolBench(const Options& options)
      : world(options.spec),
        source(&world, ClusterOptions(options, "source", 0)),
        target(&world, ClusterOptions(options, "target", options.target_clock_lag_ms)),
        faults(&world, {&source, &target}),
        source_client(world.fabric().ChannelFrom("tool"), &world.scheduler(), "client-source", source.pd_address(), &world.log()),
        target_client(world.fabric().ChannelFrom("tool"), &world.scheduler(), "client-target", target.pd_address(), &world.log()) {}

  tikv::ClusterOptions ClusterOptions(const Options& options, const std::string& name, int64_t lag_ms) {
    tikv::ClusterOptions cluster;
    cluster.name = name;
    cluster.stores = options.stores;
    cluster.clock_start_ms = kClockStartMs - lag_ms;
    cluster.cluster_id = name == "source" ? 41 : 42;
    cluster.storages = &storages;
    cluster.sst_codec = options.codec;
    return cluster;
  }

  ToolHost Host(const std::string& label, bool is_source, const std::string& folder = "/backup") {
    ToolHost host;
    host.world = &world;
    host.client = is_source ? &source_client : &target_client;
    host.channel = world.fabric().ChannelFrom("tool");
    host.storage = objects::LocalStorage(folder);
    host.objects = storages.Open(host.storage).value();
    host.label = sim::Label(label);
    return host;
  }

  ToolReport Backup(const std::string& label = "backup", const std::string& folder = "/backup") {
    ToolReport report;
    CHECK(world.Run(Store(RunReferenceBackup(Host(label, true, folder), BackupOptions()), &report), kRunUsMax) ==
          sim::RunEnd::kDone);
    return report;
  }
  ToolReport Restore(const std::string& label = "restore", const std::string& folder = "/backup",
                     const RestoreOptions& options = RestoreOptions()) {
    ToolReport report;
    CHECK(world.Run(Store(RunReferenceRestore(Host(label, false, folder), options), &report), kRunUsMax) ==
          sim::RunEnd::kDone);
    return report;
  }
  static sim::Task<void> Store(sim::Task<ToolReport> task, ToolReport* out) {
    *out = co_await std::move(task);
  }
  /// Lets virtual time pass.
  void Pass(Micros us) { CHECK(world.Run(SleepFor(&world.scheduler(), us), us + 1) == sim::RunEnd::kDone); }
  static sim::Task<void> SleepFor(sim::Scheduler* scheduler, Micros us) { co_await scheduler->Sleep(us); }
  static sim::Task<void> Close(ToolBench* bench) {
    auto source_join = bench->source_client.Join();
    co_await std::move(source_join);
    auto target_join = bench->target_client.Join();
    co_await std::move(target_join);
  }

  /// What the target shows an ordinary reader now.
  static sim::Task<void> ReadAll(client::Client* client, Result<std::vector<client::Pair>>* out) {
    auto ask = client->CurrentTimestamp(sim::Label("look/tso"));
    const Result<Timestamp> ts = co_await std::move(ask);
    CHECK(ts.ok()) << ts.status().ToString();
    const std::unique_ptr<client::Transaction> reader = client->BeginAt(*ts, sim::Label("look"));
    auto scan = reader->Scan({}, {}, 0);
    *out = co_await std::move(scan);
  }
  Result<PairList> Look() {
    Result<std::vector<client::Pair>> pairs = Status::Unavailable("not read");
    CHECK(world.Run(ReadAll(&target_client, &pairs), kRunUsMax) == sim::RunEnd::kDone);
    return pairs;
  }
  [[nodiscard]] PairList Truth(Timestamp ts) const { return source.OracleRead({}, {}, ts); }

  /// Ends all background work, so that the world may die.
  ~ToolBench() {
    world.faults().Heal();
    source.Heal();
    target.Heal();
    CHECK(world.Run(Close(this), kRunUsMax) == sim::RunEnd::kDone);
    source.Shutdown();
    target.Shutdown();
  }
  ToolBench(const ToolBench&) = delete;
  ToolBench& operator=(const ToolBench&) = delete;

  objects::Storages storages;
  sim::World world;
  tikv::Cluster source;
  tikv::Cluster target;
  tikv::FaultExecutor faults;
  client::Client source_client;
  client::Client target_client;
};

/// `count` pairs under a few prefixes, every tenth value long, the empty key and keys of ff among them.
inline PairList SomePairs(size_t count) {
  std::map<Bytes, Bytes> pairs = {{"", "empty key"}, {Bytes(12, '\xff'), "high"}};
  for (size_t i = 0; i < count; ++i) {
    Bytes key = "k" + std::to_string(i % 7) + "/";
    AppendBe64(&key, i);
    pairs[key] = i % 10 == 3 ? Bytes(300 + i, 'L') : "value " + std::to_string(i);
  }
  return PairList(pairs.begin(), pairs.end());
}

/// Puts pairs into the source and cuts it into regions.
inline void FillSource(ToolBench* bench, size_t count = 200) {
  const Timestamp ts = bench->source.pd().AllocateTimestamp().value();
  bench->source.LoadPairs(SomePairs(count), ts);
  for (const char* key : {"k1", "k3", "k5"}) {
    CHECK(bench->source.SplitAt(key));
  }
  bench->Pass(1'000'000);
}

}  // namespace kvjury::backup
