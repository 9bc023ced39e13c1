// A drill: a live volume is backed up by a real tool, restored, and judged by keys and by two kernel mounts side by side.
//
//   source cluster with the volume, mounted, writers at work -> the tool's backup, while the fault strikes -> writers end -> the tool's
//   restore into a fresh cluster -> evidence: source at the cut, files, target -> mounts of source at the cut and of target -> verdict
// All evidence is kept in the drill's folder, and judged again from there by ReplayDrill, without the tool.
// Not modelled: a target that is used while the restore runs. Runs inside a confinement. Blocks.
#pragma once

#include "harness/tools/drill_recording.h"
#include "harness/tools/drill_site.h"

namespace kvjury::tools {

/// Files of a drill's folder.
inline constexpr char kDrillEvidenceFile[] = "evidence.pb.zst";
inline constexpr char kDrillRecordFile[] = "drill.json";
inline constexpr char kSourceKeysFile[] = "source-at-the-cut.kv.gz";
inline constexpr char kTargetKeysFile[] = "target.kv.gz";
inline constexpr char kSourceWalkFile[] = "mount-source.jsonl";
inline constexpr char kTargetWalkFile[] = "mount-target.jsonl";

/// Which drill it is of, and nothing else yet.
record::DrillRecord BeginRecord(const record::Recipe& recipe, const record::DrillFault& fault, uint32_t number);

/// The record is complete whatever happens; what the drill itself could not do is UNPROVEN with the reason.
record::DrillRecord RunDrill(const DrillOptions& options);

struct DrillReplay {
  record::DrillRecord record;
  PlayedCalls played;
};
/// Plays the recordings in a drill's folder and judges its evidence again. Errors: kNotFound, kDataLoss, kEnvironment naming the file; kConflict
/// when a call is answered in another way than it was, or the clusters are not what the evidence says.
Result<DrillReplay> ReplayDrill(const std::string& folder);

/// Reads and writes the record of a drill's folder. Errors as above.
Result<record::DrillRecord> ReadDrillRecord(const std::string& folder);
Status WriteDrillRecord(const std::string& folder, const record::DrillRecord& record);

}  // namespace kvjury::tools
