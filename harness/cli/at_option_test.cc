#include "harness/cli/at_option.h"

#include <gtest/gtest.h>

namespace kvjury::cli {
namespace {

TEST(ParseAt, TakesTimestampsTimesAndNow) {
  EXPECT_EQ(ParseAt("470647200531087367").value(), Timestamp(470647200531087367));
  EXPECT_EQ(ParseAt("now").value(), std::nullopt);
  const Timestamp evening = Timestamp::Compose(1'795'723'200'000, 0);  // date -u -d 2026-11-26T20:00:00Z +%s
  EXPECT_EQ(ParseAt("2026-11-26T20:00:00Z").value(), evening);
  EXPECT_EQ(ParseAt("2026-11-26T22:00:00+02:00").value(), evening);
  EXPECT_EQ(ParseAt("2026-11-26T18:30:00-01:30").value(), evening);
  EXPECT_EQ(ParseAt("2026-11-26T20:00:00.0019Z").value(), Timestamp::Compose(1'795'723'200'001, 0));
  EXPECT_EQ(ParseAt("2026-11-26T20:00:00.5Z").value(), Timestamp::Compose(1'795'723'200'500, 0));
  EXPECT_EQ(ParseAt("2024-02-29T00:00:00Z").value(), Timestamp::Compose(1'709'164'800'000, 0));
}

TEST(ParseAt, RefusesEverythingElse) {
  for (const char* text : {"", "0", "-1", "18446744073709551615", "99999999999999999999", "yesterday", "2026-11-26", "2026-11-26T20:00:00",
                           "2026-11-26 20:00:00Z", "2026-02-30T20:00:00Z", "2026-11-26T24:00:00Z", "2026-11-26T20:00:00.Z",
                           "2026-11-26T20:00:00ZZ", "2026-11-26T20:00:00+2", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00+01:00",
                           "2026-1-26T20:00:00Z", "now "}) {
    EXPECT_EQ(ParseAt(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace kvjury::cli
