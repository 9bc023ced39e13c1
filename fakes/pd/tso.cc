#include "fakes/pd/tso.h"

#include <algorithm>

namespace kvjury::pd {

namespace {

constexpr int64_t kSavedAheadMs = 3000;
constexpr int64_t kLogicalMax = int64_t{1} << Timestamp::kLogicalBits;
constexpr int64_t kResetGapMsMax = int64_t{24} * 3600 * 1000;

}  // namespace

TimestampOracle::TimestampOracle(int64_t clock_start_ms) : clock_start_ms_(clock_start_ms) {
  CHECK_GT(clock_start_ms, 0);
  SetPhysical(clock_start_ms);
}

void TimestampOracle::SetPhysical(int64_t physical_ms) {
  CHECK_GT(physical_ms, physical_ms_);
  physical_ms_ = physical_ms;
  logical_ = 0;
  if (physical_ms_ >= saved_limit_ms_) {
    saved_limit_ms_ = physical_ms_ + kSavedAheadMs;
  }
}

void TimestampOracle::CatchUp(Micros now_us) {
  const int64_t clock_ms = ClockMs(now_us);
  if (clock_ms > physical_ms_) {
    SetPhysical(clock_ms);
  }
}

Timestamp TimestampOracle::Allocate(Micros now_us, uint32_t count) {
  CHECK_GT(count, 0U);
  const Timestamp before = last();
  CatchUp(now_us);
  if (logical_ + count >= kLogicalMax) {
    SetPhysical(physical_ms_ + 1);
  }
  CHECK_LT(static_cast<int64_t>(count), kLogicalMax);
  logical_ += count;
  CHECK(last() > before) << "timestamps went backwards";
  return last();
}

void TimestampOracle::Jump(int64_t forward_ms) {
  CHECK_GE(forward_ms, 0);
  jumped_ms_ += forward_ms;
}

void TimestampOracle::ChangeLeader(Micros now_us) {
  const int64_t physical_ms = std::max(ClockMs(now_us), saved_limit_ms_ + 1);
  SetPhysical(physical_ms);
}

void TimestampOracle::Restore(int64_t saved_limit_ms, Micros now_us) {
  saved_limit_ms_ = std::max(saved_limit_ms_, saved_limit_ms);
  ChangeLeader(now_us);
}

Status TimestampOracle::AdvanceTo(Timestamp ts, Micros now_us, bool force) {
  CatchUp(now_us);
  if (ts.physical_ms() < physical_ms_ || ts <= last()) {
    if (force) {
      return Status::Ok();
    }
    return Status::InvalidArgument("[PD:tso:ErrResetUserTimestamp]reset user timestamp failed, the specified ts is smaller than now");
  }
  if (!force && ts.physical_ms() - ClockMs(now_us) >= kResetGapMsMax) {
    return Status::InvalidArgument(
        "[PD:tso:ErrResetUserTimestamp]reset user timestamp failed, the specified ts is too larger than now");
  }
  if (ts.physical_ms() > physical_ms_) {
    SetPhysical(ts.physical_ms());
  }
  logical_ = ts.logical();
  return Status::Ok();
}

}  // namespace kvjury::pd
