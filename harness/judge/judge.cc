#include "harness/judge/judge.h"

#include <algorithm>

namespace kvjury::judge {

namespace {

// Where the truth about one key was lost: the first account that lacks it.
record::LostAt LostAtOfKey(const Evidence& evidence, const record::Finding& finding) {
  const Bytes& key = finding.key();
  if (evidence.rewrite.has_value()) {
    return record::LOST_AT_UNKNOWN;  // nothing between the source and the target is held against them
  }
  if (!evidence.files.has_value()) {
    // Files of a form that is not read may hold it or not; what stands on the target was lost there.
    const bool on_target = evidence.target_records.has_value() && evidence.target_records->newest_commit_ts.count(key) > 0;
    return !evidence.by_real_programs ? record::LOST_AT_FILES : on_target ? record::LOST_AT_TARGET : record::LOST_AT_UNKNOWN;
  }
  auto in_source = evidence.source.find(key);
  auto in_files = evidence.files->pairs.find(key);
  const bool source_has = in_source != evidence.source.end();
  const bool files_have = in_files != evidence.files->pairs.end();
  if (source_has != files_have ||
      (source_has && in_source->second.value != in_files->second.value)) {
    return record::LOST_AT_FILES;
  }
  if (evidence.target_records.has_value() && source_has) {
    auto newest = evidence.target_records->newest_commit_ts.find(key);
    if (newest == evidence.target_records->newest_commit_ts.end()) {
      return record::LOST_AT_IMPORT;
    }
  }
  return record::LOST_AT_TARGET;
}

void FillInLostAt(const Evidence& evidence, std::vector<record::Finding>* findings) {
  for (record::Finding& finding : *findings) {
    if (finding.lost_at() != record::LOST_AT_UNKNOWN) {
      continue;
    }
    const std::string& check = finding.check();
    if (check == "COVER" || check == "FILE" || (check == "MVCC" && !finding.file().empty())) {
      finding.set_lost_at(record::LOST_AT_FILES);
    } else if (check == "MVCC") {
      finding.set_lost_at(record::LOST_AT_IMPORT);
    } else if (!finding.key().empty()) {
      finding.set_lost_at(LostAtOfKey(evidence, finding));
    }
  }
  // A finding without a key of its own (a path of the view) was lost where the first key was.
  auto keyed = std::find_if(findings->begin(), findings->end(), [](const record::Finding& finding) {
    return finding.check() == "DIFF" && finding.lost_at() != record::LOST_AT_UNKNOWN;
  });
  if (keyed == findings->end()) {
    return;
  }
  for (record::Finding& finding : *findings) {
    if (finding.lost_at() == record::LOST_AT_UNKNOWN) {
      finding.set_lost_at(keyed->lost_at());
    }
  }
}

// Findings about a key that belongs to an entry of the view get the entry's path.
void FillInPaths(const Evidence& evidence, std::vector<record::Finding>* findings) {
  std::optional<juicefs::View> of_source;
  if (!evidence.model_view.has_value() && evidence.source_image.has_value()) {
    Result<juicefs::View> view = juicefs::BuildView(*evidence.source_image);
    if (view.ok()) {
      of_source = *std::move(view);
    }
  }
  const std::optional<juicefs::View>& view = evidence.model_view.has_value() ? evidence.model_view : of_source;
  if (!view.has_value()) {
    return;
  }
  for (record::Finding& finding : *findings) {
    if (finding.path().empty() && finding.inode() != 0) {
      auto path = view->PathOfInode(Inode(finding.inode()));
      if (path.has_value()) {
        finding.set_path(*path);
      }
    }
  }
}

// A rewrite has no ranges and no files of one form; its records are as new as the target's clock.
const std::set<std::string>& ChecksOfRewrites() {
  static const std::set<std::string> kCodes = {"MVCC", "DIFF", "TREE", "INV", "HIST", "OBJ", "WRITE", "GC", "EXIT", "LIVE", "STATE"};
  return kCodes;
}

// The earliest layer first; unknown ones last.
int LayerRank(const record::Finding& finding) {
  return finding.lost_at() == record::LOST_AT_UNKNOWN ? record::LostAt_MAX + 1 : finding.lost_at();
}

record::Scope ScopeOf(const std::vector<record::CheckResult>& checks) {
  record::Scope scope;
  for (const record::CheckResult& result : checks) {
    if (result.check() == "DIFF") {
      scope.set_keys_compared(result.counted());
    } else if (result.check() == "TREE") {
      scope.set_entries_compared(result.counted());
      scope.set_fields_compared(result.fields());
    } else if (result.check() == "FILE") {
      scope.set_files_checked(result.counted());
    } else if (result.check() == "COVER") {
      scope.set_ranges_checked(result.counted());
    } else if (result.check() == "HIST") {
      scope.set_transactions_checked(result.counted());
    } else if (result.check() == "INV") {
      scope.set_invariants_checked(result.counted());
    }
  }
  return scope;
}

record::Outcome OutcomeOf(const Evidence& evidence, const Judgement& judgement, bool with_keys) {
  if (!evidence.claim.success) {
    // Whatever a failed tool left behind is not offered as a restored volume; only a failure without cause is a defect.
    const bool without_cause =
        std::any_of(judgement.findings.begin(), judgement.findings.end(),
                    [](const record::Finding& finding) { return finding.kind() == "failed-without-cause"; });
    if (!evidence.hang.empty() || without_cause) {
      return record::DIFFERENT;
    }
    return record::HONEST_FAILURE;
  }
  if (!judgement.findings.empty()) {
    return record::DIFFERENT;
  }
  if (!judgement.unproven.empty()) {
    return record::UNPROVEN;
  }
  if ((with_keys && judgement.scope.keys_compared() == 0) || judgement.scope.entries_compared() == 0) {
    return record::OUTCOME_NOTHING;
  }
  return record::SAME;
}

}  // namespace

Judgement Judge(const Evidence& evidence, const std::set<std::string>& asked) {
  Judgement judgement;
  const std::set<std::string> codes = asked.empty() && evidence.rewrite.has_value() ? ChecksOfRewrites() : asked;
  for (const CheckInfo& check : AllChecks()) {
    if ((!codes.empty() && codes.count(check.code) == 0) || (check.asked != nullptr && !check.asked(evidence))) {
      continue;
    }
    Checked checked = check.run(evidence);
    if (checked.result.unproven().empty() && checked.result.counted() == 0 && checked.findings.empty()) {
      checked.result.set_unproven("nothing was there to be checked");
    }
    if (!checked.result.unproven().empty()) {
      judgement.unproven.push_back(checked.result.check() + ": " + checked.result.unproven());
    }
    judgement.checks.push_back(std::move(checked.result));
    std::move(checked.findings.begin(), checked.findings.end(), std::back_inserter(judgement.findings));
  }
  FillInPaths(evidence, &judgement.findings);
  FillInLostAt(evidence, &judgement.findings);
  judgement.scope = ScopeOf(judgement.checks);
  judgement.outcome = OutcomeOf(evidence, judgement, codes.empty() || codes.count("DIFF") > 0);
  if (judgement.outcome == record::HONEST_FAILURE) {
    // Half-done work of a tool that says so is no finding; the counts of the checks stay.
    judgement.findings.clear();
  }
  judgement.false_success = judgement.outcome == record::DIFFERENT && evidence.claim.success;
  std::stable_sort(judgement.findings.begin(), judgement.findings.end(),
                   [](const record::Finding& a, const record::Finding& b) { return LayerRank(a) < LayerRank(b); });
  return judgement;
}

}  // namespace kvjury::judge
