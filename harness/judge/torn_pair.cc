#include "harness/judge/torn_pair.h"

#include <algorithm>
#include <map>

#include "harness/judge/evidence.h"

namespace kvjury::judge {

namespace {

// For each path that ever differed: at which moments it did.
using Differing = std::map<Bytes, std::vector<bool>>;

TornEntry EntryOf(const Bytes& path, const std::vector<bool>& differs, const std::vector<Timestamp>& moments) {
  TornEntry entry{path, Timestamp(), Timestamp()};
  for (size_t i = 0; i < moments.size(); ++i) {
    if (!differs[i]) {
      entry.first = entry.first.valid() ? entry.first : moments[i];
      entry.last = moments[i];
    }
  }
  return entry;
}

// Two paths of which at every moment at least one differs. Earlier first.
std::optional<std::pair<TornEntry, TornEntry>> FindTorn(const Differing& differing, const std::vector<Timestamp>& moments,
                                                        const std::vector<Bytes>& never) {
  std::vector<const Differing::value_type*> sometimes;
  for (const auto& entry : differing) {
    if (!std::binary_search(never.begin(), never.end(), entry.first)) {
      sometimes.push_back(&entry);
    }
  }
  for (size_t i = 0; i < sometimes.size(); ++i) {
    for (size_t j = i + 1; j < sometimes.size(); ++j) {
      bool together = false;
      for (size_t moment = 0; moment < moments.size() && !together; ++moment) {
        together = !sometimes[i]->second[moment] && !sometimes[j]->second[moment];
      }
      if (!together) {
        TornEntry one = EntryOf(sometimes[i]->first, sometimes[i]->second, moments);
        TornEntry other = EntryOf(sometimes[j]->first, sometimes[j]->second, moments);
        return one.last <= other.last ? std::make_pair(one, other) : std::make_pair(other, one);
      }
    }
  }
  return std::nullopt;
}

class Window {
 public:
  Window(const std::string& volume, const juicefs::View& target, const std::optional<RewriteForm>& form)
      : volume_(volume), target_(target), form_(form) {
    options_.compare_statfs = false;
  }

  void Look(const Pairs& pairs, Timestamp moment) {
    Result<juicefs::View> view = juicefs::BuildView(ImageOf(pairs, volume_));
    if (!view.ok()) {
      judgement_.failure = view.status().message();
      return;
    }
    if (form_.has_value()) {
      *view = PromisedView(*view, *form_);
    }
    moments_.push_back(moment);
    for (auto& [path, differs] : differing_) {
      differs.push_back(false);
    }
    juicefs::ViewDiff diff = juicefs::DiffViews(*view, target_, options_);
    for (const juicefs::ViewDifference& difference : diff.differences) {
      std::vector<bool>& differs = differing_[difference.path];
      differs.resize(moments_.size(), false);
      differs.back() = true;
    }
    if (moments_.size() == 1 || diff.differences.size() < judgement_.differences.size()) {
      judgement_.best = moment;
      judgement_.source_at_best = pairs;
      judgement_.entries_compared = diff.entries_compared;
      judgement_.fields_compared = diff.fields_compared;
      judgement_.differences = std::move(diff.differences);
    }
  }

  [[nodiscard]] bool found() const { return !moments_.empty() && judgement_.differences.empty(); }

  WindowJudgement Take() {
    judgement_.moments = moments_.size();
    if (!judgement_.differences.empty()) {
      for (const auto& [path, differs] : differing_) {
        if (std::find(differs.begin(), differs.end(), false) == differs.end()) {
          judgement_.never.push_back(path);
        }
      }
      judgement_.torn = FindTorn(differing_, moments_, judgement_.never);
    }
    if (!moments_.empty()) {
      judgement_.failure.clear();
    }
    return std::move(judgement_);
  }

 private:
  const std::string& volume_;
  const juicefs::View& target_;
  const std::optional<RewriteForm>& form_;
  juicefs::ViewDiffOptions options_;
  std::vector<Timestamp> moments_;
  Differing differing_;
  WindowJudgement judgement_;
};

}  // namespace

WindowJudgement JudgeWindow(const std::string& volume, const Pairs& at_begin, Timestamp begin, const std::vector<KeyChange>& changes,
                            const juicefs::View& target, const std::optional<RewriteForm>& form) {
  Window window(volume, target, form);
  Pairs pairs = at_begin;
  window.Look(pairs, begin);
  for (size_t i = 0; i < changes.size() && !window.found();) {
    const Timestamp moment = changes[i].commit_ts;
    for (; i < changes.size() && changes[i].commit_ts == moment; ++i) {
      if (changes[i].version.has_value()) {
        pairs[changes[i].key] = *changes[i].version;
      } else {
        pairs.erase(changes[i].key);
      }
    }
    window.Look(pairs, moment);
  }
  return window.Take();
}

std::string TornWords(const WindowJudgement& window) {
  const auto& [early, late] = *window.torn;
  return "no moment shows both " + Printable(early.path) + " (as at or before " + std::to_string(early.last.value()) + ") and " +
         Printable(late.path) + " (as at or after " + std::to_string(late.first.value()) + ")";
}

}  // namespace kvjury::judge
