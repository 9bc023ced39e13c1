// TimestampOracle: PD's clock. Strictly increasing over everything that can happen to it.
//
// Physical part: milliseconds of the simulated wall clock (start + virtual time + jumps). Logical part: a counter inside one
// millisecond, 18 bits. PD keeps a limit of allowed physical time ahead of what it gave out (3 s, saved before use); a new
// leader starts above the saved limit, so that timestamps jump forward at a leader change and never back.
// Not modelled: clocks running backwards (PD holds the physical part until the clock has caught up; the same as a late jump).
// Source: PD 8.5, tso of the embedded allocator; reset-ts of its HTTP interface.
#pragma once

#include "fakes/base/ids.h"
#include "fakes/base/status.h"

namespace kvjury::pd {

class TimestampOracle {
 public:
  explicit TimestampOracle(int64_t clock_start_ms);

  /// The last of `count` fresh timestamps at virtual time `now_us`; `count` is positive.
  Timestamp Allocate(Micros now_us, uint32_t count);
  /// The simulated wall clock in milliseconds. May be behind the oracle, never the oracle behind what it gave out.
  [[nodiscard]] int64_t ClockMs(Micros now_us) const { return clock_start_ms_ + now_us / 1000 + jumped_ms_; }

  /// The wall clock jumps forward.
  void Jump(int64_t forward_ms);
  /// Another member takes over: everything from now on is above the saved limit.
  void ChangeLeader(Micros now_us);
  /// Later timestamps are above `ts`. Errors: kInvalidArgument with PD's words, when `ts` is behind the present or a day
  /// ahead of it and `force` is not set; with `force` a smaller value changes nothing.
  Status AdvanceTo(Timestamp ts, Micros now_us, bool force);

  /// Everything given out so far has a smaller physical part: what a restart must begin above.
  [[nodiscard]] int64_t saved_limit_ms() const { return saved_limit_ms_; }
  /// Another run has saved this limit: everything from now on is above it.
  void Restore(int64_t saved_limit_ms, Micros now_us);

  /// The largest timestamp given out so far.
  [[nodiscard]] Timestamp last() const { return Timestamp::Compose(physical_ms_, logical_); }

 private:
  void CatchUp(Micros now_us);
  void SetPhysical(int64_t physical_ms);

  int64_t clock_start_ms_;
  int64_t jumped_ms_ = 0;
  int64_t physical_ms_ = 0;
  int64_t logical_ = 0;
  int64_t saved_limit_ms_ = 0;
};

}  // namespace kvjury::pd
