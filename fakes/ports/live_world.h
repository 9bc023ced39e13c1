// LiveWorld: a world whose virtual time follows the wall clock, on a thread of its own, with an inbox.
//
// In a simulation time jumps from event to event; here the thread sleeps until the next event is due or something is posted.
// Everything that touches the world (handlers, faults, inspection) runs on that one thread; other threads Post. Heavy pure
// work leaves it through World::Offload: a small pool of threads, whose completions enter the same inbox.
// Not deterministic, and not meant to be: what came in when is the outside's choice.
// Source: std::chrono::steady_clock; virtual microsecond 0 is the moment of Start.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "fakes/ports/recorder.h"
#include "fakes/ports/rocksdb_state.h"
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

  /// Stop was called. Any thread.
  [[nodiscard]] bool stopping() const;
  /// Runs `work` on the world's thread soon, in posting order. Any thread. Dropped after Stop.
  void Post(std::function<void()> work);
  /// The same, and waits for its end. Not from the world's thread. False if the world has stopped: `work` may not have run.
  bool Run(const std::function<void()>& work);
  /// What happens in the world is kept there: before the outside is told, await Kept. Call before Start; must outlive the thread.
  void KeepIn(RocksDbState* state) { state_ = state; }
  /// What reaches the world is told to `recorder`. Call before Start; must outlive the thread.
  void RecordTo(Recorder* recorder) { recorder_ = recorder; }
  /// Null: nobody records.
  [[nodiscard]] Recorder* recorder() const { return recorder_; }
  [[nodiscard]] bool keeps() const { return state_ != nullptr; }
  /// Ends once everything that has happened so far is kept, or with `only_meta` what happened to the shape of the cluster; never
  /// after keeping has failed. Suspends.
  sim::Task<void> Kept(bool only_meta);
  /// The longest that the thread was busy with one event or one posted piece of work, since Start.
  [[nodiscard]] Micros longest_step_us() const { return longest_step_us_; }
  /// Starts `task`. Only on the world's thread.
  void SpawnNow(std::string name, sim::Task<void> task) { scope_.Spawn(std::move(name), std::move(task)); }

 private:
  class Pool;
  void Loop();
  void RunDueEvents();
  void StepEnded(Micros begun_us);
  [[nodiscard]] Micros Now() const;

  sim::World* world_;
  sim::Scope scope_;
  std::unique_ptr<Pool> pool_;
  RocksDbState* state_ = nullptr;
  Recorder* recorder_ = nullptr;
  std::atomic<Micros> longest_step_us_{0};
  std::chrono::steady_clock::time_point started_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> inbox_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvjury::ports
