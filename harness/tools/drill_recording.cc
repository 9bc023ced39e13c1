#include "harness/tools/drill_recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "fakes/base/compress.h"
#include "fakes/ports/replayed_cluster.h"
#include "harness/explore/gather.h"
#include "harness/explore/proto_text.h"
#include "harness/judge/judge_drill.h"
#include "harness/juicefs/volumes.h"
#include "reports/text.h"

namespace kvjury::tools {
namespace {

constexpr size_t kRecordingBytesMax = (size_t{2} << 30) - 1;

/// The first line of two texts in which they differ.
std::string FirstDifference(std::string_view recorded, std::string_view played) {
  size_t line = 1;
  while (true) {
    const std::string_view before = recorded.substr(0, recorded.find('\n'));
    const std::string_view now = played.substr(0, played.find('\n'));
    if (before != now) {
      return fmt::format("call {} was \"{}\" and is \"{}\"", line, before, now);
    }
    recorded.remove_prefix(std::min(recorded.size(), before.size() + 1));
    played.remove_prefix(std::min(played.size(), now.size() + 1));
    ++line;
  }
}

/// The target's visible pairs as a client read them, by key and value.
void ReadTargetPairs(tikv::Cluster* target, record::DrillEvidence* evidence) {
  if (evidence->target().unreadable_size() > 0 || evidence->target().timestamp_size() == 0) {
    return;
  }
  const Bytes prefix = evidence->logical() ? juicefs::VolumePrefix(evidence->volume()) : Bytes();
  evidence->mutable_target()->clear_pair();
  for (const auto& [key, version] : explore::ReadTruth(target, Timestamp(evidence->target().timestamp(0)))) {
    if (key.compare(0, prefix.size(), prefix) == 0) {
      record::DrillEvidence::Pair* pair = evidence->mutable_target()->add_pair();
      pair->set_key(key);
      pair->set_value(version.value);
    }
  }
}

template <class Message>
Status Same(const Message& recorded, const Message& played, const std::string& what) {
  return recorded.SerializeAsString() == played.SerializeAsString()
             ? Status::Ok()
             : Status::Conflict("played again, " + what + " is not what the evidence holds");
}

/// Only what `cluster` says of itself; the rest is left as it is.
class Played {
 public:
  explicit Played(const record::DrillEvidence& evidence) : evidence_(evidence), again_(evidence) {}

  void Look(const std::string& mark, tikv::Cluster* cluster) {
    if (mark == kSourceMark) {
      ReadSource(cluster, &again_);
      source_read_ = true;
    } else if (mark == kTargetMark) {
      ReadTargetRecords(cluster, &again_);
      ReadTargetPairs(cluster, &again_);
    }
  }

  [[nodiscard]] Status Compare() const {
    if (source_read_ && evidence_.source_size() > 0 && again_.source_size() == 0) {
      return Status::Conflict("played again, the source at the cut holds no key");
    }
    RETURN_IF_ERROR(Same(evidence_.target(), again_.target(), "the target"));
    return Same(evidence_, again_, "the source at the cut");
  }

 private:
  const record::DrillEvidence& evidence_;
  record::DrillEvidence again_;
  bool source_read_ = false;
};

}  // namespace

std::string RecordingFile(const std::string& cluster) { return "recording-" + cluster + ".pb.zst"; }
std::string CallsFile(const std::string& cluster) { return "calls-" + cluster + ".tsv.gz"; }

void ReadSource(tikv::Cluster* source, record::DrillEvidence* evidence) {
  const Timestamp cut(evidence->cut_ts());
  evidence->clear_source();
  evidence->clear_change();
  judge::AddPairs(explore::ReadTruth(source, cut), evidence->mutable_source());
  if (!evidence->logical()) {
    return;
  }
  for (const judge::KeyChange& change : explore::ReadChanges(source, cut, Timestamp(evidence->window_end_ts()))) {
    record::DrillEvidence::Change& kept = *evidence->add_change();
    kept.set_key(change.key);
    kept.set_commit_ts(change.commit_ts.value());
    kept.set_deleted(!change.version.has_value());
    if (change.version.has_value()) {
      kept.set_value(change.version->value);
      kept.set_start_ts(change.version->start_ts.value());
    }
  }
}

void ReadTargetRecords(tikv::Cluster* target, record::DrillEvidence* evidence) {
  record::DrillEvidence::Target& kept = *evidence->mutable_target();
  const judge::TargetRecords records = explore::ReadRecords(target);
  kept.clear_newest();
  kept.clear_undecodable_boundary();
  kept.mutable_finding()->Assign(records.findings.begin(), records.findings.end());
  kept.set_records_checked(records.records_checked);
  for (const auto& [key, ts] : records.newest_commit_ts) {
    record::DrillEvidence::Pair& pair = *kept.add_newest();
    pair.set_key(key);
    pair.set_commit_ts(ts.value());
  }
  for (const Bytes& boundary : records.undecodable_boundaries) {
    kept.add_undecodable_boundary(boundary);
  }
  kept.set_boundaries_checked(records.boundaries_checked);
}

Result<PlayedCalls> PlayRecordings(const std::string& folder, const record::DrillRecord& record, const record::DrillEvidence& evidence) {
  PlayedCalls counts;
  Played played(evidence);
  for (const char* cluster : {"source", "target"}) {
    const std::string file = RecordingFile(cluster);
    if (std::none_of(record.input().begin(), record.input().end(), [&file](const record::DrillInput& input) { return input.file() == file; })) {
      continue;
    }
    ASSIGN_OR_RETURN(const std::string packed, explore::ReadTextFile(folder + "/" + RecordingFile(cluster), "file of a drill"));
    ASSIGN_OR_RETURN(const Bytes recording, ZstdDecompress(packed, kRecordingBytesMax));
    ASSIGN_OR_RETURN(const std::string packed_calls, explore::ReadTextFile(folder + "/" + CallsFile(cluster), "file of a drill"));
    ASSIGN_OR_RETURN(const Bytes recorded, GzipDecompress(packed_calls, kRecordingBytesMax));
    std::string calls;
    ports::ReplayOptions options;
    options.on_call = [&calls, &counts](const ports::CallRecord& call) {
      calls += ports::CallLine(call);
      ++counts.calls;
    };
    options.on_mark = [&played](const std::string& mark, tikv::Cluster* at) { played.Look(mark, at); };
    const Result<ports::ReplayCounts> replayed = ports::ReplayRecording(recording, options);
    // An answer that differs says more than where the world went another way for it.
    if (const size_t told = std::min(calls.size(), recorded.size()); calls.compare(0, told, recorded, 0, told) != 0) {
      return Status::Conflict(fmt::format("of the {}, {}", cluster, FirstDifference(recorded, calls)));
    }
    if (!replayed.ok()) {
      return replayed.error().WithContext(RecordingFile(cluster));
    }
    if (calls != recorded) {
      return Status::Conflict(fmt::format("of the {}, {}", cluster, FirstDifference(recorded, calls)));
    }
    ++counts.clusters;
    counts.inputs += replayed->inputs;
    counts.took_us = std::max(counts.took_us, replayed->ended_us);
  }
  RETURN_IF_ERROR(played.Compare());
  return counts;
}

}  // namespace kvjury::tools
