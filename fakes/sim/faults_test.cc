#include "fakes/sim/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/sim/planted_bugs.h"

namespace kvjury::sim {
namespace {

FaultSite SiteAt(const std::string& label, const std::string& to = "store-1") {
  FaultSite site;
  site.label = Label(label);
  site.to = to;
  site.method = "/tikvpb.Tikv/KvPrewrite";
  return site;
}

TEST(Label, GrownPieceByPieceHasTheHashOfItsText) {
  const Label label = (Label("w1") / "op6").Keyed("commit", std::string("a\x01", 2), 2);
  EXPECT_EQ(label.text(), "w1/op6/commit[a\\x01]#2");
  EXPECT_EQ(label.hash(), LabelHash(label.text()));
}

TEST(FaultPlan, AnExplicitFaultFiresAtItsLabelAndNowhereElse) {
  record::Case c;
  auto* fault = c.add_fault();
  fault->set_at("w1/op1/commit#1");
  fault->mutable_lose_reply();
  auto* nudge = c.add_nudge();
  nudge->set_at("w1/op2/commit#1");
  nudge->set_delay_us(7);
  FaultPlan plan;
  plan.Load(c);
  EXPECT_FALSE(plan.At(SiteAt("w1/op1/commit#2")).lose_reply);
  EXPECT_EQ(plan.never_fired().size(), 2u);
  EXPECT_TRUE(plan.At(SiteAt("w1/op1/commit#1")).lose_reply);
  EXPECT_EQ(plan.At(SiteAt("w1/op2/commit#1")).delay_us, 7);
  EXPECT_TRUE(plan.never_fired().empty());
  EXPECT_EQ(plan.fired_counts().at("lose_reply"), 1u);
}

TEST(FaultPlan, AFaultWithoutEffectIsNeitherCountedNorWrittenDown) {
  record::Case c;
  auto* fault = c.add_fault();
  fault->set_at("x");
  fault->mutable_split_region();
  FaultPlan plan;
  plan.Load(c);
  plan.SetExecutor([](const record::Fault&, const FaultSite&) { return false; });
  static_cast<void>(plan.At(SiteAt("x")));
  EXPECT_TRUE(plan.fired_faults().empty());
}

// Draws at `count` labels and returns what fired, as an explicit case.
record::Case DrawAll(uint64_t seed, int count, int skip) {
  record::Case c;
  c.mutable_explore()->set_seed(seed);
  c.mutable_explore()->set_fault_ppm(200'000);
  c.mutable_explore()->set_nudge_ppm(200'000);
  FaultPlan plan;
  plan.Load(c);
  plan.SetExecutor([](const record::Fault&, const FaultSite&) { return true; });
  for (int i = 0; i < count; ++i) {
    if (i != skip) {
      static_cast<void>(plan.At(SiteAt("w1/op" + std::to_string(i))));
    }
  }
  record::Case fired;
  for (const auto& fault : plan.fired_faults()) {
    *fired.add_fault() = fault;
  }
  for (const auto& nudge : plan.fired_nudges()) {
    *fired.add_nudge() = nudge;
  }
  return fired;
}

TEST(FaultPlan, TakingALabelAwayLeavesAllOtherDrawsAlone) {
  const record::Case all = DrawAll(5, 100, -1);
  const record::Case without = DrawAll(5, 100, 37);
  ASSERT_GT(all.fault_size(), 3);
  ASSERT_GT(all.nudge_size(), 3);
  size_t compared = 0;
  for (const auto& fault : all.fault()) {
    if (fault.at() == "w1/op37") {
      continue;
    }
    ++compared;
    bool found = false;
    for (const auto& other : without.fault()) {
      found = found || other.SerializeAsString() == fault.SerializeAsString();
    }
    EXPECT_TRUE(found) << fault.ShortDebugString();
  }
  EXPECT_GT(compared, 3u);
}

TEST(FaultPlan, WhatFiredWrittenOutFiresAgainWithoutTheSeed) {
  record::Case fired = DrawAll(9, 100, -1);
  FaultPlan plan;
  plan.Load(fired);
  plan.SetExecutor([](const record::Fault&, const FaultSite&) { return true; });
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(plan.At(SiteAt("w1/op" + std::to_string(i))));
  }
  ASSERT_GT(fired.fault_size(), 0);
  EXPECT_EQ(static_cast<int>(plan.fired_faults().size()), fired.fault_size());
  EXPECT_EQ(static_cast<int>(plan.fired_nudges().size()), fired.nudge_size());
}

TEST(FaultPlan, NothingFiresAfterHealing) {
  record::Case c;
  c.mutable_explore()->set_fault_ppm(1'000'000);
  c.mutable_explore()->set_nudge_ppm(1'000'000);
  FaultPlan plan;
  plan.Load(c);
  plan.Heal();
  EXPECT_EQ(plan.At(SiteAt("w1/op1")).delay_us, 0);
  EXPECT_TRUE(plan.fired_nudges().empty());
}

TEST(PlantedBugs, EveryBugIsFoundByItsNameAndAnUnknownNameListsAll) {
  for (size_t i = 0; i < kBugCount; ++i) {
    EXPECT_EQ(static_cast<size_t>(AllBugs()[i].bug), i);
    EXPECT_EQ(FindBug(AllBugs()[i].name).value(), AllBugs()[i].bug);
  }
  EXPECT_THAT(FindBug("nonsense").error().message(), testing::HasSubstr("max-ts-not-pushed"));
}

}  // namespace
}  // namespace kvjury::sim
