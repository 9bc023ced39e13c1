// TREE and INV: what a mount shows, and what must fit together in a volume.
#include <set>

#include "harness/judge/check_rewrite.h"
#include "harness/judge/checks.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::judge {

namespace {

// The records that decide a field of an entry, for naming the key in a finding.
Bytes KeyOfField(const Evidence& evidence, Inode inode, const std::string& field) {
  const Bytes prefix = juicefs::VolumePrefix(evidence.volume);
  if (field == "content") {
    return prefix + juicefs::EncodeKey(juicefs::ChunkKey(inode, 0));
  }
  if (field == "target") {
    return prefix + juicefs::EncodeKey(juicefs::SymlinkKey(inode));
  }
  constexpr std::string_view kXattr = "xattrs.";
  if (field.compare(0, kXattr.size(), kXattr) == 0) {
    return prefix + juicefs::EncodeKey(juicefs::XattrKey(inode, field.substr(kXattr.size())));
  }
  return prefix + juicefs::EncodeKey(juicefs::AttrKey(inode));
}

// Adds one finding per differing field. `left` is what should be there.
void AddDifferences(const Evidence& evidence, const juicefs::ViewDiff& diff, const std::string& left,
                    const std::string& right, record::LostAt lost_at, Recorder* recorder) {
  for (const juicefs::ViewDifference& difference : diff.differences) {
    record::Finding* finding = recorder->Add(
        difference.field == "entry" ? "entry" : "field",
        left + " and " + right + " differ: " + difference.ToString());
    finding->set_path(difference.path);
    finding->set_field(difference.field);
    finding->set_expected(difference.left);
    finding->set_actual(difference.right);
    finding->set_expected_present(difference.left != "absent");
    finding->set_actual_present(difference.right != "absent");
    finding->set_lost_at(lost_at);
    if (difference.inode.valid()) {
      const Bytes key = KeyOfField(evidence, difference.inode, difference.field);
      Timestamp written;
      if (auto found = evidence.source.find(key); found != evidence.source.end()) {
        written = found->second.start_ts;
        finding->set_expected_ts(found->second.commit_ts.value());
      }
      DescribeKeyInto(evidence, key, written, finding);
    }
  }
}

// Locks and open files that were deleted wait for their session to end: one whose records were lost never does. Sessions of clients that are
// gone are legal, and so is what the source had lost already.
void CheckSessionsKept(const Evidence& evidence, Recorder* recorder) {
  const juicefs::VolumeImage& source = *evidence.source_image;
  const juicefs::VolumeImage& target = *evidence.target_image;
  const auto known = [](const juicefs::VolumeImage& image, uint64_t session) {
    return image.session_expiries.count(session) + image.session_infos.count(session) + image.session_heartbeats.count(session) > 0;
  };
  const auto look = [&](uint64_t session, const juicefs::Key& key, const std::string& what) {
    recorder->Count();
    if (known(target, session) || !known(source, session)) {
      return;
    }
    const bool by_form = evidence.rewrite.has_value() && evidence.rewrite->form.binary;
    record::Finding* finding = recorder->Add(by_form ? "form-loss" : "without-session", juicefs::DescribeKey(key) + ": " + what + " of session " +
                                             std::to_string(session) + ", whose own records are gone: nobody ever ends it" +
                                             (by_form ? "; the form loses sessions" : ""));
    finding->set_inode(key.inode.value());
    DescribeKeyInto(evidence, juicefs::VolumePrefix(evidence.volume) + juicefs::EncodeKey(key), Timestamp(), finding);
  };
  for (const auto& [session, inode] : target.sustained) {
    look(session, juicefs::SustainedKey(session, inode), "an open file that was deleted,");
  }
  for (const auto& [inode, locks] : target.flocks) {
    for (const juicefs::Flock& lock : locks) {
      look(lock.session, juicefs::FlocksKey(inode), "a lock");
    }
  }
  for (const auto& [inode, locks] : target.plocks) {
    for (const juicefs::Plock& lock : locks) {
      look(lock.session, juicefs::PlocksKey(inode), "a lock");
    }
  }
}

// At rest, after a repair, the counters are what the tree adds up to: facts that hold at no other time.
void CheckUsage(const Evidence& evidence, Recorder* recorder) {
  if (!evidence.afterlife.has_value() || !evidence.afterlife->usage_is_exact) {
    return;
  }
  const juicefs::VolumeImage& image = evidence.afterlife->worked;
  const juicefs::CountedUsage counted = juicefs::CountUsage(image);
  for (const auto& [counter, expected] : {std::pair("usedSpace", counted.space), std::pair("totalInodes", counted.inodes)}) {
    recorder->Count();
    if (image.Counter(counter) != expected) {
      record::Finding* finding = recorder->Add(
          "usage-at-rest", std::string("after a repair and when all sessions had unmounted, ") + counter + " is " +
                               std::to_string(image.Counter(counter)) + ", and the inodes add up to " + std::to_string(expected));
      finding->set_expected(std::to_string(expected));
      finding->set_actual(std::to_string(image.Counter(counter)));
      finding->set_lost_at(record::LOST_AT_TARGET);
    }
  }
}

}  // namespace

Checked CheckTree(const Evidence& evidence) {
  Recorder recorder("TREE", "entries");
  if (!evidence.source_image.has_value() || (!evidence.model_view.has_value() && !evidence.by_real_programs)) {
    recorder.Unproven("the model or the source at the cut is missing");
    return recorder.Take();
  }
  const Result<juicefs::View> source = juicefs::BuildView(*evidence.source_image);
  if (!source.ok()) {
    recorder.Add("no-volume", "the source shows no volume at the cut: " + source.status().message())
        ->set_lost_at(record::LOST_AT_SOURCE);
    return recorder.Take();
  }
  if (evidence.model_view.has_value()) {
    // The model has no usage counters: eventual values are compared between source and target only.
    juicefs::ViewDiffOptions model_options;
    model_options.compare_statfs = false;
    juicefs::ViewDiff by_model = juicefs::DiffViews(*evidence.model_view, *source, model_options);
    // The automatic backup keeps its own clock there (legal: lastbackup-xattr).
    std::erase_if(by_model.differences, [](const juicefs::ViewDifference& difference) { return difference.field == "xattrs.lastBackup"; });
    recorder.Count(by_model.entries_compared);
    recorder.CountFields(by_model.fields_compared);
    AddDifferences(evidence, by_model, "the model", "the source at the cut", record::LOST_AT_SOURCE, &recorder);
  }

  if (!evidence.target_image.has_value()) {
    recorder.Unproven("nothing was restored");
    return recorder.Take();
  }
  const Result<juicefs::View> target = juicefs::BuildView(*evidence.target_image);
  if (!target.ok()) {
    recorder.Add("no-volume", "the target shows no volume: " + target.status().message());
    return recorder.Take();
  }
  if (evidence.rewrite.has_value()) {
    CompareRewrittenTree(evidence, &recorder);
    return recorder.Take();
  }
  const juicefs::ViewDiff by_target = juicefs::DiffViews(*source, *target);
  recorder.Count(by_target.entries_compared);
  recorder.CountFields(by_target.fields_compared);
  AddDifferences(evidence, by_target, "the source at the cut", "the target", record::LOST_AT_UNKNOWN, &recorder);
  return recorder.Take();
}

Checked CheckInvariants(const Evidence& evidence) {
  Recorder recorder("INV", "invariants' subjects");
  if (!evidence.target_image.has_value() || !evidence.source_image.has_value()) {
    recorder.Unproven("nothing was restored");
    return recorder.Take();
  }
  // What the source broke at the cut already is a hazard of its clients, not damage of the restore.
  std::set<std::string> known;
  for (const juicefs::InvariantResult& result : juicefs::CheckInvariants(*evidence.source_image)) {
    for (const juicefs::InvariantIssue& issue : result.issues) {
      known.insert(result.name + issue.ToString());
    }
  }
  juicefs::InvariantOptions options;
  options.after_binary_load = evidence.rewrite.has_value() && evidence.rewrite->form.binary;
  for (const juicefs::InvariantResult& result : juicefs::CheckInvariants(*evidence.target_image, options)) {
    recorder.Count(result.counted);
    for (const juicefs::InvariantIssue& issue : result.issues) {
      if (issue.severity != juicefs::IssueSeverity::kViolation || known.count(result.name + issue.ToString()) > 0) {
        continue;
      }
      // A binary dump holds the tree of a half-made clone and not its mark.
      const bool lost_mark = options.after_binary_load && evidence.source_image->detached.count(issue.inode) > 0 &&
                             (result.name == juicefs::kInvariantReachable || result.name == juicefs::kInvariantDirectoryNlink);
      record::Finding* finding = lost_mark ? recorder.Add("form-loss", issue.ToString() + "; the form loses the marks of half-made clones")
                                           : recorder.Add("invariant-" + result.name, issue.ToString());
      finding->set_inode(issue.inode.value());
      if (!issue.key.empty()) {
        const Bytes key = juicefs::VolumePrefix(evidence.volume) + issue.key;
        DescribeKeyInto(evidence, key, Timestamp(), finding);
      }
    }
  }
  CheckSessionsKept(evidence, &recorder);
  if (evidence.rewrite.has_value()) {
    CheckIdsOfTrash(evidence, &recorder);
  }
  CheckUsage(evidence, &recorder);
  return recorder.Take();
}

}  // namespace kvjury::judge
