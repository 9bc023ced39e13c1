#include "reports/exit_code.h"

#include <algorithm>
#include <array>

namespace kvjury::reports {
namespace {

constexpr std::array kByImportance = {
    ExitCode::kBlindJudge, ExitCode::kDifferent,      ExitCode::kNotSameRun, ExitCode::kStale, ExitCode::kUnproven,
    ExitCode::kEnvironment, ExitCode::kNothingChecked, ExitCode::kTimeRanOut, ExitCode::kSame,
};

}  // namespace

ExitCode MoreImportant(ExitCode a, ExitCode b) {
  const auto* const rank_a = std::find(kByImportance.begin(), kByImportance.end(), a);
  const auto* const rank_b = std::find(kByImportance.begin(), kByImportance.end(), b);
  CHECK(rank_a != kByImportance.end()) << static_cast<int>(a) << " is no outcome of a run";
  CHECK(rank_b != kByImportance.end()) << static_cast<int>(b) << " is no outcome of a run";
  return std::min(rank_a, rank_b) == rank_a ? a : b;
}

ExitCode ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return ExitCode::kSame;
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnsupported:
      return ExitCode::kUsage;
    case StatusCode::kUndetermined:
      return ExitCode::kUnproven;
    case StatusCode::kCancelled:
    case StatusCode::kNotFound:
    case StatusCode::kAlreadyExists:
    case StatusCode::kConflict:
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kDataLoss:
    case StatusCode::kEnvironment:
    case StatusCode::kRejected:
      break;
  }
  return ExitCode::kEnvironment;
}

std::string_view ExitCodeMeaning(ExitCode code) {
  switch (code) {
    case ExitCode::kSame:
      return "same";
    case ExitCode::kDifferent:
      return "different";
    case ExitCode::kUsage:
      return "wrong use";
    case ExitCode::kUnproven:
      return "unproven";
    case ExitCode::kNothingChecked:
      return "nothing was checked";
    case ExitCode::kNotSameRun:
      return "not the same run";
    case ExitCode::kEnvironment:
      return "environment";
    case ExitCode::kStale:
      return "stale expectation";
    case ExitCode::kBlindJudge:
      return "blind judge";
    case ExitCode::kTimeRanOut:
      return "time ran out";
    case ExitCode::kInterrupted:
      return "interrupted";
    case ExitCode::kTerminated:
      return "terminated";
  }
  return "unknown";
}

}  // namespace kvjury::reports
