// One PD in a world with one client, for tests.
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "fakes/pd/pd.h"

namespace kvjury::pd {

inline constexpr uint64_t kTestClusterId = 7001;
inline constexpr int64_t kTestClockStartMs = 1'700'000'000'000;

inline RegionTablePtr TableOf(const std::vector<Bytes>& boundaries, uint64_t first_id) {
  auto table = std::make_shared<RegionTable>();
  for (size_t i = 0; i <= boundaries.size(); ++i) {
    auto info = std::make_shared<RegionInfo>();
    info->region.set_id(first_id + i);
    info->region.set_start_key(i == 0 ? "" : boundaries[i - 1]);
    info->region.set_end_key(i == boundaries.size() ? "" : boundaries[i]);
    for (uint64_t store = 1; store <= 3; ++store) {
      metapb::Peer* peer = info->region.add_peers();
      peer->set_id(1000 + (first_id + i) * 10 + store);
      peer->set_store_id(store);
    }
    info->leader = info->region.peers(0);
    (*table)[info->region.start_key()] = info;
  }
  return table;
}

class RecordingPlacement : public Placement {
 public:
  RegionId SplitAtEncoded(std::string_view key) override {
    splits.emplace_back(key);
    return RegionId(100 + splits.size());
  }
  bool MoveLeader(RegionId region, StoreId store) override {
    moves.emplace_back(region.value(), store.value());
    return true;
  }
  Timestamp Resolved(std::string_view, std::string_view, Timestamp now) const override { return now; }
  std::vector<std::pair<uint64_t, uint64_t>> moves;
  std::vector<Bytes> splits;
};

// One world with one PD and one client.
struct Bench {
  explicit Bench(size_t members = 1) : world(record::Case()), pd(&world, OptionsOf(members)) {
    for (const sim::Address& address : pd.addresses()) {
      world.fabric().Listen(address, &pd.methods());
    }
    pd.SetPlacement(&placement);
    channel = world.fabric().ChannelFrom("client");
  }

  static PdOptions OptionsOf(size_t members) {
    PdOptions options{"source", kTestClusterId, kTestClockStartMs};
    options.members = members;
    return options;
  }

  template <class Request, class Response>
  static sim::Task<void> CallOnce(Bench* bench, sim::UnaryMethod<Request, Response> method, sim::Address to, Request request,
                                  std::optional<Result<std::shared_ptr<const Response>>>* out) {
    sim::CallOptions options;
    options.label = sim::Label("call").Numbered("n", ++bench->calls);
    auto call = sim::Call(bench->channel, method, std::move(to), std::move(request), std::move(options));
    auto answer = co_await std::move(call);
    out->emplace(std::move(answer));
  }
  template <class Request, class Response>
  Result<Response> Ask(sim::UnaryMethod<Request, Response> method, Request request) {
    return AskAt(pd.address(), method, std::move(request));
  }
  template <class Request, class Response>
  Result<Response> AskAt(sim::Address to, sim::UnaryMethod<Request, Response> method, Request request) {
    std::optional<Result<std::shared_ptr<const Response>>> answer;
    const sim::RunEnd end = world.Run(CallOnce(this, method, std::move(to), std::move(request), &answer), 60'000'000);
    CHECK(end == sim::RunEnd::kDone);
    if (!answer->ok()) {
      return answer->error();
    }
    return Response(***answer);
  }
  template <class Request>
  static Request With(uint64_t cluster_id = kTestClusterId) {
    Request request;
    request.mutable_header()->set_cluster_id(cluster_id);
    return request;
  }
  Result<Timestamp> Tso(uint32_t count) {
    auto request = With<pdpb::TsoRequest>();
    request.set_count(count);
    auto answer = Ask(kTso, request);
    if (!answer.ok()) {
      return answer.error();
    }
    return Timestamp::Compose(answer->timestamp().physical(), answer->timestamp().logical());
  }
  static sim::Task<void> SleepFor(sim::Scheduler* scheduler, Micros us) { co_await scheduler->Sleep(us); }
  void Pass(Micros us) { CHECK(world.Run(SleepFor(&world.scheduler(), us), us + 1) == sim::RunEnd::kDone); }

  sim::World world;
  Pd pd;
  RecordingPlacement placement;
  sim::Channel* channel = nullptr;
  uint64_t calls = 0;
};

}  // namespace kvjury::pd
