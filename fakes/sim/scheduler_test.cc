#include "fakes/sim/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "fakes/sim/world.h"

namespace kvjury::sim {
namespace {

Task<int> Twice(Scheduler* scheduler, int value) {
  co_await scheduler->Sleep(10);
  co_return value * 2;
}

Task<void> AddTwice(Scheduler* scheduler, int value, std::vector<int>* out) {
  const int twice = co_await Twice(scheduler, value);
  out->push_back(twice);
}

// A chain of `depth` tasks that none of them suspends: only the trampoline keeps the stack flat.
Task<int> Deep(int depth) {
  if (depth == 0) {
    co_return 0;
  }
  const int below = co_await Deep(depth - 1);
  co_return below + 1;
}

Task<void> RunDeep(int depth, int* out) { *out = co_await Deep(depth); }

TEST(Scheduler, AChildsResultReachesItsParentAndTimeMovesOnlyBySleeping) {
  World world{record::Case()};
  std::vector<int> out;
  EXPECT_EQ(world.Run(AddTwice(&world.scheduler(), 21, &out), 1000), RunEnd::kDone);
  EXPECT_THAT(out, testing::ElementsAre(42));
  EXPECT_EQ(world.scheduler().now_us(), 10);
}

TEST(Scheduler, ChainsOfOneHundredThousandTasksDoNotGrowTheStack) {
  World world{record::Case()};
  int depth = 0;
  EXPECT_EQ(world.Run(RunDeep(100'000, &depth), 1000), RunEnd::kDone);
  EXPECT_EQ(depth, 100'000);
  EXPECT_EQ(world.scheduler().events_run(), 1u) << "a child's start and end are no events";
}

Task<void> SpawnAll(Scheduler* scheduler, std::vector<int> values, std::vector<int>* out) {
  Scope scope(scheduler);
  for (int value : values) {
    scope.Spawn("add-" + std::to_string(value), AddTwice(scheduler, value, out));
  }
  co_await scope.Join();
}

TEST(Scheduler, TheOrderOfEqualTimesComesFromNamesAndNotFromTheOrderOfSpawning) {
  std::vector<int> forward;
  std::vector<int> backward;
  World first{record::Case()};
  EXPECT_EQ(first.Run(SpawnAll(&first.scheduler(), {1, 2, 3, 4}, &forward), 1000), RunEnd::kDone);
  World second{record::Case()};
  EXPECT_EQ(second.Run(SpawnAll(&second.scheduler(), {4, 3, 2, 1}, &backward), 1000), RunEnd::kDone);
  EXPECT_EQ(forward.size(), 4u);
  // Both start in the order of their names' hashes, sleep equally long, and end in that order.
  EXPECT_EQ(forward, backward);
}

Task<void> Throw(Scheduler* scheduler) {
  co_await scheduler->Sleep(1);
  throw std::runtime_error("from a task");
}

TEST(Scheduler, AnExceptionIsRethrownAtTheRoot) {
  World world{record::Case()};
  EXPECT_THROW(static_cast<void>(world.Run(Throw(&world.scheduler()), 1000)), std::runtime_error);
}

Task<void> WaitForever(OneShot<int>* shot) { co_await *shot; }

TEST(Scheduler, AWorldInWhichNothingCanHappenIsStuckAndIsCleanedUp) {
  OneShot<int>* shot = nullptr;
  {
    World world{record::Case()};
    OneShot<int> never(&world.scheduler());
    shot = &never;
    EXPECT_EQ(world.Run(WaitForever(shot), 1000), RunEnd::kStuck);
    EXPECT_THAT(world.late(), testing::ElementsAre("main"));
  }
}

Task<void> TickForever(Scheduler* scheduler) {
  while (true) {
    co_await scheduler->Sleep(100);
  }
}

TEST(Scheduler, ARunThatDoesNotEndMeetsItsTimeLimit) {
  World world{record::Case()};
  EXPECT_EQ(world.Run(TickForever(&world.scheduler()), 10'000), RunEnd::kTimeLimit);
}

TEST(OneShot, TheFirstValueWins) {
  Scheduler scheduler;
  OneShot<int> shot(&scheduler);
  EXPECT_TRUE(shot.Set(1));
  EXPECT_FALSE(shot.Set(2));
}

Task<void> SleepInsideNoAwait(Scheduler* scheduler) {
  NoAwait guard(scheduler);
  co_await scheduler->Sleep(1);
}

TEST(NoAwaitDeathTest, SuspendingInsideIsAFailedCheckThatNamesTheCase) {
  record::Case c;
  c.set_name("no-await-case");
  EXPECT_DEATH(
      {
        World world(c);
        static_cast<void>(world.Run(SleepInsideNoAwait(&world.scheduler()), 1000));
      },
      "NoAwait(.|\n)*no-await-case");
}

}  // namespace
}  // namespace kvjury::sim
