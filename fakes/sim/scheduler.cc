#include "fakes/sim/scheduler.h"

#include <algorithm>

namespace kvjury::sim {

namespace internal {

void PushTrampoline(Scheduler* scheduler, std::coroutine_handle<> handle) {
  CHECK(scheduler != nullptr) << "a task runs only below a scope";
  scheduler->trampoline_.push_back(handle);
}

void CheckMayAwait(Scheduler* scheduler) {
  CHECK_EQ(scheduler->no_await_depth_, 0) << "suspended inside a NoAwait stretch";
}

}  // namespace internal

void Scheduler::Push(Event event) {
  CHECK_GE(event.time_us, now_us_) << "an event in the past";
  heap_.push_back(std::move(event));
  std::push_heap(heap_.begin(), heap_.end(), Later());
}

void Scheduler::After(Micros delay_us, uint64_t order, std::function<void()> callback) {
  Push(Event{now_us_ + delay_us, order, next_sequence_++, {}, std::move(callback)});
}

void Scheduler::ResumeAfter(Micros delay_us, uint64_t order, std::coroutine_handle<> handle) {
  Push(Event{now_us_ + delay_us, order, next_sequence_++, handle, {}});
}

void Scheduler::Drain() {
  while (!trampoline_.empty()) {
    std::coroutine_handle<> handle = trampoline_.back();
    trampoline_.pop_back();
    handle.resume();
  }
}

bool Scheduler::RunOne() {
  CHECK(trampoline_.empty());
  if (heap_.empty()) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), Later());
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_us_ = event.time_us;
  ++events_run_;
  digest_.Add(Mix64(static_cast<uint64_t>(event.time_us), event.order));
  if (event.handle) {
    trampoline_.push_back(event.handle);
  } else {
    event.callback();
  }
  Drain();
  return true;
}

void Scheduler::AdvanceTo(Micros time_us) {
  if (!heap_.empty()) {
    time_us = std::min(time_us, heap_.front().time_us);
  }
  now_us_ = std::max(now_us_, time_us);
}

void Scheduler::Abandon() {
  abandoned_ = true;
  heap_.clear();
  trampoline_.clear();
}

// The outermost frame of spawned work. It frees itself when it ends.
struct Scope::Root {
  struct promise_type {
    Scheduler* scheduler = nullptr;
    Root get_return_object() { return Root{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }  // RunRoot catches everything
  };
  std::coroutine_handle<promise_type> handle;
};

Scope::Root Scope::RunRoot(Scope* scope, std::list<Running>::iterator self, Task<void> task) {
  std::exception_ptr exception;
  try {
    co_await std::move(task);
  } catch (...) {
    exception = std::current_exception();
  }
  scope->Finish(self, exception);
}

void Scope::Spawn(std::string name, Task<void> task) {
  const uint64_t order = Hash64(name);
  running_.push_back(Running{std::move(name), {}});
  auto self = std::prev(running_.end());
  Root root = RunRoot(this, self, std::move(task));
  root.handle.promise().scheduler = scheduler_;
  self->handle = root.handle;
  scheduler_->ResumeAfter(0, order, root.handle);
}

void Scope::Finish(std::list<Running>::iterator self, std::exception_ptr exception) {
  if (exception && !first_exception_) {
    first_exception_ = exception;
  }
  running_.erase(self);
  if (running_.empty()) {
    done_.NotifyAll();
  }
}

Task<void> Scope::Join() {
  while (!running_.empty()) {
    co_await done_.Wait();
  }
  RethrowFirst();
}

void Scope::RethrowFirst() {
  if (first_exception_) {
    std::rethrow_exception(std::exchange(first_exception_, {}));
  }
}

std::vector<std::string> Scope::running_names() const {
  std::vector<std::string> names;
  for (const Running& running : running_) {
    names.push_back(running.name);
  }
  return names;
}

Scope::~Scope() {
  if (!scheduler_->abandoned()) {
    CHECK(running_.empty()) << running_.front().name << " outlives its scope";
  }
  while (!running_.empty()) {
    std::coroutine_handle<> handle = running_.front().handle;
    running_.pop_front();
    handle.destroy();
  }
}

}  // namespace kvjury::sim
