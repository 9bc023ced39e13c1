#include "harness/judge/judge_drill.h"

#include <algorithm>
#include <set>

#include "fakes/base/digest.h"
#include "harness/judge/judge.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::judge {

namespace {

constexpr char kMount[] = "MOUNT";

// What can be asked of the evidence: of a tool that rewrites the volume its keys cannot, of one whose files we do not read its files.
std::set<std::string> ChecksOf(const record::DrillEvidence& drill) {
  std::set<std::string> codes = {"TREE", "INV", "LIVE", "STATE"};
  if (!drill.logical()) {
    // What is rewritten gets timestamps of the target; only copies bring those of the source along.
    codes.insert({"DIFF", "TSO"});
  }
  if (drill.has_files()) {
    codes.insert({"COVER", "FILE", "MVCC", "EXIT"});
  }
  return codes;
}

Evidence EvidenceFrom(const record::DrillEvidence& drill) {
  Evidence evidence;
  evidence.by_real_programs = true;
  evidence.volume = drill.volume();
  evidence.cut = Timestamp(drill.cut_ts());
  evidence.trouble = drill.trouble();
  evidence.claim.backup_ran = drill.backup_ran();
  evidence.claim.restore_ran = drill.restore_ran();
  evidence.claim.success = drill.backup_ran() && drill.restore_ran();
  evidence.claim.message = drill.claim();
  evidence.source = PairsFrom(drill.source());
  if (drill.has_files()) {
    FileEvidence files;
    files.end_version = Timestamp(drill.files().end_version());
    for (const record::DrillEvidence::Files::File& file : drill.files().file()) {
      files.files.push_back({file.name(), file.column_family(), file.start(), file.end(), Timestamp(file.start_version()),
                             Timestamp(file.end_version())});
    }
    files.pairs = PairsFrom(drill.files().pair());
    files.findings.assign(drill.files().finding().begin(), drill.files().finding().end());
    // A real tool does not tell; its manifest does.
    evidence.claim.files = files.files.size();
    evidence.claim.keys = files.pairs.size();
    evidence.files = std::move(files);
  }
  if (drill.has_target()) {
    const record::DrillEvidence::Target& target = drill.target();
    evidence.target = PairsFrom(target.pair());
    evidence.unreadable_ranges.assign(target.unreadable().begin(), target.unreadable().end());
    TargetRecords records;
    records.findings.assign(target.finding().begin(), target.finding().end());
    records.records_checked = target.records_checked();
    for (const auto& newest : target.newest()) {
      records.newest_commit_ts[newest.key()] = Timestamp(newest.commit_ts());
    }
    records.undecodable_boundaries.assign(target.undecodable_boundary().begin(), target.undecodable_boundary().end());
    records.boundaries_checked = target.boundaries_checked();
    evidence.target_records = std::move(records);
    for (const uint64_t timestamp : target.timestamp()) {
      evidence.target_timestamps.emplace_back(timestamp);
    }
  }
  return evidence;
}

std::string Number(uint64_t count, const std::string& thing) {
  const bool is_y = thing.back() == 'y' && thing != "key";
  const std::string things = is_y ? thing.substr(0, thing.size() - 1) + "ies" : thing + "s";
  return std::to_string(count) + " " + (count == 1 ? thing : things);
}

std::string Place(const record::Finding& finding) {
  std::string words;
  if (!finding.path().empty()) {
    words += ", path " + Printable(finding.path());
  }
  static const std::map<int, std::string> kLayers = {{record::LOST_AT_SOURCE, "in the source"},
                                                     {record::LOST_AT_FILES, "in the backup's files"},
                                                     {record::LOST_AT_IMPORT, "while it was imported"},
                                                     {record::LOST_AT_TARGET, "in the target"}};
  const auto layer = kLayers.find(finding.lost_at());
  return words + (layer == kLayers.end() ? "" : "; lost " + layer->second);
}

// Keys missing, surplus, different, in numbers, with the first; or the first finding.
std::string Difference(const Judgement& judgement, const Evidence& evidence) {
  const auto first = std::find_if(judgement.findings.begin(), judgement.findings.end(),
                                  [](const record::Finding& finding) { return finding.check() == "DIFF"; });
  if (first == judgement.findings.end()) {
    const record::Finding& finding = judgement.findings.front();
    return finding.check() + " " + finding.message() + Place(finding);
  }
  // Findings are kept up to a bound; these numbers are whole.
  uint64_t missing = 0;
  uint64_t other = 0;
  for (const auto& [key, version] : evidence.source) {
    const auto found = evidence.target->find(key);
    missing += found == evidence.target->end() ? 1 : 0;
    other += found != evidence.target->end() && found->second.value != version.value ? 1 : 0;
  }
  const uint64_t extra = evidence.target->size() + missing - evidence.source.size();
  return "of " + Number(evidence.source.size(), "key") + " at the cut the target lacks " + std::to_string(missing) + ", shows " +
         std::to_string(other) + " with another value and " + std::to_string(extra) + " that were not there; the first: " + first->key_text() +
         Place(*first);
}

// What another check says besides, in its own words: it is often the cause.
std::string Cause(const Judgement& judgement) {
  for (const char* code : {"EXIT", "TSO", "COVER", "MVCC", "FILE", "LIVE"}) {
    for (const record::Finding& finding : judgement.findings) {
      if (finding.check() == code && finding.kind() != "success-over-part") {
        return " (" + finding.check() + ": " + finding.message() + ")";
      }
    }
  }
  return {};
}

void AddViewFindings(const std::vector<juicefs::ViewDifference>& differences, const std::string& check, const std::string& between,
                     record::DrillRecord* record) {
  record::CheckResult& result = *record->mutable_check()->rbegin();
  result.set_findings(differences.size());
  for (size_t i = 0; i < std::min(differences.size(), kFindingsKeptMax); ++i) {
    const juicefs::ViewDifference& difference = differences[i];
    record::Finding& finding = *record->add_finding();
    finding.set_check(check);
    finding.set_kind(difference.field == "entry" ? "entry" : "field");
    finding.set_message(between + ": " + difference.ToString());
    finding.set_path(difference.path);
    finding.set_inode(difference.inode.value());
    finding.set_field(difference.field);
    finding.set_expected(difference.left);
    finding.set_actual(difference.right);
    finding.set_expected_present(difference.left != "absent");
    finding.set_actual_present(difference.right != "absent");
  }
}

// What the kernel showed of both.
void JudgeWalks(const record::DrillEvidence& drill, const std::optional<DrillWalks>& walks, bool with_times, record::DrillRecord* record) {
  record::CheckResult& result = *record->add_check();
  result.set_check(kMount);
  result.set_unit("entries");
  if (!walks.has_value()) {
    result.set_unproven(drill.no_walks());
    record->add_unproven(std::string(kMount) + ": " + drill.no_walks());
    return;
  }
  juicefs::ViewDiffOptions options;
  options.compare_statfs = false;
  options.compare_times = with_times;
  const juicefs::ViewDiff diff = juicefs::DiffViews(walks->source, walks->target, options);
  result.set_counted(diff.entries_compared);
  result.set_fields(diff.fields_compared);
  record->set_regular_files(diff.files_compared);
  record->set_contents_compared(diff.contents_compared);
  AddViewFindings(diff.differences, kMount, "the mounts of the source at the cut and of the target differ", record);
  if (diff.files_compared > diff.contents_compared) {
    record->add_unproven(Number(diff.files_compared - diff.contents_compared, "file") + " of " + std::to_string(diff.files_compared) +
                         ": contents not read; their pieces were compared by name");
  }
}

// Of evidence that tells of rates. A tool that was faster than it was asked to be restored no other volume for that: what is same is then
// unproven, as under a fault that did not strike, since the drill was not the one asked for; no other outcome changes.
void JudgeRates(const record::DrillEvidence& drill, record::DrillRecord* record) {
  if (drill.rate().empty()) {
    return;
  }
  const Checked checked = CheckRates(drill.rate(), record->mutable_rate());
  *record->add_check() = checked.result;
  record->mutable_finding()->Add(checked.findings.begin(), checked.findings.end());
  if (!checked.findings.empty() && record->outcome() == record::DRILL_SAME) {
    record->set_outcome(record::DRILL_UNPROVEN);
    record->set_why("the limit was not kept: " + checked.findings.front().message() + "; " + record->why());
  }
}

void SetOutcome(record::DrillRecord* record, record::DrillOutcome outcome, const std::string& why) {
  record->set_outcome(outcome);
  record->set_why(why);
}

// A tool that did not say success. True if that settles the drill.
bool JudgeClaim(const record::DrillEvidence& drill, record::DrillRecord* record) {
  if (drill.timed_out()) {
    if (drill.stuck().empty()) {
      SetOutcome(record, record::DRILL_UNPROVEN, "the time limit passed while the tool was still getting on");
    } else {
      SetOutcome(record, record::DRILL_HANG, "the tool did not end and got on no more: " + drill.stuck());
    }
    return true;
  }
  if (drill.backup_ran() && drill.restore_ran()) {
    return false;
  }
  if (drill.backup_ran() && !drill.no_files().empty()) {
    SetOutcome(record, record::DRILL_FALSE_SUCCESS,
               "the backup said success and left nothing to restore: " + drill.no_files() + "; the restore says: " + drill.claim());
    return true;
  }
  const std::string phase = drill.backup_ran() ? "restore" : "backup";
  if (drill.trouble()) {
    SetOutcome(record, record::DRILL_HONEST_FAILURE, "the " + phase + " failed and said so: " + drill.claim());
  } else {
    SetOutcome(record, record::DRILL_DIFFERENT, "the " + phase + " failed although nothing went wrong: " + drill.claim());
  }
  return true;
}

void JudgeCopy(const record::DrillEvidence& drill, record::DrillRecord* record) {
  if (!drill.no_files().empty()) {
    SetOutcome(record, record::DRILL_UNPROVEN, "the tool said success, and what it wrote tells no cut: " + drill.no_files());
    return;
  }
  Evidence evidence = EvidenceFrom(drill);
  DecodeImages(&evidence);
  const Judgement judgement = Judge(evidence, ChecksOf(drill));
  record->mutable_check()->Assign(judgement.checks.begin(), judgement.checks.end());
  record->mutable_finding()->Assign(judgement.findings.begin(), judgement.findings.end());
  *record->mutable_scope() = judgement.scope;
  if (!judgement.findings.empty()) {
    SetOutcome(record, record::DRILL_FALSE_SUCCESS, "the tool said success; " + Difference(judgement, evidence) + Cause(judgement));
  } else if (!judgement.unproven.empty()) {
    record->mutable_unproven()->Assign(judgement.unproven.begin(), judgement.unproven.end());
    SetOutcome(record, record::DRILL_UNPROVEN, judgement.unproven.front());
  } else if (judgement.outcome == record::SAME) {
    SetOutcome(record, record::DRILL_SAME, {});
  } else {
    SetOutcome(record, record::DRILL_NOTHING, "nothing was there to be compared");
  }
}

std::string LossWords(const WindowJudgement& window) {
  for (const juicefs::ViewDifference& difference : window.differences) {
    const std::string loss = FormLoss(difference, std::nullopt);
    if (!loss.empty()) {
      return "the format loses " + loss + ": " + Printable(difference.path);
    }
  }
  return {};
}

std::vector<KeyChange> ChangesFrom(const record::DrillEvidence& drill) {
  std::vector<KeyChange> changes;
  for (const record::DrillEvidence::Change& change : drill.change()) {
    const Timestamp ts(change.commit_ts());
    changes.push_back({change.key(), change.deleted() ? std::nullopt : std::make_optional(Version{change.value(), Timestamp(change.start_ts()), ts}), ts});
  }
  return changes;
}

void JudgeRewrite(const record::DrillEvidence& drill, Result<WindowJudgement> judged, record::DrillRecord* record) {
  if (!judged.ok()) {
    SetOutcome(record, drill.has_target() ? record::DRILL_FALSE_SUCCESS : record::DRILL_UNPROVEN,
               "the tool said success; the target shows no volume: " + judged.status().message());
    return;
  }
  WindowJudgement window = *std::move(judged);
  Evidence evidence = EvidenceFrom(drill);
  record->set_cut_ts(window.best.value());
  evidence.source = std::move(window.source_at_best);
  evidence.cut = window.best;
  DecodeImages(&evidence);
  std::set<std::string> codes = ChecksOf(drill);
  codes.erase("TREE");
  const Judgement judgement = Judge(evidence, codes);
  record::CheckResult& tree = *record->add_check();
  tree.set_check("TREE");
  tree.set_unit("entries");
  tree.set_counted(window.entries_compared);
  tree.set_fields(window.fields_compared);
  AddViewFindings(window.differences, "TREE", "the source at " + std::to_string(window.best.value()) + " and the target differ", record);
  for (const record::CheckResult& result : judgement.checks) {
    *record->add_check() = result;
  }
  for (const record::Finding& finding : judgement.findings) {
    *record->add_finding() = finding;
  }
  *record->mutable_scope() = judgement.scope;
  record->mutable_scope()->set_entries_compared(window.entries_compared);
  record->mutable_scope()->set_fields_compared(window.fields_compared);
  record->add_unproven("keys: the tool writes the volume anew, so that they are not compared one by one");
  if (!window.differences.empty()) {
    std::string why = "the tool said success; ";
    why += window.torn.has_value() ? TornWords(window) : LossWords(window);
    if (!window.torn.has_value() && LossWords(window).empty()) {
      why += window.failure.empty() ? "nothing of the source's history shows " + window.differences.front().ToString() : window.failure;
    }
    SetOutcome(record, record::DRILL_FALSE_SUCCESS, why + "; " + Number(window.differences.size(), "difference") + " from the nearest of " +
                                                        Number(window.moments, "moment"));
  } else if (!judgement.findings.empty()) {
    SetOutcome(record, record::DRILL_FALSE_SUCCESS, "the tool said success; " + judgement.findings.front().check() + ": " +
                                                        judgement.findings.front().message());
  } else if (window.entries_compared == 0) {
    SetOutcome(record, record::DRILL_NOTHING, "nothing was there to be compared");
  } else {
    SetOutcome(record, record::DRILL_SAME, {});
  }
}

// Of everything that the verdict says and stands on; not of times and names of folders.
std::string DigestOf(const record::DrillEvidence& drill, const record::DrillRecord& record) {
  RollingDigest digest;
  digest.Add(static_cast<uint64_t>(record.outcome()));
  digest.Add(std::string_view(record.why()));
  digest.Add(drill.cut_ts());
  for (const auto* pairs : {&drill.source(), &drill.target().pair(), &drill.files().pair()}) {
    digest.Add(static_cast<uint64_t>(pairs->size()));
    for (const record::DrillEvidence::Pair& pair : *pairs) {
      digest.Add(std::string_view(pair.key()));
      digest.Add(std::string_view(pair.value()));
      digest.Add(pair.commit_ts());
    }
  }
  for (const record::CheckResult& result : record.check()) {
    digest.Add(std::string_view(result.check()));
    digest.Add(result.counted());
    digest.Add(result.findings());
    digest.Add(std::string_view(result.unproven()));
  }
  return digest.ToString();
}

}  // namespace

Result<WindowJudgement> WindowOf(const record::DrillEvidence& evidence) {
  if (!evidence.has_target()) {
    return Status::NotFound(evidence.no_target());
  }
  ASSIGN_OR_RETURN(const juicefs::View target, juicefs::BuildView(ImageOf(PairsFrom(evidence.target().pair()), evidence.volume())));
  return JudgeWindow(evidence.volume(), PairsFrom(evidence.source()), Timestamp(evidence.cut_ts()), ChangesFrom(evidence), target);
}

void AddPairs(const Pairs& pairs, google::protobuf::RepeatedPtrField<record::DrillEvidence::Pair>* to) {
  for (const auto& [key, version] : pairs) {
    record::DrillEvidence::Pair& pair = *to->Add();
    pair.set_key(key);
    pair.set_value(version.value);
    pair.set_start_ts(version.start_ts.value());
    pair.set_commit_ts(version.commit_ts.value());
  }
}

Pairs PairsFrom(const google::protobuf::RepeatedPtrField<record::DrillEvidence::Pair>& from) {
  Pairs pairs;
  for (const record::DrillEvidence::Pair& pair : from) {
    pairs[pair.key()] = Version{pair.value(), Timestamp(pair.start_ts()), Timestamp(pair.commit_ts())};
  }
  return pairs;
}

void JudgeDrill(const record::DrillEvidence& evidence, const std::optional<DrillWalks>& walks, record::DrillRecord* record,
                std::optional<Result<WindowJudgement>> window) {
  record->set_cut_ts(evidence.cut_ts());
  record->set_window_end_ts(evidence.window_end_ts());
  if (evidence.logical()) {
    record->set_window_start_ts(evidence.cut_ts());
  }
  if (!evidence.not_played().empty()) {
    SetOutcome(record, record::DRILL_UNPROVEN, "the drill itself could not go on: " + evidence.not_played());
  } else if (!JudgeClaim(evidence, record)) {
    if (evidence.logical()) {
      JudgeRewrite(evidence, window.has_value() ? *std::move(window) : WindowOf(evidence), record);
    } else {
      JudgeCopy(evidence, record);
    }
    JudgeWalks(evidence, walks, true, record);
    const record::CheckResult& mounts = *record->check().rbegin();
    if (record->outcome() == record::DRILL_SAME && mounts.findings() > 0) {
      SetOutcome(record, record::DRILL_FALSE_SUCCESS, "the tool said success and the keys agree; " + record->finding().rbegin()->message());
    } else if (record->outcome() == record::DRILL_SAME && !mounts.unproven().empty()) {
      SetOutcome(record, record::DRILL_UNPROVEN, "the keys agree, and no two mounts were compared: " + mounts.unproven());
    } else if (record->outcome() == record::DRILL_SAME) {
      const std::string keys = evidence.logical() ? std::string() : Number(record->scope().keys_compared(), "key") + " and ";
      SetOutcome(record, record::DRILL_SAME,
                 keys + Number(record->scope().entries_compared(), "entry") + " agree, and two mounts show the same " +
                     Number(mounts.counted(), "entry"));
    }
    JudgeRates(evidence, record);
  }
  if (evidence.fault_missed() && record->outcome() == record::DRILL_SAME) {
    SetOutcome(record, record::DRILL_UNPROVEN, "the fault did not strike; " + record->why());
  }
  record->set_digest(DigestOf(evidence, *record));
}

}  // namespace kvjury::judge
