// The tree against a model that keeps, for each of a few keys, the answer that was given last for its range.
#include "harness/backup/range_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <optional>

namespace kvjury::backup {
namespace {

AnsweredRange Answer(Bytes start, Bytes end, uint64_t ts = 1) {
  AnsweredRange answer;
  answer.range = KeyRange{std::move(start), std::move(end)};
  answer.end_ts = Timestamp(ts);
  return answer;
}

TEST(RangeTree, AnEmptyTreeIsOneGap) {
  const RangeTree tree(nullptr);
  EXPECT_EQ(tree.GapsIn({"", ""}), (std::vector<KeyRange>{{"", ""}}));
  EXPECT_EQ(tree.GapsIn({"b", "c"}), (std::vector<KeyRange>{{"b", "c"}}));
}

TEST(RangeTree, AnswersThatTileLeaveNoGap) {
  RangeTree tree(nullptr);
  EXPECT_EQ(tree.Insert(Answer("b", "")), 0U);
  EXPECT_EQ(tree.GapsIn({"", ""}), (std::vector<KeyRange>{{"", "b"}}));
  EXPECT_EQ(tree.Insert(Answer("", "b")), 0U);
  EXPECT_TRUE(tree.GapsIn({"", ""}).empty());
  EXPECT_EQ(tree.size(), 2U);
}

TEST(RangeTree, ANewAnswerDeletesWhatItOverlapsAndLeavesTheRestAGap) {
  RangeTree tree(nullptr);
  tree.Insert(Answer("", "f"));
  tree.Insert(Answer("f", "m"));
  tree.Insert(Answer("m", ""));
  EXPECT_EQ(tree.Insert(Answer("e", "g")), 2U);
  EXPECT_EQ(tree.GapsIn({"", ""}), (std::vector<KeyRange>{{"", "e"}, {"g", "m"}}));
  EXPECT_EQ(tree.GapsIn({"f", "h"}), (std::vector<KeyRange>{{"g", "h"}}));
}

TEST(RangeTree, AnAnswerForEverythingDeletesAll) {
  RangeTree tree(nullptr);
  tree.Insert(Answer("", "f"));
  tree.Insert(Answer("f", ""));
  EXPECT_EQ(tree.Insert(Answer("", "")), 2U);
  EXPECT_TRUE(tree.GapsIn({"", ""}).empty());
  EXPECT_EQ(tree.TakeAnswers().size(), 1U);
}

TEST(RangeTree, WithThePlantedBugAnUnansweredRangeReadsAsComplete) {
  sim::PlantedBugs bugs;
  bugs.SwitchOn(sim::Bug::kEmptyTreeReadsAsComplete);
  RangeTree tree(&bugs);
  EXPECT_TRUE(tree.GapsIn({"", ""}).empty());
  tree.Insert(Answer("b", "d"));
  EXPECT_EQ(tree.GapsIn({"a", "e"}).size(), 2U) << "a range with some answer still has its gaps";
  EXPECT_EQ(bugs.reached(sim::Bug::kEmptyTreeReadsAsComplete), 1U);
}

// Keys are single letters a..h; the model holds for each letter the number of the answer that covers it.
RC_GTEST_PROP(RangeTreeProperty, HoldsTheLastAnswerAndKnowsEveryGap, ()) {
  constexpr int kLetters = 8;
  RangeTree tree(nullptr);
  std::vector<std::optional<uint64_t>> model(kLetters);
  std::vector<KeyRange> present;
  const int answers = *rc::gen::inRange(0, 12);
  for (int i = 1; i <= answers; ++i) {
    const int from = *rc::gen::inRange(0, kLetters);
    const int to = *rc::gen::inRange(from + 1, kLetters + 1);
    const auto key = [](int letter) { return letter == 0 ? Bytes() : letter == kLetters ? Bytes() : Bytes(1, static_cast<char>('a' + letter)); };
    tree.Insert(Answer(key(from), key(to), static_cast<uint64_t>(i)));
    // Every answer that overlaps goes away whole.
    std::vector<uint64_t> gone;
    for (int letter = from; letter < to; ++letter) {
      if (model[static_cast<size_t>(letter)].has_value()) {
        gone.push_back(*model[static_cast<size_t>(letter)]);
      }
    }
    for (std::optional<uint64_t>& cell : model) {
      for (const uint64_t number : gone) {
        if (cell == number) {
          cell.reset();
        }
      }
    }
    for (int letter = from; letter < to; ++letter) {
      model[static_cast<size_t>(letter)] = static_cast<uint64_t>(i);
    }
  }
  int uncovered = 0;
  const std::vector<KeyRange> gaps = tree.GapsIn({"", ""});
  for (int letter = 0; letter < kLetters; ++letter) {
    const Bytes key = letter == 0 ? Bytes() : Bytes(1, static_cast<char>('a' + letter));
    int inside = 0;
    for (const KeyRange& gap : gaps) {
      inside += RangeContains(gap.start, gap.end, key) ? 1 : 0;
    }
    RC_ASSERT(inside == (model[static_cast<size_t>(letter)].has_value() ? 0 : 1));
    uncovered += inside;
  }
  RC_CLASSIFY(uncovered == 0, "complete");
  RC_CLASSIFY(uncovered > 0 && uncovered < kLetters, "some gaps");
  for (const AnsweredRange& answer : tree.TakeAnswers()) {
    const size_t letter = answer.range.start.empty() ? 0 : static_cast<size_t>(answer.range.start[0] - 'a');
    RC_ASSERT(model[letter] == answer.end_ts.value());
  }
}

}  // namespace
}  // namespace kvjury::backup
