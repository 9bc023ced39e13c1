// Backoffer: how long a client waits before it tries again, and when it gives up.
//
// Each kind of trouble has its own exponential series; the sum of all waits of one operation is bounded by its budget
// (prewrite and commit 40 s, reads 20 s, timestamps 15 s). Waits for a busy store do not count until they pass 600 s.
// The number of tries is bounded too, for answers that cost no wait.
// Source: kinds, bases, caps and budgets of client-go v2.0.7 (JuiceFS 1.4).
// Determinism: jitter comes from a stream derived from the operation's label.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "fakes/base/random.h"
#include "harness/client/messenger.h"

namespace kvjury::client {

enum class BackoffKind : uint8_t {
  kTikvRpc,           // a call to a store ended with a Status
  kPdRpc,             // a call to PD ended with a Status, or PD does not know the region yet
  kTxnLock,           // a write met a live lock
  kTxnLockFast,       // a read met a live lock
  kTxnNotFound,       // the primary of a young lock is not there yet
  kRegionMiss,        // the region moved: ask again
  kRegionScheduling,  // no leader, or a merge goes on
  kMaxTsNotSynced,
  kServerBusy,
  kDiskFull,
  kRegionRecovery,
  kRegionNotReady,
};
inline constexpr size_t kBackoffKindCount = 12;

inline constexpr Micros kPrewriteBudgetUs = 40'000'000;
inline constexpr Micros kCommitBudgetUs = 40'000'000;
inline constexpr Micros kSecondariesBudgetUs = 41'000'000;
inline constexpr Micros kCleanupBudgetUs = 20'000'000;
inline constexpr Micros kReadBudgetUs = 20'000'000;
inline constexpr Micros kTimestampBudgetUs = 15'000'000;
inline constexpr Micros kResolveBudgetUs = 40'000'000;

class Backoffer {
 public:
  Backoffer(Messenger* messenger, LabelsPtr labels, Micros budget_us);

  /// Waits for the next step of `kind`, at most `at_most_us` unless that is negative. Errors: kUnavailable with `reason`
  /// when the budget is used up, kCancelled. Suspends.
  sim::Task<Status> Wait(BackoffKind kind, std::string reason, Micros at_most_us = -1);

  /// Counts a try that costs no wait. Errors: kUnavailable with `reason` after too many, kCancelled.
  Status CountTry(const std::string& reason);

  /// A back-off with the same history, for one of several branches of the operation.
  [[nodiscard]] Backoffer Fork() const;

  [[nodiscard]] const LabelsPtr& labels() const { return labels_; }
  [[nodiscard]] Micros waited_us() const { return waited_us_; }

 private:
  Messenger* messenger_;
  LabelsPtr labels_;
  std::optional<RandomStream> random_;  // made when the first jitter is drawn
  Micros budget_us_;
  Micros waited_us_ = 0;
  Micros busy_waited_us_ = 0;
  uint32_t tries_ = 0;
  std::array<uint32_t, kBackoffKindCount> steps_{};
};

}  // namespace kvjury::client
