// COVER and FILE: was everything asked for and answered, and are the stored objects those that the manifest names.
#include <algorithm>

#include "harness/judge/checks.h"

namespace kvjury::judge {

namespace {

std::string RangeText(std::string_view start, std::string_view end) {
  return "[" + KeyText(start) + ", " + (end.empty() ? std::string("unbounded") : KeyText(end)) + ")";
}

// The claimed ranges must tile ["", unbounded) exactly.
void CheckTiling(const Evidence& evidence, Recorder* recorder) {
  std::vector<ClaimedRange> ranges = evidence.claimed_ranges;
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const ClaimedRange& a, const ClaimedRange& b) { return a.start < b.start; });
  Bytes next;
  bool unbounded = false;
  for (const ClaimedRange& range : ranges) {
    recorder->Count();
    if (unbounded || range.start < next) {
      recorder->Add("overlap", "the claimed range " + RangeText(range.start, range.end) + " overlaps its left neighbour")
          ->set_key(range.start);
    } else if (range.start > next) {
      recorder->Add("hole", "no answer covers " + RangeText(next, range.start))->set_key(next);
    }
    if (range.end.empty()) {
      unbounded = true;
    } else if (range.end > next) {
      next = range.end;
    }
    if (range.end_ts != evidence.cut) {
      record::Finding* finding =
          recorder->Add("two-timestamps", "the range " + RangeText(range.start, range.end) + " was read at " +
                                              std::to_string(range.end_ts.value()) + " and not at the cut " +
                                              std::to_string(evidence.cut.value()));
      finding->set_key(range.start);
      finding->set_region_id(range.region.value());
      finding->set_actual_ts(range.end_ts.value());
      finding->set_expected_ts(evidence.cut.value());
    }
  }
  if (!unbounded) {
    recorder->Add("hole", "no answer covers " + RangeText(next, ""))->set_key(next);
  }
}

// A key that is visible at the cut lies inside some file's range, or nobody can have saved it.
void CheckKeysInsideFiles(const Evidence& evidence, Recorder* recorder) {
  std::vector<std::pair<Bytes, Bytes>> ranges;
  for (const ManifestFile& file : evidence.files->files) {
    ranges.emplace_back(file.start, file.end);
  }
  std::stable_sort(ranges.begin(), ranges.end());
  size_t at = 0;
  Bytes covered_to;
  bool covered_unbounded = false;
  bool any = false;
  for (const auto& [key, version] : evidence.source) {
    while (at < ranges.size() && ranges[at].first <= key) {
      any = true;
      covered_unbounded = covered_unbounded || ranges[at].second.empty();
      covered_to = std::max(covered_to, ranges[at].second);
      ++at;
    }
    if (any && (covered_unbounded || key < covered_to)) {
      continue;
    }
    record::Finding* finding =
        recorder->Add("key-outside-files", KeyText(key) + " is visible at the cut and lies in no file's range");
    DescribeKeyInto(evidence, key, version.start_ts, finding);
    finding->set_expected_ts(version.commit_ts.value());
  }
}

}  // namespace

Checked CheckCover(const Evidence& evidence) {
  Recorder recorder("COVER", "ranges");
  if (!evidence.claim.backup_ran) {
    recorder.Unproven("no backup ended");
    return recorder.Take();
  }
  if (!evidence.by_real_programs) {
    CheckTiling(evidence, &recorder);
  }
  if (!evidence.files.has_value()) {
    recorder.Unproven("the backup files could not be read");
    return recorder.Take();
  }
  if (evidence.by_real_programs) {
    recorder.Count(evidence.files->files.size());
  }
  for (const ManifestFile& file : evidence.files->files) {
    if (file.end_version != evidence.cut) {
      record::Finding* finding = recorder.Add("two-timestamps", "the file " + file.name + " ends at " +
                                                                    std::to_string(file.end_version.value()) +
                                                                    " and not at the cut");
      finding->set_file(file.name);
      finding->set_actual_ts(file.end_version.value());
      finding->set_expected_ts(evidence.cut.value());
    }
  }
  CheckKeysInsideFiles(evidence, &recorder);
  return recorder.Take();
}

Checked CheckFile(const Evidence& evidence) {
  Recorder recorder("FILE", "files");
  if (!evidence.files.has_value()) {
    recorder.Unproven("the backup files could not be read");
    return recorder.Take();
  }
  recorder.Count(evidence.files->files.size());
  for (const record::Finding& finding : evidence.files->findings) {
    if (finding.check() == "FILE") {
      recorder.Add(finding);
    }
  }
  return recorder.Take();
}

}  // namespace kvjury::judge
