#include "harness/cli/progress.h"

#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "harness/cli/signals.h"

namespace kvjury::cli {
namespace {

TEST(Progress, WritesPlainLinesNowAndThenWhereThereIsNoTerminal) {
  std::ostringstream err;
  Terminal terminal{nullptr, &err, /*err_is_terminal=*/false};
  int64_t now_ms = 5'000;
  {
    Progress progress(&terminal, "cases", 100, [&] { return now_ms; });
    progress.Update(1);
    EXPECT_EQ(err.str(), "") << "too early";
    now_ms += Progress::kLineMs;
    progress.Update(40, "2 different");
    progress.Update(41);
  }
  EXPECT_EQ(err.str(), "40 cases of 100, 10 s, 2 different\n");
}

TEST(Progress, DrawsABarOverItselfOnATerminalAndTakesItAway) {
  std::ostringstream err;
  Terminal terminal{nullptr, &err, /*err_is_terminal=*/true};
  int64_t now_ms = 0;
  {
    Progress progress(&terminal, "cases", 4, [&] { return now_ms; });
    now_ms += Progress::kBarMs;
    progress.Update(2);
    EXPECT_EQ(err.str(), "\r\x1b[K[############............] 2 cases of 4, 0 s");
  }
  EXPECT_TRUE(err.str().ends_with("\r\x1b[K"));
  EXPECT_EQ(err.str().find('\n'), std::string::npos);
}

TEST(Signals, AGracefulStopIsToldOnceAndForgottenAfterwards) {
  InstallSignalHandlers();
  {
    const GracefulStop stop;
    EXPECT_FALSE(stop.requested().has_value());
    ASSERT_EQ(raise(SIGTERM), 0);
    EXPECT_EQ(stop.requested(), ExitCode::kTerminated);
  }
  const GracefulStop again;
  EXPECT_FALSE(again.requested().has_value());
}

TEST(SignalsDeathTest, WithoutAGracefulStopOrASecondTimeASignalEndsAtOnce) {
  InstallSignalHandlers();
  EXPECT_EXIT(raise(SIGTERM), ::testing::ExitedWithCode(143), "");
  EXPECT_EXIT(
      {
        const GracefulStop stop;
        raise(SIGINT);
        raise(SIGINT);
      },
      ::testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace kvjury::cli
