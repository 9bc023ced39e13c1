// Words for drills: outcomes by their names for people, and which of two outcomes is the worse one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/kvjury/drill.pb.h"
#include "reports/exit_code.h"

namespace kvjury::reports {

/// "same", "different", "false success", "honest failure", "hang", "unproven", "skipped" or "not checked".
std::string_view DrillWord(record::DrillOutcome outcome);

/// One sentence that says what the word means.
std::string_view DrillWordMeaning(record::DrillOutcome outcome);

/// The larger, the worse: false success, different, hang, unproven, honest failure, not checked, skipped, same.
int DrillBadness(record::DrillOutcome outcome);

/// What one drill makes of a run's exit code. kSame for a skipped one: it says nothing.
ExitCode DrillExitCode(record::DrillOutcome outcome);

/// True if the verdict is DIFFERENT: false success, different, hang.
inline bool Convicted(record::DrillOutcome outcome) { return DrillExitCode(outcome) == ExitCode::kDifferent; }

/// "none" for a drill without a fault.
std::string FaultName(const std::string& fault);

/// "br-txn, fault store-dies, drill 3"; without the fault when there is none. Not escaped.
std::string DrillName(const record::DrillRecord& drill);

/// The drill's why, or what stands for it; never empty.
std::string WhyOf(const record::DrillRecord& drill);

/// "470647200531087367 (2026-11-26T20:39:25Z)"; the physical part of a timestamp of PD is a time.
std::string TimestampText(uint64_t timestamp);

/// "1,234,567".
std::string Grouped(uint64_t number);

}  // namespace kvjury::reports
