#include "harness/juicefs/block_store.h"

#include <gtest/gtest.h>

#include "fakes/sim/scheduler.h"

namespace kvjury::juicefs {
namespace {

TEST(BlockStoreTest, NamesBlocksAsRealVolumesDo) {
  const BlockLayout plain{"realvol", 4U << 20, false};
  EXPECT_EQ(BlocksOfSlice(plain, 100, 300'000), (std::vector<SliceBlock>{{"realvol/chunks/0/0/100_0_300000", 0, 300'000}}));
  const std::vector<SliceBlock> three = BlocksOfSlice(plain, 12'345'678, (8U << 20) + 5);
  ASSERT_EQ(three.size(), 3U);
  EXPECT_EQ(three[0].name, "realvol/chunks/12/12345/12345678_0_4194304");
  EXPECT_EQ(three[2], (SliceBlock{"realvol/chunks/12/12345/12345678_2_5", 8U << 20, 5}));
}

TEST(BlockStoreTest, HashPrefixIsTheLastByteInUpperCase) {
  const BlockLayout hashed{"v", 1024, true};
  EXPECT_EQ(BlocksOfSlice(hashed, 2'000'171, 1).front().name, "v/chunks/2B/2/2000171_0_1");
}

TEST(BlockStoreTest, AHoleHasNoBlocks) { EXPECT_TRUE(BlocksOfSlice({"v", 1024, false}, 0, 4096).empty()); }

class BlockStoreInWorldTest : public ::testing::Test {
 protected:
  template <class T>
  T Run(sim::Task<T> task) {
    std::optional<T> result;
    auto carry = [](sim::Task<T> what, std::optional<T>* out) -> sim::Task<void> { out->emplace(co_await std::move(what)); };
    sim::Scope scope(&world_.scheduler());
    scope.Spawn("test", carry(std::move(task), &result));
    while (scope.running() > 0) {
      CHECK(world_.scheduler().RunOne()) << "stuck";
    }
    return *std::move(result);
  }

  sim::World world_{record::Case()};
  objects::MemoryObjectStore bucket_;
  BlockStore blocks_{objects::WorldObjectStore(&world_, &bucket_), {"v", 10, false}};
};

TEST_F(BlockStoreInWorldTest, ReadsAcrossBlocksWhatWasUploaded) {
  ASSERT_TRUE(Run(blocks_.Upload(sim::Label("up"), 7, "0123456789abcdefghijXYZ")).ok());
  EXPECT_EQ(bucket_.List("v/chunks/0/0/7_")->size(), 3U);
  const Result<Bytes> middle = Run(blocks_.Read(sim::Label("down"), 7, 23, 8, 14));
  ASSERT_TRUE(middle.ok()) << middle.status();
  EXPECT_EQ(*middle, "89abcdefghijXY");
}

TEST_F(BlockStoreInWorldTest, AMissingBlockAndOneOfAnotherSizeAreErrorsThatNameIt) {
  ASSERT_TRUE(Run(blocks_.Upload(sim::Label("up"), 7, "0123456789abc")).ok());
  ASSERT_TRUE(bucket_.Put("v/chunks/0/0/7_1_3", "a").ok());
  const Result<Bytes> damaged = Run(blocks_.Read(sim::Label("down"), 7, 13, 0, 13));
  EXPECT_EQ(damaged.status().code(), StatusCode::kDataLoss);
  EXPECT_NE(damaged.status().message().find("7_1_3"), std::string::npos);
  ASSERT_TRUE(Run(blocks_.Remove(sim::Label("away"), 7, 13)).ok());
  EXPECT_TRUE(bucket_.List("v/")->empty());
  EXPECT_EQ(Run(blocks_.Read(sim::Label("again"), 7, 13, 0, 1)).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace kvjury::juicefs
