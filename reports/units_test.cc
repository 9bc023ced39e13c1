#include "reports/units.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace kvjury::reports {
namespace {

TEST(Units, SizesAreBinary) {
  EXPECT_EQ(Size(0), "0 bytes");
  EXPECT_EQ(Size(1023), "1023 bytes");
  EXPECT_EQ(Size(1536), "1.5 KiB");
  EXPECT_EQ(Size(8 << 20), "8.0 MiB");
  EXPECT_EQ(Size(UINT64_MAX), "16384.0 PiB");
}

TEST(Units, DurationsHaveTwoUnitsAtMost) {
  EXPECT_EQ(Duration(-5), "0 s");
  EXPECT_EQ(Duration(0), "0 s");
  EXPECT_EQ(Duration(340), "340 ms");
  EXPECT_EQ(Duration(4'290), "4.2 s");
  EXPECT_EQ(Duration(7'000), "7 s");
  EXPECT_EQ(Duration(75'900), "1 min 15 s");
  EXPECT_EQ(Duration(7'380'000), "2 h 3 min");
  EXPECT_EQ(Duration(100'800'000), "1 d 4 h");
}

TEST(Units, TimesAreUtcAndNeverThrow) {
  EXPECT_EQ(Utc(1'795'725'565'999), "2026-11-26T20:39:25Z");
  EXPECT_EQ(Utc(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(Utc(INT64_MIN), "before the year 1");
  EXPECT_EQ(Utc(INT64_MAX), "after the year 9999");
}

}  // namespace
}  // namespace kvjury::reports
