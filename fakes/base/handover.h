// HandOver, TakeOver: an order between threads that a library keeps and the thread sanitizer cannot see, because libraries of the
// system are built without it. What was done before HandOver(object) comes before what is done after TakeOver(object).
//
// They only tell; without the thread sanitizer they are nothing. Wrong ones hide races: only for what the library documents.
#pragma once

#if defined(__SANITIZE_THREAD__)  // gcc
#define KVJURY_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KVJURY_THREAD_SANITIZER 1
#endif
#endif

#ifdef KVJURY_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace kvjury {

inline void HandOver([[maybe_unused]] void* object) {
#ifdef KVJURY_THREAD_SANITIZER
  __tsan_release(object);
#endif
}

inline void TakeOver([[maybe_unused]] void* object) {
#ifdef KVJURY_THREAD_SANITIZER
  __tsan_acquire(object);
#endif
}

/// From a library's callback to its next one.
class InCallback {
 public:
  explicit InCallback(void* object) : object_(object) { TakeOver(object); }
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;
  ~InCallback() { HandOver(object_); }

 private:
  void* object_;
};

}  // namespace kvjury
