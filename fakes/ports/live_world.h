// LiveWorld: a world whose virtual time follows the wall clock, on a thread of its own, with an inbox.
//
// In a simulation time jumps from event to event; here the thread sleeps until the next event is due or something is posted.
// Everything that touches the world (handlers, faults, inspection) runs on that one thread; other threads Post. Heavy pure
// work leaves it through World::Offload: a small pool of threads, whose completions enter the same inbox.
// Not deterministic, and not meant to be: what came in when is the outside's choice.
// Source: std::chrono::steady_clock; virtual microsecond 0 is the moment of Start.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "fakes/sim/world.h"

namespace kvjury::ports {

class LiveWorld {
 public:
  /// `world` must outlive this and may be touched by the caller until Start and after Stop.
  explicit LiveWorld(sim::World* world);
  LiveWorld(const LiveWorld&) = delete;
  LiveWorld& operator=(const LiveWorld&) = delete;
  /// Stops.
  ~LiveWorld();

  sim::World& world() { return *world_; }

  void Start();
  /// Ends the thread at the next event; what has not happened does not happen any more. Idempotent.
  void Stop();

  /// Runs `work` on the world's thread soon, in posting order. Any thread. Dropped after Stop.
  void Post(std::function<void()> work);
  /// The same, and waits for its end. Not from the world's thread. False if the world has stopped: `work` may not have run.
  bool Run(const std::function<void()>& work);
  /// Starts `task`. Only on the world's thread.
  void SpawnNow(std::string name, sim::Task<void> task) { scope_.Spawn(std::move(name), std::move(task)); }

 private:
  class Pool;
  void Loop();
  void RunDueEvents();
  [[nodiscard]] Micros Now() const;

  sim::World* world_;
  sim::Scope scope_;
  std::unique_ptr<Pool> pool_;
  std::chrono::steady_clock::time_point started_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> inbox_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvjury::ports
