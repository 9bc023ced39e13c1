// One drill as a section of a page: what came out and why, what was done, what was compared, each difference, what stays open,
// and the commands with which a person goes on.
#pragma once

#include <string>

#include "proto/kvjury/drill.pb.h"

namespace kvjury::reports {

/// Findings that a page shows in full of one drill; drills.jsonl holds all.
inline constexpr int kFindingsInPageMax = 50;

/// The outcome as its sign and word in its colour; the sign alone; the class of the style sheet that colours cells and
/// sections.
std::string OutcomeBadge(record::DrillOutcome outcome);
std::string OutcomeSign(record::DrillOutcome outcome);
std::string OutcomeCss(record::DrillOutcome outcome);

/// Counts as tiles: of what was compared, and of files whose bytes were compared.
std::string ScopeTiles(const record::Scope& scope, uint64_t contents_compared, uint64_t regular_files);

/// Tables, each empty when there is nothing to show.
std::string ToolTable(const google::protobuf::RepeatedPtrField<record::DrillTool>& tools);
std::string CheckTable(const record::DrillRecord& drill);
/// `folder` is in front of the files' names in links; empty for a page that stands beside them.
std::string InputTable(const record::DrillRecord& drill, const std::string& folder);

/// The timestamp or the window that the drill judges at, with its time.
std::string CutText(const record::DrillRecord& drill);

struct SectionPlace {
  /// Counted from 1; gives the section its id, "drill-N".
  size_t position = 1;
  /// Where the run's files stand, as commands name it.
  std::string run_folder = {};
  /// One of many: what is the same shows no more than its why until it is asked.
  bool fold_same = false;
};

std::string DrillSection(const record::DrillRecord& drill, const SectionPlace& place);

}  // namespace kvjury::reports
