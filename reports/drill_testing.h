// Drills as a real run leaves them, and hostile ones, for the tests of everything that is made from drills.
#pragma once

#include <string>
#include <vector>

#include "proto/kvjury/drill.pb.h"

namespace kvjury::reports {

/// A drill that compared a volume and found it the same, with commands, tools, checks and evidence.
record::DrillRecord SameDrill(const std::string& recipe, const std::string& fault = "", uint32_t number = 1);

/// Of another outcome, with nothing more than its why.
record::DrillRecord DrillWith(record::DrillOutcome outcome, const std::string& recipe, const std::string& fault,
                              const std::string& why, uint32_t number = 1);

/// The tool said success, and three entries, a field and a key differ.
record::DrillRecord FalseSuccessDrill();

/// Every text field and every path holds markup, controls, quotes, marks of direction and bytes that are no UTF-8.
record::DrillRecord HostileDrill();

/// Recipes and faults as a nightly run has them: every word, a cell with several drills, a planted row, a skipped row.
std::vector<record::DrillRecord> ManyDrills();

}  // namespace kvjury::reports
