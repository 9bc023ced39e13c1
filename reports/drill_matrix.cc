#include "reports/drill_matrix.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/drill_words.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

template <class Items, class Match>
size_t PositionOf(const Items& items, const Match& match) {
  return static_cast<size_t>(std::find_if(items.begin(), items.end(), match) - items.begin());
}

std::string CellMarkdown(const DrillCell* cell) {
  if (cell == nullptr) {
    return "";
  }
  const std::string word(DrillWord(cell->worst));
  const std::string shown = cell->worst == record::DRILL_SAME ? word : "**" + word + "**";
  return cell->Share().empty() ? shown : shown + " " + cell->Share();
}

}  // namespace

std::string DrillCell::Share() const {
  return drills.size() < 2 ? "" : fmt::format("{} of {}", counts.at(worst), drills.size());
}

std::string DrillCell::All() const {
  if (drills.size() < 2) {
    return std::string(DrillWord(worst));
  }
  std::vector<std::pair<record::DrillOutcome, uint64_t>> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return DrillBadness(a.first) > DrillBadness(b.first); });
  std::string out;
  for (const auto& [outcome, count] : sorted) {
    out += fmt::format("{}{} {} of {}", out.empty() ? "" : ", ", DrillWord(outcome), count, drills.size());
  }
  return out;
}

DrillMatrix::DrillMatrix(const std::vector<record::DrillRecord>& drills) {
  if (std::any_of(drills.begin(), drills.end(), [](const auto& drill) { return drill.fault().empty(); })) {
    faults_.push_back(FaultName(""));
  }
  for (size_t i = 0; i < drills.size(); ++i) {
    const record::DrillRecord& drill = drills[i];
    const std::string fault = FaultName(drill.fault());
    const size_t row = PositionOf(rows_, [&](const Row& other) { return other.recipe == drill.recipe(); });
    const size_t column = PositionOf(faults_, [&](const std::string& other) { return other == fault; });
    if (row == rows_.size()) {
      rows_.push_back({drill.recipe(), drill.planted()});
    }
    if (column == faults_.size()) {
      faults_.push_back(fault);
    }
    DrillCell& cell = cells_[{row, column}];
    ++cell.counts[drill.outcome()];
    cell.drills.push_back(i);
  }
  for (auto& [place, cell] : cells_) {
    std::stable_sort(cell.drills.begin(), cell.drills.end(),
                     [&](size_t a, size_t b) { return DrillBadness(drills[a].outcome()) > DrillBadness(drills[b].outcome()); });
    const record::DrillRecord& worst = drills[cell.drills.front()];
    cell.worst = worst.outcome();
    cell.why = WhyOf(worst);
    cell.planted_and_same = worst.outcome() == record::DRILL_SAME && !worst.planted().empty();
  }
}

const DrillCell* DrillMatrix::Find(size_t row, size_t fault) const {
  const auto found = cells_.find({row, fault});
  return found == cells_.end() ? nullptr : &found->second;
}

std::string DrillMatrix::Markdown() const {
  if (rows_.empty()) {
    return "No drill was carried out.\n";
  }
  std::string out = "| recipe |";
  std::string rule = "| --- |";
  for (const std::string& fault : faults_) {
    out += " " + EscapeMarkdown(fault) + " |";
    rule += " --- |";
  }
  out += "\n" + rule + "\n";
  std::string whys;
  std::string planted;
  for (size_t row = 0; row < rows_.size(); ++row) {
    const std::string recipe = EscapeMarkdown(rows_[row].recipe);
    const bool is_planted = !rows_[row].planted.empty();
    out += "| " + recipe + (is_planted ? " (planted)" : "") + " |";
    planted += is_planted ? fmt::format("- {}: {}\n", recipe, EscapeMarkdown(rows_[row].planted)) : "";
    for (size_t column = 0; column < faults_.size(); ++column) {
      const DrillCell* cell = Find(row, column);
      out += " " + CellMarkdown(cell) + " |";
      if (cell != nullptr && cell->NeedsWhy()) {
        whys += fmt::format("- {}, fault {}: **{}**: {}\n", recipe, EscapeMarkdown(faults_[column]), cell->All(),
                            EscapeMarkdown(cell->why));
      }
    }
    out += "\n";
  }
  out += whys.empty() ? "" : "\nWhy:\n\n" + whys;
  out += planted.empty() ? "" : "\nPlanted rows are there to end in another verdict than same:\n\n" + planted;
  return out;
}

}  // namespace kvjury::reports
