#include "fakes/base/civil_time.h"

#include <gtest/gtest.h>

namespace kvjury {
namespace {

int64_t Seconds(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  return ToUnixSeconds({year, month, day, hour, minute, second}).value();
}

TEST(CivilTime, KnownTimesAreWhatACalendarSays) {
  EXPECT_EQ(Seconds(1970, 1, 1), 0);
  EXPECT_EQ(Seconds(2000, 2, 29, 23, 59, 59), 951'868'799);
  EXPECT_EQ(Seconds(2026, 11, 27, 3, 20, 42), 1'795'749'642);
  EXPECT_EQ(Seconds(1969, 12, 31, 23, 59, 59), -1);
}

TEST(CivilTime, EverySecondComesBack) {
  for (int64_t unix_s = -5'000'000'000; unix_s < 8'000'000'000; unix_s += 7'654'321) {
    ASSERT_EQ(ToUnixSeconds(ToCivilTime(unix_s)), unix_s);
  }
}

TEST(CivilTime, WhatIsInNoCalendarIsAbsent) {
  for (const CivilTime& wrong : {CivilTime{2026, 2, 29}, CivilTime{2026, 13, 1}, CivilTime{2026, 0, 1}, CivilTime{2026, 4, 31}, CivilTime{2026, 1, 1, 24},
                                 CivilTime{2026, 1, 1, 0, 60}, CivilTime{2026, 1, 1, 0, 0, 60}, CivilTime{2026, 1, 1, -1}, CivilTime{2026, -1, 1}, CivilTime{2026, 257, 1}, CivilTime{2026, 1, 257}}) {
    EXPECT_FALSE(ToUnixSeconds(wrong).has_value()) << wrong.month << "/" << wrong.day << " " << wrong.hour;
  }
}

}  // namespace
}  // namespace kvjury
