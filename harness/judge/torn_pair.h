// A restored view against every moment of a window of the source: at which does it show the same, and if at none, why not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/judge/pairs.h"
#include "harness/judge/rewrite.h"

namespace kvjury::judge {

/// An entry as the target shows it, and the last and first moments of the window at which the source showed it so.
struct TornEntry {
  Bytes path;
  Timestamp first;
  Timestamp last;
};

struct WindowJudgement {
  /// The moment with the fewest differences (a commit of the window, or its beginning), and these; none means: the same.
  Timestamp best;
  Pairs source_at_best;
  std::vector<juicefs::ViewDifference> differences;
  uint64_t entries_compared = 0;
  uint64_t fields_compared = 0;
  uint64_t moments = 0;
  /// Two entries that no moment showed together, each as it once was.
  std::optional<std::pair<TornEntry, TornEntry>> torn;
  /// Paths that no moment of the window showed as the target does.
  std::vector<Bytes> never;
  /// The source shows no volume.
  std::string failure;
};

/// Views are compared without usage counters, which are flushed late. `form`: what the tool promises of each moment; none: all of it.
WindowJudgement JudgeWindow(const std::string& volume, const Pairs& at_begin, Timestamp begin, const std::vector<KeyChange>& changes,
                            const juicefs::View& target, const std::optional<RewriteForm>& form = std::nullopt);

/// "no moment shows both a (as at or before 1) and b (as at or after 2)"; there is a torn pair.
std::string TornWords(const WindowJudgement& window);

}  // namespace kvjury::judge
