#include "harness/tools/recorded_history.h"

#include <filesystem>

#include "fakes/base/compress.h"
#include "fakes/ports/replayed_cluster.h"
#include "harness/explore/proto_text.h"
#include "harness/tools/drill_recording.h"

namespace kvjury::tools {

namespace {

constexpr size_t kRecordingBytesMax = (size_t{2} << 30) - 1;
constexpr char kSource[] = "source";

}  // namespace

bool HasRecordedHistory(const std::string& folder) {
  std::error_code error;
  return std::filesystem::is_regular_file(folder + "/" + RecordingFile(kSource), error);
}

Result<ports::FolderHistory> ReadRecordedHistory(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string packed, explore::ReadTextFile(folder + "/" + RecordingFile(kSource), "file of a drill"));
  ASSIGN_OR_RETURN(const Bytes recording, ZstdDecompress(packed, kRecordingBytesMax));
  Result<ports::FolderHistory> history = Status::NotFound("the drill in " + folder + " never read its source: the recording says not where it ended");
  ports::ReplayOptions options;
  options.on_mark = [&history](const std::string& mark, tikv::Cluster* cluster) {
    if (mark != kSourceMark) {
      return;
    }
    ports::FolderHistory read;
    read.to = Timestamp(UINT64_MAX);
    Result<std::vector<tikv::UserChange>> changes =
        tikv::ReadSettledChanges(cluster->engine().Latest().IncludingCollected(), read.from, read.to);
    if (!changes.ok()) {
      history = changes.error();
      return;
    }
    read.changes = *std::move(changes);
    history = std::move(read);
  };
  const Result<ports::ReplayCounts> replayed = ports::ReplayRecording(recording, options);
  if (!replayed.ok()) {
    return replayed.error().WithContext(RecordingFile(kSource));
  }
  return history;
}

}  // namespace kvjury::tools
