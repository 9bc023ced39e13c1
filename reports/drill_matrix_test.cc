#include "reports/drill_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "reports/drill_testing.h"
#include "reports/drill_words.h"
#include "reports/golden_testing.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t LongestLine(const std::string& text) {
  std::istringstream lines(text);
  size_t longest = 0;
  for (std::string line; std::getline(lines, line);) {
    size_t characters = 0;
    for (const char c : line) {
      characters += (static_cast<uint8_t>(c) & 0xC0u) != 0x80 ? 1 : 0;
    }
    longest = std::max(longest, characters);
  }
  return longest;
}

TEST(DrillMatrix, TextAndMarkdownAreAsTheGoldenFilesShow) {
  const DrillMatrix matrix(ManyDrills());
  ExpectGolden("drill_matrix.txt", matrix.Text());
  ExpectGolden("drill_matrix.md", matrix.Markdown());
}

TEST(DrillMatrix, TheWorstOfSeveralDrillsStandsInTheCellWithItsShare) {
  const DrillMatrix matrix(ManyDrills());
  const DrillCell* dump = matrix.Find(2, 0);
  ASSERT_NE(dump, nullptr);
  EXPECT_EQ(dump->worst, record::DRILL_DIFFERENT);
  EXPECT_EQ(dump->Share(), "3 of 5");
  EXPECT_EQ(dump->All(), "different 3 of 5, same 2 of 5");
  EXPECT_EQ(dump->drills, (std::vector<size_t>{7, 9, 11, 8, 10})) << "the worst first";
  EXPECT_EQ(matrix.Find(2, 1), nullptr) << "never driven";
}

TEST(DrillMatrix, NoFaultIsTheFirstColumnWhereverItCame) {
  const DrillMatrix matrix({SameDrill("a", "x"), SameDrill("a", "y"), SameDrill("a")});
  EXPECT_EQ(matrix.faults(), (std::vector<std::string>{"none", "x", "y"}));
}

TEST(DrillMatrix, OutcomesHaveAnOrder) {
  using record::DrillOutcome;
  const std::vector<DrillOutcome> order = {
      record::DRILL_FALSE_SUCCESS,  record::DRILL_DIFFERENT, record::DRILL_HANG,    record::DRILL_UNPROVEN,
      record::DRILL_HONEST_FAILURE, record::DRILL_NOTHING,   record::DRILL_SKIPPED, record::DRILL_SAME};
  for (size_t i = 1; i < order.size(); ++i) {
    EXPECT_GT(DrillBadness(order[i - 1]), DrillBadness(order[i])) << DrillWord(order[i]);
  }
  EXPECT_EQ(order.size(), static_cast<size_t>(record::DrillOutcome_ARRAYSIZE)) << "a new outcome needs a word";
}

TEST(DrillMatrix, EveryCellThatIsNotSameSaysWhy) {
  const std::string text = DrillMatrix(ManyDrills()).Text();
  for (const record::DrillRecord& drill : ManyDrills()) {
    if (drill.outcome() != record::DRILL_SAME) {
      EXPECT_THAT(text, HasSubstr(drill.why().substr(0, 40)));
    }
  }
  EXPECT_THAT(text, Not(HasSubstr("passed")));
  record::DrillRecord silent = DrillWith(record::DRILL_UNPROVEN, "a", "", "");
  EXPECT_THAT(DrillMatrix({silent}).Text(), HasSubstr("The drill gives no reason."));
}

TEST(DrillMatrix, APlantedRowThatIsSameIsNoted) {
  record::DrillRecord drill = SameDrill("a");
  drill.set_planted("the dump is torn");
  EXPECT_THAT(DrillMatrix({drill}).Text(), HasSubstr("Planted, and yet same"));
  EXPECT_THAT(DrillMatrix({drill}).Markdown(), HasSubstr("Planted, and yet same"));
  EXPECT_THAT(DrillMatrix({SameDrill("a")}).Text(), Not(HasSubstr("why")));
}

TEST(DrillMatrix, WhatIsTooWideIsBrokenBetweenWords) {
  std::vector<record::DrillRecord> drills;
  for (const char* fault : {"", "a", "b", "c", "d", "e", "f", "g"}) {
    drills.push_back(DrillWith(record::DRILL_FALSE_SUCCESS, "br-txn", fault, "because"));
  }
  EXPECT_THAT(DrillMatrix(drills).Text(),
              ::testing::StartsWith("recipe  none     a        b        c        d        e        f        g\n"));
  drills.resize(3);
  EXPECT_THAT(DrillMatrix(drills).Text(), HasSubstr("br-txn  false success  false success  false success\n"));
}

TEST(DrillMatrix, FitsATerminalWhateverItHolds) {
  std::vector<record::DrillRecord> drills = {HostileDrill()};
  for (int fault = 0; fault < 14; ++fault) {
    for (int recipe = 0; recipe < 11; ++recipe) {
      drills.push_back(DrillWith(static_cast<record::DrillOutcome>((fault + recipe) % record::DrillOutcome_ARRAYSIZE),
                                 "recipe-" + std::string(static_cast<size_t>(recipe) * 7, 'r'),
                                 std::string(static_cast<size_t>(fault) * 20, 'f'), std::string(500, 'w')));
    }
  }
  const std::string text = DrillMatrix(drills).Text();
  EXPECT_LE(LongestLine(text), kMatrixTextColumnsMax);
  EXPECT_EQ(CleanUtf8(text), text) << "nothing that moves the cursor";
  EXPECT_THAT(text, HasSubstr("[1]"));
  EXPECT_EQ(DrillMatrix({}).Text(), "no drill was carried out\n");
}

}  // namespace
}  // namespace kvjury::reports
