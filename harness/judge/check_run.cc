// EXIT, LIVE, TSO and STATE: the tool's words against facts, and whether the target can be used.
#include "harness/judge/checks.h"

namespace kvjury::judge {

Checked CheckExit(const Evidence& evidence) {
  Recorder recorder("EXIT", "claims");
  recorder.Count();
  const ToolClaim& claim = evidence.claim;
  if (!claim.success) {
    if (!evidence.trouble) {
      recorder.Add("failed-without-cause", "the tool failed although nothing went wrong: " + claim.message);
    }
    return recorder.Take();
  }
  if (evidence.rewrite.has_value()) {
    recorder.Count();
    const uint64_t dumped = evidence.rewrite->entries_dumped;
    const uint64_t loaded = evidence.rewrite->entries_loaded;
    if (dumped != loaded) {
      recorder.Add("entry-count", "the dump spoke of " + std::to_string(dumped) + " entries, the load of " + std::to_string(loaded));
    }
    if (claim.keys == 0) {
      recorder.Add("success-over-nothing", "the load said success over 0 keys");
    }
    return recorder.Take();
  }
  if (claim.keys == 0 && !evidence.source.empty()) {
    recorder.Add("success-over-nothing", "the tool said success over 0 keys while the source held " +
                                             std::to_string(evidence.source.size()) + " at the cut");
  } else if (claim.keys < evidence.source.size()) {
    recorder.Add("success-over-part", "the tool said success over " + std::to_string(claim.keys) +
                                          " keys while the source held " + std::to_string(evidence.source.size()) +
                                          " at the cut");
  }
  if (evidence.files.has_value()) {
    recorder.Count();
    if (claim.files != evidence.files->files.size()) {
      recorder.Add("file-count", "the tool spoke of " + std::to_string(claim.files) + " files, the manifest names " +
                                     std::to_string(evidence.files->files.size()));
    }
  }
  return recorder.Take();
}

Checked CheckLive(const Evidence& evidence) {
  Recorder recorder("LIVE", "runs and ranges");
  recorder.Count();
  if (!evidence.hang.empty()) {
    recorder.Add("hang", evidence.hang);
  }
  for (const std::string& range : evidence.unreadable_ranges) {
    recorder.Count();
    recorder.Add("unreadable", range)->set_lost_at(record::LOST_AT_TARGET);
  }
  if (evidence.target.has_value()) {
    recorder.Count();
  }
  return recorder.Take();
}

Checked CheckTso(const Evidence& evidence) {
  Recorder recorder("TSO", "timestamps");
  if (!evidence.claim.restore_ran) {
    recorder.Unproven("nothing was restored");
    return recorder.Take();
  }
  Timestamp restored_max = evidence.cut;
  for (const auto& [key, version] : evidence.source) {
    restored_max = std::max(restored_max, version.commit_ts);
  }
  for (Timestamp ts : evidence.target_timestamps) {
    recorder.Count();
    if (ts > restored_max) {
      continue;
    }
    record::Finding* finding =
        recorder.Add("clock-behind", "the target gives the timestamp " + std::to_string(ts.value()) +
                                         ", not above the restored " + std::to_string(restored_max.value()) + " (" +
                                         std::to_string(restored_max.physical_ms() - ts.physical_ms()) +
                                         " ms behind): readers see an older file system");
    finding->set_actual_ts(ts.value());
    finding->set_expected_ts(restored_max.value());
    finding->set_lost_at(record::LOST_AT_TARGET);
  }
  if (evidence.afterlife.has_value()) {
    Timestamp last = restored_max;
    for (const Timestamp ts : evidence.afterlife->timestamps) {
      recorder.Count();
      if (ts <= last) {
        record::Finding* finding = recorder.Add("clock-went-back", "the target in use gave the timestamp " + std::to_string(ts.value()) +
                                                                      ", not above " + std::to_string(last.value()) + " before it");
        finding->set_actual_ts(ts.value());
        finding->set_expected_ts(last.value());
        finding->set_lost_at(record::LOST_AT_TARGET);
      }
      last = std::max(last, ts);
    }
  }
  if (evidence.target_timestamps.empty()) {
    recorder.Unproven("the target gave no timestamp");
  }
  return recorder.Take();
}

Checked CheckState(const Evidence& evidence) {
  Recorder recorder("STATE", "region boundaries");
  if (!evidence.target_records.has_value()) {
    recorder.Unproven("nothing was restored");
    return recorder.Take();
  }
  recorder.Count(evidence.target_records->boundaries_checked);
  for (const Bytes& boundary : evidence.target_records->undecodable_boundaries) {
    record::Finding* finding = recorder.Add(
        "boundary", "the region boundary " + ToHex(boundary) + " is not memcomparable: transactional clients fail on it");
    finding->set_key(boundary);
    finding->set_lost_at(record::LOST_AT_TARGET);
  }
  return recorder.Take();
}

namespace {

bool AsksForAfterlife(const Evidence& evidence) { return evidence.afterlife_asked; }

}  // namespace

const std::vector<CheckInfo>& AllChecks() {
  static const std::vector<CheckInfo> kChecks = {
      {"COVER", "the answered ranges tile the key space at one timestamp, and every key lies in a file's range",
       &CheckCover},
      {"FILE", "each stored file has the length, digests and counts that the manifest records", &CheckFile},
      {"MVCC", "every commit has its value and every value its commit, in the files and on the target", &CheckMvcc},
      {"DIFF", "every pair visible at the cut is visible on the target with the same bytes, both ways", &CheckDiff},
      {"TREE", "the views of model, source at the cut and target are the same in every field, both ways", &CheckTree},
      {"INV", "the invariants of a JuiceFS volume hold on the target", &CheckInvariants},
      {"OBJ", "every block that the restored volume needs is in the bucket, and none lies under an id that it will issue", &CheckObjects},
      {"HIST", "the cut is consistent: acknowledged work below it is there, nothing above it, transactions whole",
       &CheckHistory},
      {"EXIT", "the tool's words agree with measured facts", &CheckExit},
      {"LIVE", "the run ended within its bounds and all of the target can be read", &CheckLive},
      {"TSO", "the target's timestamps exceed the cut and every restored commit", &CheckTso},
      {"STATE", "the target's region boundaries can be decoded", &CheckState},
      {"WRITE", "sessions new and old work on the restored volume: what they did not name stays, no id is issued twice", &CheckWrite, &AsksForAfterlife},
      {"GC", "neither GC and compaction nor the cleaners take anything away that the restored volume needs", &CheckGc, &AsksForAfterlife},
  };
  return kChecks;
}

const std::vector<DrillCheckInfo>& DrillChecks() {
  static const std::vector<DrillCheckInfo> kChecks = {
      {"MOUNT", "two kernel mounts, of the source at the cut and of the target, show the same entries, field by field"},
      {"RATE", "no phase moved bytes through a store faster than the limit asked for"},
  };
  return kChecks;
}

}  // namespace kvjury::judge
