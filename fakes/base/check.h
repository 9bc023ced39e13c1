// CHECK: our own invariants, always on, in every build.
//
// A failed check is a bug of kvjury and never of the system under test (that is a Finding), nor of the user's input (that
// is a Status). It prints the condition, both values and the streamed words, then aborts.
// Not here: protocol answers, errors of an operation. Determinism: no effect on a run that does not fail.
#pragma once

#include <sstream>
#include <string>

namespace kvjury {

namespace internal {

/// Prints `file:line`, the condition and what was streamed into it, and aborts when destroyed.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

/// Gives both arms of the conditional in CHECK the type void.
struct Voidify {
  void operator&(std::ostream&) const {}
};

}  // namespace internal

/// Called with the context line (virtual time, current task, last events) when a check fails. Set by the world that is
/// running; returns the former one. The only process-wide state of the project: it is read while aborting and never
/// before, so that no run can depend on it.
using CheckContextFunction = std::string (*)();
CheckContextFunction SetCheckContext(CheckContextFunction function);

}  // namespace kvjury

// Debug builds and release builds alike.
#define KVJURY_CHECK(condition)                                                                \
  (condition) ? static_cast<void>(0)                                                           \
              : ::kvjury::internal::Voidify() &                                                \
                    ::kvjury::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()

#define KVJURY_CHECK_OP(a, op, b) KVJURY_CHECK((a)op(b)) << " (" << (a) << " against " << (b) << ") "

#define CHECK(condition) KVJURY_CHECK(condition)
#define CHECK_EQ(a, b) KVJURY_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) KVJURY_CHECK_OP(a, !=, b)
#define CHECK_LT(a, b) KVJURY_CHECK_OP(a, <, b)
#define CHECK_LE(a, b) KVJURY_CHECK_OP(a, <=, b)
#define CHECK_GT(a, b) KVJURY_CHECK_OP(a, >, b)
#define CHECK_GE(a, b) KVJURY_CHECK_OP(a, >=, b)
