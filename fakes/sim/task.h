// Task<T>: a lazy, move-only coroutine, awaited exactly once.
//
// It starts when it is awaited or spawned into a Scope, never by construction. A child that ends, and a child that is
// started, is resumed through the scheduler's LIFO trampoline: no nested resume, no stack growth, nothing recorded. Only
// timers, messages, latches and yields are events.
// Exceptions (RapidCheck throws them from its assertions) are stored and rethrown where the task is awaited.
// Traps: no capturing lambda coroutine; name the operand of co_await when it has temporaries; parameters by value or
// references to objects that the scope owns.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "fakes/base/check.h"

namespace kvjury::sim {

class Scheduler;
template <class T>
class Task;

namespace internal {

/// Puts a coroutine on top of the trampoline of `scheduler`.
void PushTrampoline(Scheduler* scheduler, std::coroutine_handle<> handle);
/// Fails a CHECK while a NoAwait guard is alive.
void CheckMayAwait(Scheduler* scheduler);

struct PromiseBase {
  Scheduler* scheduler = nullptr;
  std::coroutine_handle<> continuation;
  std::exception_ptr exception;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> handle) noexcept {
      PromiseBase& promise = handle.promise();
      if (promise.continuation) {
        PushTrampoline(promise.scheduler, promise.continuation);
      }
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T Take() {
    CHECK(value.has_value()) << "a task ended without a value";
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void Take() {}
};

}  // namespace internal

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { Reset(); }

  struct Awaiter {
    Handle handle;
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> parent) {
      internal::PromiseBase& child = handle.promise();
      child.scheduler = parent.promise().scheduler;
      child.continuation = parent;
      internal::PushTrampoline(child.scheduler, handle);
    }
    T await_resume() {
      if (handle.promise().exception) {
        std::rethrow_exception(handle.promise().exception);
      }
      return handle.promise().Take();
    }
  };
  Awaiter operator co_await() && {
    CHECK(handle_) << "a task is awaited once";
    return Awaiter{handle_};
  }

 private:
  void Reset() {
    if (handle_) {
      std::exchange(handle_, {}).destroy();
    }
  }
  Handle handle_;
};

namespace internal {
template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace internal

}  // namespace kvjury::sim
