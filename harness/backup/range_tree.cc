#include "harness/backup/range_tree.h"

#include <iterator>

namespace kvjury::backup {

namespace {

bool EndsBehind(const Bytes& end, const Bytes& key) { return end.empty() || end > key; }

}  // namespace

bool Encloses(const KeyRange& outer, const KeyRange& inner) {
  return inner.start >= outer.start && (outer.end.empty() || (!inner.end.empty() && inner.end <= outer.end));
}

const Bytes& SmallerEnd(const Bytes& a, const Bytes& b) { return a.empty() || (!b.empty() && b < a) ? b : a; }

RangeTree::Answers::const_iterator RangeTree::FirstBehind(const Bytes& start) const {
  auto found = answers_.upper_bound(start);
  if (found != answers_.begin() && EndsBehind(std::prev(found)->second.range.end, start)) {
    --found;
  }
  return found;
}

size_t RangeTree::Insert(AnsweredRange answer) {
  const KeyRange& range = answer.range;
  CHECK(range.end.empty() || range.start < range.end) << DescribeRange(range.start, range.end);
  size_t deleted = 0;
  auto found = FirstBehind(range.start);
  while (found != answers_.end() && EndsBehind(range.end, found->first)) {
    found = answers_.erase(found);
    ++deleted;
  }
  const Bytes start = range.start;
  answers_.emplace(start, std::move(answer));
  return deleted;
}

std::vector<KeyRange> RangeTree::GapsIn(const KeyRange& asked) const {
  std::vector<KeyRange> gaps;
  auto found = FirstBehind(asked.start);
  const bool nothing = found == answers_.end() || !EndsBehind(asked.end, found->first);
  if (nothing && bugs_ != nullptr && bugs_->On(sim::Bug::kEmptyTreeReadsAsComplete)) {
    return gaps;
  }
  Bytes covered_to = asked.start;
  for (; found != answers_.end() && EndsBehind(asked.end, found->first); ++found) {
    const KeyRange& range = found->second.range;
    if (range.start > covered_to) {
      gaps.push_back(KeyRange{covered_to, range.start});
    }
    if (range.end.empty()) {
      return gaps;
    }
    covered_to = range.end;
  }
  if (asked.end.empty() || covered_to < asked.end) {
    gaps.push_back(KeyRange{covered_to, asked.end});
  }
  return gaps;
}

std::vector<AnsweredRange> RangeTree::TakeAnswers() {
  std::vector<AnsweredRange> answers;
  for (auto& [start, answer] : answers_) {
    answers.push_back(std::move(answer));
  }
  answers_.clear();
  return answers;
}

}  // namespace kvjury::backup
