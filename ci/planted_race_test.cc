// A data race, planted: thread_reports.py must find the sanitizer's report of it, or it would find no other either.
#include <gtest/gtest.h>

#include <thread>

namespace kvjury {
namespace {

int unguarded = 0;

void PlantedRaceWrites() {
  for (int i = 0; i < 1'000; ++i) {
    unguarded = unguarded + i;
  }
}

TEST(ThreadReports, PlantedRaceIsReported) {
  std::thread other(&PlantedRaceWrites);
  PlantedRaceWrites();
  other.join();
}

}  // namespace
}  // namespace kvjury
