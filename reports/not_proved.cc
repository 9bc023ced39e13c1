#include "reports/not_proved.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "reports/drill_words.h"

namespace kvjury::reports {
namespace {

struct Check {
  std::string_view code;
  std::string_view proves;
};

/// What stays open when the check is not among a drill's.
constexpr std::array kChecks = {
    Check{"COVER", "that the ranges that were backed up leave no hole"},
    Check{"FILE", "that the backup's files are those that its manifest names"},
    Check{"MVCC", "that the records in files and target are well formed"},
    Check{"DIFF", "that every key is the same, in both directions"},
    Check{"TREE", "that a mount shows the same entries, field by field"},
    Check{"INV", "that the restored volume keeps the invariants of a JuiceFS volume"},
    Check{"HIST", "that the cut holds everything that was acknowledged before it, and nothing that came after it"},
    Check{"EXIT", "that what the tool says of itself is true"},
    Check{"LIVE", "that every range of the restored cluster can be read"},
    Check{"TSO", "that the restored cluster's new timestamps are above all restored ones"},
    Check{"STATE", "that the tool left the clusters' settings as they were"},
    Check{"RATE", "that the tool was no faster than it was asked to be"},
};

}  // namespace

std::vector<std::string> NotProved(const record::DrillRecord& drill) {
  std::vector<std::string> out(drill.unproven().begin(), drill.unproven().end());
  const auto add = [&out](std::string sentence) {
    if (std::find(out.begin(), out.end(), sentence) == out.end()) {
      out.push_back(std::move(sentence));
    }
  };
  for (const Check& check : kChecks) {
    const auto made = std::find_if(drill.check().begin(), drill.check().end(),
                                   [&](const record::CheckResult& result) { return result.check() == check.code; });
    const std::string why = made == drill.check().end() ? "the check was not made"
                            : !made->unproven().empty() ? made->unproven()
                            : made->counted() == 0      ? "the check had nothing to look at"
                                                        : "";
    if (!why.empty()) {
      add(fmt::format("{}: not proved {}: {}.", check.code, check.proves, why.substr(0, why.find_last_not_of('.') + 1)));
    }
  }
  if (drill.scope().keys_compared() == 0) {
    add("No keys were compared, only what a mount shows.");
  }
  if (drill.contents_compared() == 0) {
    add("The bytes inside the files were not compared: the verdict is about metadata.");
  } else if (drill.contents_compared() < drill.regular_files()) {
    add(fmt::format("The bytes of {} of {} files were not compared.",
                    Grouped(drill.regular_files() - drill.contents_compared()), Grouped(drill.regular_files())));
  }
  if (drill.window_start_ts() != 0 || drill.window_end_ts() != 0) {
    add(fmt::format("The tool names no timestamp: the volume is that of some moment between {} and {}.",
                    TimestampText(drill.window_start_ts()), TimestampText(drill.window_end_ts())));
  }
  if (drill.operations_during_backup() == 0) {
    add("Nobody wrote while the backup ran.");
  }
  if (drill.fault().empty()) {
    add("No fault was injected.");
  }
  add("PD and the stores of both clusters were kvjury's, on real ports; another cluster, and the next backup, are not spoken of.");
  return out;
}

}  // namespace kvjury::reports
