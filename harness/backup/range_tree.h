// RangeTree: which parts of the key space have been answered, by whom, at which timestamp, and which parts are missing.
//
// A new answer deletes every older one that it overlaps, also in part: what the new one does not cover is then a gap and is
// asked for again. So the tree never holds two answers for one key. User keys; an empty end is unbounded.
// Source: the progress ranges of br's 8.5 line. Site of the planted bug empty-tree-reads-as-complete.
#pragma once

#include <map>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/sim/planted_bugs.h"
#include "harness/backup/backup_meta.h"

namespace kvjury::backup {

/// True if [start, end) of `inner` lies within `outer`.
bool Encloses(const KeyRange& outer, const KeyRange& inner);
/// The smaller of two upper bounds, where empty is unbounded.
const Bytes& SmallerEnd(const Bytes& a, const Bytes& b);

/// What one answer said.
struct AnsweredRange {
  KeyRange range;
  /// The timestamp that the request asked to read at.
  Timestamp end_ts;
  /// The region that was asked for; the answer's own may differ after a split.
  RegionId region;
  StoreId store;
  uint32_t round = 0;
  std::vector<File> files;
};

class RangeTree {
 public:
  /// `bugs` may be null.
  explicit RangeTree(sim::PlantedBugs* bugs) : bugs_(bugs) {}

  /// Returns how many older answers it deleted; their files are orphans from now on.
  size_t Insert(AnsweredRange answer);

  /// The parts of `asked` that no answer covers, in key order.
  [[nodiscard]] std::vector<KeyRange> GapsIn(const KeyRange& asked) const;

  /// In key order.
  [[nodiscard]] std::vector<AnsweredRange> TakeAnswers();
  [[nodiscard]] size_t size() const { return answers_.size(); }

 private:
  using Answers = std::map<Bytes, AnsweredRange>;
  /// The first answer whose end lies behind `start`.
  [[nodiscard]] Answers::const_iterator FirstBehind(const Bytes& start) const;

  sim::PlantedBugs* bugs_;
  Answers answers_;  // by start
};

}  // namespace kvjury::backup
