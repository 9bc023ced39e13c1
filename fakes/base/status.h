// Status and Result<T>: an operation of ours that could not complete.
//
// Holds a code, a sentence for people and nothing else. A code exists only if some caller branches on it. Protocol answers
// (region errors, key errors) are data inside the response messages and never a Status; wrong results of a system under
// test are Findings. Result<T> has the member names of std::expected so that it can be replaced by it.
// Exceptions are not used for expected errors.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>

#include "fakes/base/check.h"

namespace kvjury {

enum class StatusCode {
  kOk = 0,
  kCancelled,         // a stop token fired
  kInvalidArgument,   // the caller's or the user's input is wrong (exit code 2)
  kNotFound,          // the named thing does not exist
  kAlreadyExists,     // the named thing exists and must not
  kConflict,          // a transaction lost against another one and may be tried again from its start
  kUndetermined,      // the effect may or may not have taken place; must not be tried again blindly
  kUnavailable,       // the peer did not answer; may be tried again
  kDeadlineExceeded,  // a bounded wait ended
  kDataLoss,          // bytes from outside are damaged, truncated or contradict themselves
  kUnsupported,       // known form that this program deliberately does not read (for example encrypted backups)
  kEnvironment,       // the machine failed us: unwritable folder, no space (exit code 6)
  kRejected,          // the peer answered with an application error that is not worth trying again
};

const char* StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
    CHECK(code != StatusCode::kOk) << "an ok status has no message: " << message_;
  }

  static Status Ok() { return Status(); }
  static Status Cancelled(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }
  static Status InvalidArgument(std::string m) { return {StatusCode::kInvalidArgument, std::move(m)}; }
  static Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
  static Status AlreadyExists(std::string m) { return {StatusCode::kAlreadyExists, std::move(m)}; }
  static Status Conflict(std::string m) { return {StatusCode::kConflict, std::move(m)}; }
  static Status Undetermined(std::string m) { return {StatusCode::kUndetermined, std::move(m)}; }
  static Status Unavailable(std::string m) { return {StatusCode::kUnavailable, std::move(m)}; }
  static Status DeadlineExceeded(std::string m) { return {StatusCode::kDeadlineExceeded, std::move(m)}; }
  static Status DataLoss(std::string m) { return {StatusCode::kDataLoss, std::move(m)}; }
  static Status Unsupported(std::string m) { return {StatusCode::kUnsupported, std::move(m)}; }
  static Status Environment(std::string m) { return {StatusCode::kEnvironment, std::move(m)}; }
  static Status Rejected(std::string m) { return {StatusCode::kRejected, std::move(m)}; }

  [[nodiscard]] bool ok() const { return code_ == StatusCode::kOk; }
  [[nodiscard]] StatusCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

  /// "data loss: kv.txt line 7: ..." or "ok".
  [[nodiscard]] std::string ToString() const;

  /// The same code with `context` and ": " in front of the message. An ok status stays ok.
  [[nodiscard]] Status WithContext(const std::string& context) const;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

std::ostream& operator<<(std::ostream& out, const Status& status);

/// A value or the Status that says why there is none. Reading the wrong side is a CHECK failure.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit, like std::expected
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {  // NOLINT: likewise
    CHECK(!std::get<1>(state_).ok()) << "a result without a value needs an error";
  }

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  [[nodiscard]] bool ok() const { return has_value(); }
  explicit operator bool() const { return has_value(); }

  [[nodiscard]] T& value() & {
    CHECK(has_value()) << std::get<1>(state_).ToString();
    return std::get<0>(state_);
  }
  [[nodiscard]] const T& value() const& {
    CHECK(has_value()) << std::get<1>(state_).ToString();
    return std::get<0>(state_);
  }
  [[nodiscard]] T&& value() && {
    CHECK(has_value()) << std::get<1>(state_).ToString();
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Status& error() const {
    CHECK(!has_value());
    return std::get<1>(state_);
  }
  /// The error, or an ok status when there is a value.
  [[nodiscard]] Status status() const { return has_value() ? Status::Ok() : std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace kvjury

#define KVJURY_CONCAT_INNER(a, b) a##b
#define KVJURY_CONCAT(a, b) KVJURY_CONCAT_INNER(a, b)

// Plain functions.
#define RETURN_IF_ERROR(expression)                       \
  do {                                                    \
    ::kvjury::Status kvjury_status = (expression);        \
    if (!kvjury_status.ok()) {                            \
      return kvjury_status;                               \
    }                                                     \
  } while (false)

#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(KVJURY_CONCAT(kvjury_result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) {                                           \
    return result.error();                                      \
  }                                                             \
  declaration = std::move(result).value()

// Coroutines. The expression may contain co_await.
#define CO_RETURN_IF_ERROR(expression)                    \
  do {                                                    \
    ::kvjury::Status kvjury_status = (expression);        \
    if (!kvjury_status.ok()) {                            \
      co_return kvjury_status;                            \
    }                                                     \
  } while (false)

#define CO_ASSIGN_OR_RETURN(declaration, expression) \
  CO_ASSIGN_OR_RETURN_INNER(KVJURY_CONCAT(kvjury_result_, __LINE__), declaration, expression)
#define CO_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) {                                              \
    co_return result.error();                                      \
  }                                                                \
  declaration = std::move(result).value()
