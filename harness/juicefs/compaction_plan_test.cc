#include "harness/juicefs/compaction_plan.h"

#include <gtest/gtest.h>

#include "fakes/base/random.h"
#include "harness/juicefs/pieces.h"

namespace kvjury::juicefs {
namespace {

constexpr uint32_t kMiB = 1U << 20;

/// A whole slice.
SliceRecord Whole(uint32_t position, uint64_t id, uint32_t length) { return {position, id, id == 0 ? 0 : length, 0, length}; }

std::vector<SliceRecord> DrawRecords(RandomStream* random) {
  std::vector<SliceRecord> records;
  const uint64_t count = random->Below(9);
  for (uint64_t i = 1; i <= count; ++i) {
    const auto position = static_cast<uint32_t>(random->Below(60));
    const auto length = static_cast<uint32_t>(random->Below(40) + 1);
    records.push_back(Whole(position, random->Below(3) == 0 ? 0 : i, length));
  }
  return records;
}

TEST(OverlayRecordsTest, ShowsWhatReadersSeeWithoutGaps) {
  RandomStream random(7, "records");
  uint64_t pieces_seen = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::vector<SliceRecord> records = DrawRecords(&random);
    uint32_t position = 0;
    for (const SliceRecord& piece : OverlayRecords(records)) {
      ASSERT_EQ(piece.position, position);
      position += piece.length;
      ++pieces_seen;
    }
    ASSERT_EQ(EffectiveChunkPieces(OverlayRecords(records), 128), EffectiveChunkPieces(records, 128));
  }
  EXPECT_GT(pieces_seen, 10'000U);
}

TEST(OverlayRecordsTest, CutZerosKeepTheirPlaceInTheirRecord) {
  const std::vector<SliceRecord> pieces = OverlayRecords({Whole(0, 0, 100), Whole(10, 5, 20), Whole(40, 0, 5)});
  EXPECT_EQ(pieces, (std::vector<SliceRecord>{{0, 0, 0, 0, 10}, {10, 5, 20, 0, 20}, {30, 0, 0, 30, 10}, {40, 0, 0, 0, 5}, {45, 0, 0, 45, 55}}));
}

TEST(PlanCompactionTest, OneRecordIsLeftAlone) {
  EXPECT_FALSE(PlanCompaction({}).has_value());
  EXPECT_FALSE(PlanCompaction({Whole(0, 1, 8192)}).has_value());
}

TEST(PlanCompactionTest, LeadingAndTrailingZerosAreDropped) {
  const auto plan = PlanCompaction({Whole(0, 0, 1000), Whole(500, 1, 100), Whole(600, 0, 400)});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->position, 500U);
  EXPECT_EQ(plan->size, 100U);
  EXPECT_EQ(plan->replaced, 3U);
}

TEST(PlanCompactionTest, NothingButZerosBecomesOneByte) {
  const auto plan = PlanCompaction({Whole(0, 1, 1000), Whole(0, 0, 5000)});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->size, 1U);
  EXPECT_EQ(plan->position, 0U);
}

TEST(PlanCompactionTest, ALargeFirstRecordStaysWhereItIsUnlessItIsCoveredOrSmallAgainstTheRest) {
  const auto kept = PlanCompaction({Whole(0, 1, kMiB), Whole(kMiB, 2, 100), Whole(kMiB + 50, 3, 100)});
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->skipped, 1U);
  EXPECT_EQ(kept->replaced, 2U);
  EXPECT_EQ(kept->position, kMiB);
  EXPECT_EQ(kept->size, 150U);
  EXPECT_FALSE(PlanCompaction({Whole(0, 1, kMiB), Whole(kMiB, 2, 100)}).has_value()) << "one record is left";
  EXPECT_EQ(PlanCompaction({Whole(0, 1, kMiB), Whole(10, 2, 100)})->skipped, 0U) << "covered";
  EXPECT_EQ(PlanCompaction({Whole(0, 1, kMiB - 1), Whole(kMiB, 2, 100)})->skipped, 0U) << "small";
  EXPECT_EQ(PlanCompaction({Whole(0, 1, kMiB), Whole(kMiB, 2, 4 * kMiB + 1)})->skipped, 0U) << "less than a fifth";
  EXPECT_EQ(PlanCompaction({Whole(0, 1, kMiB), Whole(kMiB, 2, 100), Whole(0, 1, kMiB)})->skipped, 0U) << "repeated";
}

TEST(PlanCompactionTest, LooksAtAThousandRecords) {
  std::vector<SliceRecord> records;
  for (uint32_t i = 0; i < 1200; ++i) {
    records.push_back(Whole(i, i + 1, 1));
  }
  EXPECT_EQ(PlanCompaction(records)->replaced, 1000U);
}

}  // namespace
}  // namespace kvjury::juicefs
