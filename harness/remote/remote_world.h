// RemoteWorld: coroutines against a real cluster, run from ordinary code.
//
// A world that follows the clock on a thread of its own, and a channel to the outside. Everything that a task touches lives in
// the task, on that thread.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fakes/sim/world.h"
#include "harness/remote/remote_channel.h"

namespace kvjury::remote {

class RemoteWorld {
 public:
  /// Errors: as RemoteChannel::Create.
  static Result<std::unique_ptr<RemoteWorld>> Start(const ports::TlsFiles& tls);
  RemoteWorld(const RemoteWorld&) = delete;
  RemoteWorld& operator=(const RemoteWorld&) = delete;
  /// What runs is left where it is and forgotten.
  ~RemoteWorld();

  sim::Channel* channel() { return channel_.get(); }
  sim::World* world() { return &world_; }
  sim::Scheduler* scheduler() { return &world_.scheduler(); }

  /// Runs `task` to its end and returns what it returned. Blocks; not from the world's thread.
  template <class T>
  T Run(sim::Task<T> task) {
    auto running = std::make_shared<Running<T>>(std::move(task));
    std::future<void> ended = running->ended.get_future();
    live_.Post([this, running]() { live_.SpawnNow("main", Carry(running)); });
    ended.get();
    return *std::move(running->result);
  }

 private:
  template <class T>
  struct Running {
    explicit Running(sim::Task<T> t) : task(std::move(t)) {}
    sim::Task<T> task;
    std::optional<T> result;
    std::promise<void> ended;
  };
  template <class T>
  static sim::Task<void> Carry(std::shared_ptr<Running<T>> running) {
    T result = co_await std::move(running->task);
    running->result.emplace(std::move(result));
    running->task = {};
    running->ended.set_value();
  }
  RemoteWorld() : live_(&world_) {}

  sim::World world_{record::Case()};
  ports::LiveWorld live_;
  std::unique_ptr<RemoteChannel> channel_;
};

/// Asks the PD members one after another who leads, and gives the leader's address. Errors: kUnavailable naming what was asked;
/// never blocks longer than a few seconds for each. Suspends.
sim::Task<Result<sim::Address>> FindPdLeader(sim::Channel* channel, std::vector<sim::Address> members);

}  // namespace kvjury::remote
