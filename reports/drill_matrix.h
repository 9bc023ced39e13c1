// DrillMatrix: which recipe ends how under which fault. Rows are recipes, columns are faults, a cell is one word.
//
// A cell with several drills shows the worst outcome and its share of the runs: "different 3 of 5". What is not same has a
// line that says why. Determinism: a function of the records in their order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "proto/kvjury/drill.pb.h"

namespace kvjury::reports {

/// Columns of a terminal that the text form keeps within.
inline constexpr size_t kMatrixTextColumnsMax = 120;

struct DrillCell {
  record::DrillOutcome worst = record::DRILL_SAME;
  std::map<record::DrillOutcome, uint64_t> counts;
  /// Positions in the list of records, the worst first.
  std::vector<size_t> drills;
  /// Of the worst drill.
  std::string why;
  /// A planted row that is same all over: what was planted was not seen.
  bool planted_and_same = false;

  /// "", or "3 of 5" when there are several drills.
  [[nodiscard]] std::string Share() const;
  /// "different 3 of 5, same 2 of 5": everything, the worst first.
  [[nodiscard]] std::string All() const;
  [[nodiscard]] bool NeedsWhy() const { return worst != record::DRILL_SAME || planted_and_same; }
};

class DrillMatrix {
 public:
  explicit DrillMatrix(const std::vector<record::DrillRecord>& drills);

  struct Row {
    std::string recipe;
    /// Why another verdict than same is to be expected; empty for an ordinary row.
    std::string planted;
  };
  /// In the order in which they first came.
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  /// Likewise, but the column without a fault first. Its name is "none".
  [[nodiscard]] const std::vector<std::string>& faults() const { return faults_; }
  /// Null where nothing was driven.
  [[nodiscard]] const DrillCell* Find(size_t row, size_t fault) const;

  /// For a terminal of 120 columns: long names of faults are numbered with a legend; what is too wide goes on below.
  [[nodiscard]] std::string Text() const;
  [[nodiscard]] std::string Markdown() const;

 private:
  std::vector<Row> rows_;
  std::vector<std::string> faults_;
  std::map<std::pair<size_t, size_t>, DrillCell> cells_;  // row, fault
};

}  // namespace kvjury::reports
