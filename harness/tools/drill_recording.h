// What a drill's clusters say of themselves as evidence, and the drill's recordings: the same clusters made again from all that reached them.
//
// A drill's folder keeps a recording of each cluster (fakes/ports/recorder.h) and a line for each call with the digest of its answer. Played
// again, without the tool, mounts and ports, every line must be what it was, and the clusters must say of themselves what is in the evidence.
// Not played again: what mounts showed, and the files of the backup, of which stores' files are compared as they are written.
#pragma once

#include <string>

#include "fakes/base/status.h"
#include "fakes/tikv/cluster.h"
#include "proto/kvjury/drill.pb.h"

namespace kvjury::tools {

/// Marks in the recordings: here the source was read, here the target.
inline constexpr char kSourceMark[] = "the source is read";
inline constexpr char kTargetMark[] = "the target is read";

/// Of "source" or "target": files of a drill's folder. Calls also of "s3", which are told and not played: what stores got of it is in the recordings.
std::string RecordingFile(const std::string& cluster);
std::string CallsFile(const std::string& cluster);

/// The source at the evidence's cut, and its changes up to the end of the window. From its own memory, where GC has removed nothing.
void ReadSource(tikv::Cluster* source, record::DrillEvidence* evidence);
/// The records and boundaries of the target.
void ReadTargetRecords(tikv::Cluster* target, record::DrillEvidence* evidence);

struct PlayedCalls {
  /// 0: there is no recording.
  uint64_t clusters = 0;
  uint64_t calls = 0;
  uint64_t inputs = 0;
  /// In virtual time, of the longer one.
  Micros took_us = 0;
};

/// Plays the recordings that the record of a drill's folder names. Errors: kNotFound when one is gone, kConflict, with the first place, when a call is answered in another way or a cluster ends
/// with other keys than the evidence holds; kDataLoss and kUnsupported for files that are no recordings. Blocks.
Result<PlayedCalls> PlayRecordings(const std::string& folder, const record::DrillRecord& record, const record::DrillEvidence& evidence);

}  // namespace kvjury::tools
