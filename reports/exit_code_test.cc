#include "reports/exit_code.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvjury::reports {
namespace {

TEST(ExitCode, TheMoreImportantOfTwoWinsInEitherOrder) {
  const std::vector<int> order = {70, 1, 5, 7, 3, 6, 4, 75, 0};
  int compared = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    for (size_t j = i; j < order.size(); ++j) {
      const auto more = static_cast<ExitCode>(order[i]);
      const auto less = static_cast<ExitCode>(order[j]);
      EXPECT_EQ(MoreImportant(more, less), more);
      EXPECT_EQ(MoreImportant(less, more), more);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 45);
}

TEST(ExitCodeDeathTest, WrongUseAndSignalsHaveNoRank) {
  EXPECT_DEATH(MoreImportant(ExitCode::kUsage, ExitCode::kSame), "no outcome of a run");
  EXPECT_DEATH(MoreImportant(ExitCode::kSame, ExitCode::kInterrupted), "no outcome of a run");
}

TEST(ExitCode, UsersMistakesAreUsageAndEverythingElseIsTheEnvironment) {
  EXPECT_EQ(ExitCodeOf(Status::Ok()), ExitCode::kSame);
  EXPECT_EQ(ExitCodeOf(Status::InvalidArgument("unknown bug")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(Status::Unsupported("encrypted")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(Status::DataLoss("truncated")), ExitCode::kEnvironment);
  EXPECT_EQ(ExitCodeOf(Status::NotFound("no such file")), ExitCode::kEnvironment);
  EXPECT_EQ(ExitCodeOf(Status::Environment("unwritable")), ExitCode::kEnvironment);
}

}  // namespace
}  // namespace kvjury::reports
