#include "reports/drill_words.h"

#include <fmt/format.h>

#include "fakes/base/ids.h"
#include "reports/units.h"

namespace kvjury::reports {
namespace {

struct Word {
  record::DrillOutcome outcome;
  std::string_view word;
  ExitCode code;
  std::string_view meaning;
};

/// The worst first.
constexpr Word kWords[] = {
    {record::DRILL_FALSE_SUCCESS, "false success", ExitCode::kDifferent,
     "The tool said success, and the restored volume is not the one that was backed up."},
    {record::DRILL_DIFFERENT, "different", ExitCode::kDifferent,
     "The restored volume is not the one that was backed up, and the tool had not said that all was well."},
    {record::DRILL_HANG, "hang", ExitCode::kDifferent, "The tool did not end within its time, and nothing moved any more."},
    {record::DRILL_UNPROVEN, "unproven", ExitCode::kUnproven,
     "Neither same nor different could be shown; the reason is given."},
    {record::DRILL_HONEST_FAILURE, "honest failure", ExitCode::kUnproven,
     "The tool ended with an error, and the drill knows the cause. There is no restored volume to trust."},
    {record::DRILL_NOTHING, "not checked", ExitCode::kNothingChecked, "Nothing was compared."},
    {record::DRILL_SKIPPED, "skipped", ExitCode::kSame, "A program is missing, so the drill was not carried out."},
    {record::DRILL_SAME, "same", ExitCode::kSame,
     "What was compared is the same on both sides, in both directions. What was not compared is listed."},
};

size_t PlaceOf(record::DrillOutcome outcome) {
  size_t place = 0;
  size_t nothing = 0;
  for (const Word& word : kWords) {
    if (word.outcome == outcome) {
      return place;
    }
    nothing = word.outcome == record::DRILL_NOTHING ? place : nothing;
    ++place;
  }
  return nothing;  // a number of a newer program
}

}  // namespace

std::string_view DrillWord(record::DrillOutcome outcome) { return kWords[PlaceOf(outcome)].word; }

std::string_view DrillWordMeaning(record::DrillOutcome outcome) { return kWords[PlaceOf(outcome)].meaning; }

int DrillBadness(record::DrillOutcome outcome) { return static_cast<int>(std::size(kWords) - PlaceOf(outcome)); }

ExitCode DrillExitCode(record::DrillOutcome outcome) { return kWords[PlaceOf(outcome)].code; }

std::string FaultName(const std::string& fault) { return fault.empty() ? "none" : fault; }

std::string DrillName(const record::DrillRecord& drill) {
  return drill.fault().empty() ? fmt::format("{}, drill {}", drill.recipe(), drill.number())
                               : fmt::format("{}, fault {}, drill {}", drill.recipe(), drill.fault(), drill.number());
}

std::string WhyOf(const record::DrillRecord& drill) {
  if (drill.outcome() == record::DRILL_SAME && !drill.planted().empty()) {
    return "Planted, and yet same. Planted because: " + drill.planted();
  }
  return drill.why().empty() ? "The drill gives no reason." : drill.why();
}

std::string TimestampText(uint64_t timestamp) {
  return fmt::format("{} ({})", timestamp, Utc(Timestamp(timestamp).physical_ms()));
}

std::string Grouped(uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      out += ',';
    }
    out += digits[i];
  }
  return out;
}

}  // namespace kvjury::reports
