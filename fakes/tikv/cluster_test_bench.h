// For tests: a world with one cluster, one client, and plain calls that run the world until they are answered.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/cluster_faults.h"
#include "fakes/tikv/methods.h"

namespace kvjury::tikv {

struct ClusterBench {
  static constexpr int64_t kClockStartMs = 1'700'000'000'000;

  explicit ClusterBench(uint32_t stores, const record::Case& spec = {}, bool sync_max_ts = true, bool fresh = true,
                        SstCodec codec = SstCodec::kMemory, bool instant = false)
      : world(spec), cluster(&world, Options(&storages, stores, sync_max_ts, fresh, codec, instant)), faults(&world, {&cluster}) {
    channel = world.fabric().ChannelFrom("client");
  }

  static ClusterOptions Options(objects::Storages* storages, uint32_t stores, bool sync_max_ts, bool fresh, SstCodec codec, bool instant) {
    ClusterOptions options;
    options.instant = instant;
    options.name = "source";
    options.stores = stores;
    options.clock_start_ms = kClockStartMs;
    options.cluster_id = 42;
    options.storages = storages;
    options.sync_max_ts = sync_max_ts;
    options.fresh_boundaries = fresh;
    options.sst_codec = codec;
    return options;
  }

  static sim::Task<void> RunCall(sim::Channel* channel, std::string path, sim::Address to, sim::MessagePtr request,
                                 sim::CallOptions options, std::optional<Result<sim::MessagePtr>>* out) {
    auto call = channel->CallRaw(path.c_str(), std::move(to), std::move(request), std::move(options));
    Result<sim::MessagePtr> answer = co_await std::move(call);
    out->emplace(std::move(answer));
  }
  Result<sim::MessagePtr> Ask(const std::string& path, const sim::Address& to, sim::MessagePtr request,
                              const std::string& label) {
    std::optional<Result<sim::MessagePtr>> answer;
    sim::CallOptions options;
    options.label = sim::Label(label.empty() ? "call" : label);
    if (label.empty()) {
      options.label = options.label.Numbered("n", ++calls);
    }
    CHECK(world.Run(RunCall(channel, path, to, std::move(request), std::move(options), &answer), 120'000'000) ==
          sim::RunEnd::kDone);
    return *answer;
  }
  template <class Request, class Response>
  Result<Response> Ask(sim::UnaryMethod<Request, Response> method, StoreId store, Request request,
                       const std::string& label = "") {
    Result<sim::MessagePtr> answer = Ask(method.path, cluster.store_address(store),
                                         std::make_shared<const Request>(std::move(request)), label);
    if (!answer.ok()) {
      return answer.error();
    }
    return Response(static_cast<const Response&>(**answer));
  }

  /// Calls that are under way at the same time. `at_us` counts from now.
  struct Timed {
    Micros at_us = 0;
    std::string path;
    StoreId store;
    sim::MessagePtr request;
    std::optional<Result<sim::MessagePtr>> answer;
    Micros answered_us = 0;  // counted from the same moment
  };
  static sim::Task<void> RunTimed(ClusterBench* bench, Timed* call) {
    const Micros begun_us = bench->world.scheduler().now_us();
    co_await bench->world.scheduler().Sleep(call->at_us);
    sim::CallOptions options;
    options.label = sim::Label("call").Numbered("n", ++bench->calls);
    auto asking = bench->channel->CallRaw(call->path.c_str(), bench->cluster.store_address(call->store), call->request,
                                          std::move(options));
    Result<sim::MessagePtr> answer = co_await std::move(asking);
    call->answer.emplace(std::move(answer));
    call->answered_us = bench->world.scheduler().now_us() - begun_us;
  }
  static sim::Task<void> RunAll(ClusterBench* bench, std::vector<Timed>* all) {
    sim::Scope scope(&bench->world.scheduler());
    for (size_t i = 0; i < all->size(); ++i) {
      scope.Spawn("call " + std::to_string(i), RunTimed(bench, &(*all)[i]));
    }
    sim::Task<void> joining = scope.Join();
    co_await std::move(joining);
  }
  void AskTogether(std::vector<Timed>* all) { CHECK(world.Run(RunAll(this, all), 600'000'000) == sim::RunEnd::kDone); }

  static sim::Task<void> RunStream(sim::Channel* channel, sim::Address to, backup::BackupRequest request,
                                   sim::CallOptions options, std::vector<backup::BackupResponse>* out, Status* end) {
    sim::MessagePtr message = std::make_shared<const backup::BackupRequest>(std::move(request));
    auto opening = channel->OpenRaw(kBackup.path, std::move(to), std::move(message), std::move(options));
    Result<std::unique_ptr<sim::StreamReader>> reader = co_await std::move(opening);
    while (reader.ok()) {
      sim::Task<Result<sim::MessagePtr>> reading = (*reader)->Next();
      Result<sim::MessagePtr> next = co_await std::move(reading);
      if (!next.ok()) {
        *end = next.error();
        co_return;
      }
      if (*next == nullptr) {
        co_return;
      }
      out->push_back(static_cast<const backup::BackupResponse&>(**next));
    }
  }
  std::vector<backup::BackupResponse> Backup(StoreId store, backup::BackupRequest request) {
    std::vector<backup::BackupResponse> answers;
    Status end;
    sim::CallOptions options;
    options.label = sim::Label("backup").Numbered("n", ++calls);
    options.timeout_us = 3'600'000'000;
    CHECK(world.Run(RunStream(channel, cluster.store_address(store), std::move(request), std::move(options), &answers, &end),
                    3'600'000'000) == sim::RunEnd::kDone);
    CHECK(end.ok()) << end;
    return answers;
  }

  static sim::Task<void> SleepFor(sim::Scheduler* scheduler, Micros us) { co_await scheduler->Sleep(us); }
  void Pass(Micros us) { CHECK(world.Run(SleepFor(&world.scheduler(), us), us + 1) == sim::RunEnd::kDone); }

  /// A correct context for the region of a user key, on its leader; also tells the leader.
  kvrpcpb::Context ContextFor(const Bytes& user_key, StoreId* leader) { return ContextForEncoded(EncodeKey(user_key), leader); }
  /// The same for a key as it stands in the region's bounds, as raw keys do.
  kvrpcpb::Context ContextForEncoded(const Bytes& key, StoreId* leader) {
    const Region* region = cluster.regions().FindByKey(key);
    *leader = cluster.raft().Leader(region->id);
    kvrpcpb::Context context;
    context.set_region_id(region->id.value());
    context.mutable_region_epoch()->set_conf_ver(region->conf_ver);
    context.mutable_region_epoch()->set_version(region->version);
    if (leader->valid()) {
      *context.mutable_peer() = ToProto(*region->PeerOn(*leader));
    }
    return context;
  }
  Timestamp Tso() { return *cluster.pd().AllocateTimestamp(); }

  /// One phase, one key. The response; an invalid leader answers not_leader.
  Result<kvrpcpb::PrewriteResponse> PutOnePhase(const Bytes& key, const Bytes& value, const std::string& label = "") {
    StoreId leader;
    kvrpcpb::PrewriteRequest request;
    *request.mutable_context() = ContextFor(key, &leader);
    kvrpcpb::Mutation* mutation = request.add_mutations();
    mutation->set_op(kvrpcpb::Put);
    mutation->set_key(key);
    mutation->set_value(value);
    request.set_primary_lock(key);
    request.set_start_version(Tso().value());
    request.set_lock_ttl(3000);
    request.set_txn_size(1);
    request.set_try_one_pc(true);
    request.set_use_async_commit(true);
    request.set_min_commit_ts(request.start_version() + 1);
    return Ask(kKvPrewrite, leader, std::move(request), label);
  }
  Result<kvrpcpb::GetResponse> Get(const Bytes& key, Timestamp ts) {
    StoreId leader;
    kvrpcpb::GetRequest request;
    *request.mutable_context() = ContextFor(key, &leader);
    request.set_key(key);
    request.set_version(ts.value());
    return Ask(kKvGet, leader, std::move(request));
  }

  objects::Storages storages;
  sim::World world;
  Cluster cluster;
  FaultExecutor faults;
  sim::Channel* channel = nullptr;
  uint64_t calls = 0;
};

}  // namespace kvjury::tikv
