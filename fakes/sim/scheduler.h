// Scheduler: one thread, virtual time, a total order of events.
//
// An event is (time, order key, sequence number, coroutine or callback). Ties in time are broken by the order key (a hash
// of a stable label, so that removing one actor leaves the order of the others), then by the order of scheduling. Every
// event that runs is added to the digest. Time moves only between events.
// Modelled: timers, yields, latches, one-shot results, scopes. Not here: latencies and faults (fabric.h), randomness.
// Units: integer virtual microseconds since the start of the run.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "fakes/base/digest.h"
#include "fakes/base/ids.h"
#include "fakes/sim/task.h"

namespace kvjury::sim {

class Scheduler {
 public:
  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  [[nodiscard]] Micros now_us() const { return now_us_; }
  [[nodiscard]] uint64_t events_run() const { return events_run_; }
  [[nodiscard]] const RollingDigest& digest() const { return digest_; }
  [[nodiscard]] bool idle() const { return heap_.empty() && trampoline_.empty(); }

  /// Schedules `callback` at now + `delay_us`. `delay_us` must not be negative.
  void After(Micros delay_us, uint64_t order, std::function<void()> callback);
  /// Schedules the resumption of a suspended coroutine.
  void ResumeAfter(Micros delay_us, uint64_t order, std::coroutine_handle<> handle);

  /// Runs the next event and everything it resumes directly. False if there is none.
  bool RunOne();

  /// When the next event is due; -1 if nothing is left to happen.
  [[nodiscard]] Micros next_event_us() const { return heap_.empty() ? -1 : heap_.front().time_us; }
  /// Moves time forward to `time_us` without running anything; never backwards, never past an event that is due earlier. For
  /// worlds that follow a clock outside.
  void AdvanceTo(Micros time_us);

  /// The world will never run again: forgets all events, and scopes that die from now on destroy their suspended work
  /// instead of failing. Only after a run that hung.
  void Abandon();
  [[nodiscard]] bool abandoned() const { return abandoned_; }

  struct SleepAwaiter {
    Scheduler* scheduler;
    Micros delay_us;
    uint64_t order;
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> handle) {
      internal::CheckMayAwait(scheduler);
      scheduler->ResumeAfter(delay_us, order, handle);
    }
    void await_resume() noexcept {}
  };
  /// Suspends for `delay_us` of virtual time (0 yields once).
  SleepAwaiter Sleep(Micros delay_us, uint64_t order = 0) { return {this, delay_us, order}; }

 private:
  friend void internal::PushTrampoline(Scheduler* scheduler, std::coroutine_handle<> handle);
  friend void internal::CheckMayAwait(Scheduler* scheduler);
  friend class NoAwait;

  struct Event {
    Micros time_us;
    uint64_t order;
    uint64_t sequence;
    std::coroutine_handle<> handle;
    std::function<void()> callback;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      if (a.time_us != b.time_us) {
        return a.time_us > b.time_us;
      }
      if (a.order != b.order) {
        return a.order > b.order;
      }
      return a.sequence > b.sequence;
    }
  };
  void Push(Event event);
  void Drain();

  Micros now_us_ = 0;
  uint64_t next_sequence_ = 0;
  uint64_t events_run_ = 0;
  int no_await_depth_ = 0;
  bool abandoned_ = false;
  std::vector<Event> heap_;
  std::vector<std::coroutine_handle<>> trampoline_;
  RollingDigest digest_;
};

/// Marks a stretch between reading and writing one structure, in which nothing may suspend.
class NoAwait {
 public:
  explicit NoAwait(Scheduler* scheduler) : scheduler_(scheduler) { ++scheduler_->no_await_depth_; }
  NoAwait(const NoAwait&) = delete;
  NoAwait& operator=(const NoAwait&) = delete;
  ~NoAwait() { --scheduler_->no_await_depth_; }

 private:
  Scheduler* scheduler_;
};

/// A result that is set once and awaited by at most one coroutine. The first Set wins, later ones are ignored and say so.
/// The waiter resumes by an event of its own.
template <class T>
class OneShot {
 public:
  explicit OneShot(Scheduler* scheduler, uint64_t order = 0) : scheduler_(scheduler), order_(order) {}
  OneShot(const OneShot&) = delete;
  OneShot& operator=(const OneShot&) = delete;

  [[nodiscard]] bool is_set() const { return value_.has_value(); }

  bool Set(T value) {
    if (value_.has_value()) {
      return false;
    }
    value_.emplace(std::move(value));
    if (waiter_) {
      scheduler_->ResumeAfter(0, order_, std::exchange(waiter_, {}));
    }
    return true;
  }

  struct Awaiter {
    OneShot* shot;
    bool await_ready() noexcept { return shot->value_.has_value(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> handle) {
      internal::CheckMayAwait(shot->scheduler_);
      CHECK(!shot->waiter_) << "a one-shot has one waiter";
      shot->waiter_ = handle;
    }
    T await_resume() { return std::move(*shot->value_); }
  };
  Awaiter operator co_await() { return Awaiter{this}; }

 private:
  Scheduler* scheduler_;
  uint64_t order_;
  std::optional<T> value_;
  std::coroutine_handle<> waiter_;
};

/// A condition that many coroutines wait for: NotifyAll wakes those that wait now, each by an event, in waiting order.
/// Waiters must test their condition again.
class Notifier {
 public:
  explicit Notifier(Scheduler* scheduler) : scheduler_(scheduler) {}
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void NotifyAll() {
    std::vector<std::coroutine_handle<>> waiters;
    waiters.swap(waiters_);
    for (std::coroutine_handle<> waiter : waiters) {
      scheduler_->ResumeAfter(0, 0, waiter);
    }
  }
  struct Awaiter {
    Notifier* notifier;
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> handle) {
      internal::CheckMayAwait(notifier->scheduler_);
      notifier->waiters_.push_back(handle);
    }
    void await_resume() noexcept {}
  };
  Awaiter Wait() { return Awaiter{this}; }

 private:
  Scheduler* scheduler_;
  std::vector<std::coroutine_handle<>> waiters_;
};

/// Says to work that it should end; seen at await points and answered with Status::Cancelled.
class StopToken {
 public:
  StopToken() = default;
  explicit StopToken(const bool* flag) : flag_(flag) {}
  [[nodiscard]] bool stop_requested() const { return flag_ != nullptr && *flag_; }

 private:
  const bool* flag_ = nullptr;
};

class StopSource {
 public:
  void RequestStop() { stopped_ = true; }
  [[nodiscard]] bool stop_requested() const { return stopped_; }
  [[nodiscard]] StopToken token() const { return StopToken(&stopped_); }

 private:
  bool stopped_ = false;
};

/// Owns spawned work and joins it. A scope that dies with work in it is a failed CHECK, unless the whole world was
/// abandoned after a hang: then the frames are destroyed where they are suspended.
class Scope {
 public:
  explicit Scope(Scheduler* scheduler) : scheduler_(scheduler), done_(scheduler) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  /// Starts `task` by an event at the present time. `name` gives the order key and is shown when somebody is late.
  void Spawn(std::string name, Task<void> task);

  /// Ends when everything spawned has ended; rethrows the first stored exception.
  Task<void> Join();

  /// Rethrows the first stored exception, if any. Join does it too.
  void RethrowFirst();

  [[nodiscard]] size_t running() const { return running_.size(); }
  /// The names of the work that has not ended, in spawning order.
  [[nodiscard]] std::vector<std::string> running_names() const;
  [[nodiscard]] StopToken token() const { return stop_.token(); }
  void RequestStop() { stop_.RequestStop(); }
 private:
  struct Running {
    std::string name;
    std::coroutine_handle<> handle;
  };
  struct Root;
  static Root RunRoot(Scope* scope, std::list<Running>::iterator self, Task<void> task);
  void Finish(std::list<Running>::iterator self, std::exception_ptr exception);

  Scheduler* scheduler_;
  Notifier done_;
  StopSource stop_;
  std::list<Running> running_;
  std::exception_ptr first_exception_;
};

}  // namespace kvjury::sim
