// WRITE and GC: the restored volume in use, by sessions and by cleaners.
#include <fmt/format.h>

#include "harness/judge/check_blocks.h"
#include "harness/judge/checks.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/view_diff.h"

namespace kvjury::judge {

namespace {

using juicefs::View;
using juicefs::ViewEntry;

bool IsBelow(const Bytes& path, const Bytes& directory) {
  return path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 && path[directory.size()] == '/';
}

bool IsInTrash(const Bytes& path) { return path == juicefs::kTrashName || IsBelow(path, juicefs::kTrashName); }

// True for a path that operations named and for all below it; for the directories of named paths, whose times and link counts change; and
// for the trash.
bool IsNamed(const Bytes& path, const std::set<Bytes>& named, const std::set<Bytes>& directories) {
  if (path == "." || IsInTrash(path) || named.count(path) > 0 || directories.count(path) > 0) {
    return true;
  }
  for (size_t slash = path.find('/'); slash != Bytes::npos; slash = path.find('/', slash + 1)) {
    if (named.count(path.substr(0, slash)) > 0) {
      return true;
    }
  }
  return false;
}

// The paths of `before` that no operation can have changed: not named, and no other name of a file that was.
std::set<Bytes> Untouched(const View& before, const std::set<Bytes>& named) {
  std::set<Bytes> directories;
  for (const Bytes& path : named) {
    if (const size_t slash = path.rfind('/'); slash != Bytes::npos) {
      directories.insert(path.substr(0, slash));
    }
  }
  std::set<Inode> touched;
  for (const auto& [path, entry] : before.entries) {
    if (IsNamed(path, named, directories)) {
      touched.insert(entry.inode);
    }
  }
  std::set<Bytes> untouched;
  for (const auto& [path, entry] : before.entries) {
    if (!IsNamed(path, named, directories) && touched.count(entry.inode) == 0) {
      untouched.insert(path);
    }
  }
  return untouched;
}

View Only(const View& view, const std::set<Bytes>& paths) {
  View part;
  for (const Bytes& path : paths) {
    if (const auto found = view.entries.find(path); found != view.entries.end()) {
      part.entries.insert(*found);
    }
  }
  return part;
}

void AddDifferences(const juicefs::ViewDiff& diff, const std::string& kind, const std::string& what, Recorder* recorder) {
  recorder->Count(diff.entries_compared);
  recorder->CountFields(diff.fields_compared);
  for (const juicefs::ViewDifference& difference : diff.differences) {
    record::Finding* finding = recorder->Add(kind, what + ": " + difference.ToString());
    finding->set_path(difference.path);
    finding->set_inode(difference.inode.value());
    finding->set_field(difference.field);
    finding->set_expected(difference.left);
    finding->set_actual(difference.right);
    finding->set_lost_at(record::LOST_AT_TARGET);
  }
}

juicefs::ViewDiffOptions WithoutUsage() {
  juicefs::ViewDiffOptions options;
  options.compare_statfs = false;
  return options;
}

// Every id that was issued on the restored volume is a new one.
void CheckIds(const AfterlifeEvidence& afterlife, Recorder* recorder) {
  std::map<std::pair<bool, uint64_t>, const IssuedId*> first;
  std::set<uint64_t> used_slices;
  for (const juicefs::SliceName& slice : juicefs::SlicesOf(afterlife.begun)) {
    used_slices.insert(slice.id);
  }
  for (const IssuedId& issued : afterlife.issued) {
    const auto [at, added] = first.try_emplace({issued.is_slice, issued.id}, &issued);
    if (issued.at_source) {
      continue;
    }
    recorder->Count();
    const std::string what = fmt::format("{} {}, which {} used for something new on the restored volume,",
                                         issued.is_slice ? "slice id" : "inode number", issued.id, issued.session);
    record::Finding* finding = nullptr;
    if (!added) {
      const std::string before = at->second->at_source ? " before the restore" : "";
      finding = recorder->Add("id-issued-twice", fmt::format("{} was issued to {}{} already", what, at->second->session, before));
    } else if (issued.is_slice ? used_slices.count(issued.id) > 0 : afterlife.begun.inodes.count(Inode(issued.id)) > 0) {
      finding = recorder->Add("id-in-use", what + " is in use there");
    }
    if (finding != nullptr) {
      finding->set_inode(issued.is_slice ? 0 : issued.id);
      finding->set_lost_at(record::LOST_AT_TARGET);
    }
  }
}

// Violations that were not there before the sessions came.
void CheckInvariantsAfter(const AfterlifeEvidence& afterlife, Recorder* recorder) {
  // A clone copies a directory's link count before its entries, so that other sessions' work may leave a wrong one behind: a hazard.
  juicefs::InvariantOptions options;
  options.skipped_directory_nlink = true;
  std::set<std::string> known;
  for (const juicefs::InvariantResult& result : juicefs::CheckInvariants(afterlife.begun, options)) {
    for (const juicefs::InvariantIssue& issue : result.issues) {
      known.insert(result.name + issue.ToString());
    }
  }
  for (const juicefs::InvariantResult& result : juicefs::CheckInvariants(afterlife.worked, options)) {
    for (const juicefs::InvariantIssue& issue : result.issues) {
      if (issue.severity != juicefs::IssueSeverity::kViolation || known.count(result.name + issue.ToString()) > 0) {
        continue;
      }
      record::Finding* finding = recorder->Add("invariant-" + result.name, "after sessions worked on the restored volume: " + issue.ToString());
      finding->set_inode(issue.inode.value());
      finding->set_lost_at(record::LOST_AT_TARGET);
    }
  }
}

// Removed files go into hour directories of the trash, which only their expiry takes away; elsewhere an entry without its directory may be
// the write skew of two clients, and is a hazard.
void CheckTrashEntries(const AfterlifeEvidence& afterlife, Recorder* recorder) {
  for (const auto& [directory, entries] : afterlife.worked.dentries) {
    if (!juicefs::IsTrash(directory) || directory == juicefs::kTrashInode) {
      continue;
    }
    recorder->Count(entries.size());
    if (entries.empty() || afterlife.worked.inodes.count(directory) > 0 || afterlife.begun.dentries.count(directory) > 0) {
      continue;
    }
    record::Finding* finding = recorder->Add(
        "removed-into-nowhere", fmt::format("{} removed entries, the first {}, went into the trash's directory {}, which was not restored",
                                            entries.size(), Printable(entries.begin()->first), directory.value()));
    finding->set_inode(directory.value());
    finding->set_lost_at(record::LOST_AT_TARGET);
  }
}

void CheckPairsAfterGc(const AfterlifeEvidence& afterlife, Recorder* recorder) {
  const auto add = [recorder](const Bytes& key, const std::string& what) {
    record::Finding* finding = recorder->Add("pair-changed-by-gc", KeyText(key) + " " + what + " by GC and compaction");
    finding->set_key(key);
    finding->set_key_text(KeyText(key));
    finding->set_lost_at(record::LOST_AT_TARGET);
  };
  for (const auto& [key, version] : afterlife.before_gc) {
    recorder->Count();
    const auto after = afterlife.after_gc.find(key);
    if (after == afterlife.after_gc.end()) {
      add(key, "was taken away");
    } else if (after->second.value != version.value) {
      add(key, "was changed");
    }
  }
  for (const auto& [key, version] : afterlife.after_gc) {
    if (afterlife.before_gc.count(key) == 0) {
      add(key, "was brought up");
    }
  }
}

// What the trash's expiry may change outside of it: a file of which one name was in the trash loses a link.
void LevelLinksOfTrash(const View& worked, View* before, View* after) {
  std::set<Inode> in_trash;
  for (const auto& [path, entry] : worked.entries) {
    if (IsInTrash(path)) {
      in_trash.insert(entry.inode);
    }
  }
  for (View* view : {before, after}) {
    for (auto& [path, entry] : view->entries) {
      if (in_trash.count(entry.inode) > 0) {
        entry.nlink = 0;
        entry.ctime_ns = 0;
      }
    }
  }
}

std::set<Bytes> OutsideTrash(const View& left, const View& right) {
  std::set<Bytes> paths;
  for (const View* view : {&left, &right}) {
    for (const auto& [path, entry] : view->entries) {
      if (!IsInTrash(path)) {
        paths.insert(path);
      }
    }
  }
  return paths;
}

}  // namespace

Checked CheckWrite(const Evidence& evidence) {
  Recorder recorder("WRITE", "entries and ids");
  if (!evidence.afterlife.has_value()) {
    recorder.Unproven("the restored volume was not used");
    return recorder.Take();
  }
  const AfterlifeEvidence& afterlife = *evidence.afterlife;
  for (const std::string& trouble : afterlife.troubles) {
    recorder.Add("step-failed", trouble)->set_lost_at(record::LOST_AT_TARGET);
  }
  const Result<View> begun = juicefs::BuildView(afterlife.begun);
  const Result<View> worked = juicefs::BuildView(afterlife.worked);
  if (!begun.ok() || !worked.ok()) {
    recorder.Add("no-volume", "the target in use shows no volume: " + (begun.ok() ? worked : begun).status().message());
    return recorder.Take();
  }
  std::set<Bytes> untouched = Untouched(*begun, afterlife.named);
  AddDifferences(juicefs::DiffViews(Only(*begun, untouched), Only(*worked, untouched), WithoutUsage()), "untouched-entry",
                 "an entry that no operation named differs from what was restored", &recorder);
  AddDifferences(juicefs::DiffViews(afterlife.model_view, *worked, WithoutUsage()), "declared-entry",
                 "what the sessions declared and what the restored volume shows differ", &recorder);
  for (const std::string& anomaly : afterlife.model_anomalies) {
    recorder.Add("contradiction", "a session found what was not restored: " + anomaly)->set_lost_at(record::LOST_AT_TARGET);
  }
  CheckIds(afterlife, &recorder);
  CheckInvariantsAfter(afterlife, &recorder);
  CheckTrashEntries(afterlife, &recorder);
  return recorder.Take();
}

Checked CheckGc(const Evidence& evidence) {
  Recorder recorder("GC", "pairs, entries and blocks");
  if (!evidence.afterlife.has_value()) {
    recorder.Unproven("the restored volume was not used");
    return recorder.Take();
  }
  const AfterlifeEvidence& afterlife = *evidence.afterlife;
  CheckPairsAfterGc(afterlife, &recorder);
  const Result<View> worked = juicefs::BuildView(afterlife.worked);
  const Result<View> cleaned = juicefs::BuildView(afterlife.cleaned);
  if (!worked.ok() || !cleaned.ok()) {
    recorder.Add("no-volume", "the target shows no volume after the cleaners: " + (worked.ok() ? cleaned : worked).status().message());
    return recorder.Take();
  }
  const std::set<Bytes> outside = OutsideTrash(*worked, *cleaned);
  View before = Only(*worked, outside);
  View after = Only(*cleaned, outside);
  LevelLinksOfTrash(*worked, &before, &after);
  AddDifferences(juicefs::DiffViews(before, after, WithoutUsage()), "entry-changed-by-cleaners", "the cleaners changed an entry", &recorder);
  CheckBlocks(evidence, afterlife.cleaned, afterlife.objects_left, {"block-deleted-by-cleaners", "after the cleaners"}, &recorder);
  return recorder.Take();
}

}  // namespace kvjury::judge
