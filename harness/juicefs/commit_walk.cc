#include "harness/juicefs/commit_walk.h"

#include <algorithm>
#include <tuple>

#include "harness/juicefs/view.h"

namespace kvjury::juicefs {

namespace {

class Walk {
 public:
  explicit Walk(const CommitWalkOptions& options) : options_(options) { CHECK(!options.invariants.at_rest); }

  void Look(const KeyValues& pairs, Timestamp moment) {
    if (pairs.empty()) {
      return;
    }
    const VolumeImage image = BuildImage(pairs);
    walk_.first = walk_.commits == 0 ? moment : walk_.first;
    walk_.last = moment;
    walk_.pairs_max = std::max<uint64_t>(walk_.pairs_max, pairs.size());
    ++walk_.commits;
    const std::vector<InvariantResult> results = CheckInvariants(image, options_.invariants);
    walk_.counted.resize(results.size());
    for (size_t i = 0; i < results.size(); ++i) {
      walk_.counted[i].first = results[i].name;
      walk_.counted[i].second += results[i].counted;
      for (const InvariantIssue& issue : results[i].issues) {
        Add(results[i].name, issue, image, moment);
      }
    }
    if (options_.on_commit) {
      options_.on_commit(walk_.commits);
    }
  }

  void CountChange() { ++walk_.changes; }

  CommitWalk Take() { return std::move(walk_); }

 private:
  void Add(const std::string& check, const InvariantIssue& issue, const VolumeImage& image, Timestamp moment) {
    std::vector<BrokenInvariant>& list = issue.severity == IssueSeverity::kViolation ? walk_.violations : walk_.hazards;
    const auto [place, is_new] = known_.try_emplace({check, issue.key, issue.severity}, list.size());
    if (is_new) {
      list.push_back({check, issue, FindPath(image, issue.inode), moment, moment, 0});
    }
    BrokenInvariant& broken = list[place->second];
    // One check may say several things of one key: that is still one commit.
    broken.commits += broken.commits == 0 || broken.last != moment ? 1 : 0;
    broken.last = moment;
  }

  const CommitWalkOptions& options_;
  CommitWalk walk_;
  std::map<std::tuple<std::string, Bytes, IssueSeverity>, size_t> known_;
};

}  // namespace

std::optional<Bytes> FindPath(const VolumeImage& image, Inode inode) {
  if (!inode.valid()) {
    return std::nullopt;
  }
  const Result<View> view = BuildView(image);
  return view.ok() ? view->PathOfInode(inode) : std::nullopt;
}

CommitWalk WalkCommits(const KeyValues& at_begin, Timestamp begin, const std::vector<CommittedChange>& changes, const CommitWalkOptions& options) {
  Walk walk(options);
  KeyValues pairs = at_begin;
  walk.Look(pairs, begin);
  for (size_t i = 0; i < changes.size();) {
    const Timestamp moment = changes[i].commit_ts;
    CHECK_GT(moment, i == 0 ? begin : changes[i - 1].commit_ts);
    for (; i < changes.size() && changes[i].commit_ts == moment; ++i) {
      walk.CountChange();
      if (changes[i].value.has_value()) {
        pairs[changes[i].key] = *changes[i].value;
      } else {
        pairs.erase(changes[i].key);
      }
    }
    walk.Look(pairs, moment);
  }
  return walk.Take();
}

}  // namespace kvjury::juicefs
