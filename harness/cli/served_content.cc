#include "harness/cli/served_content.h"

#include <chrono>

#include "fakes/ports/folder_at.h"
#include "harness/cli/at_option.h"
#include "harness/cli/open_source.h"

namespace kvjury::cli {

namespace {

// Of a volume whose keys stood there without a prefix.
constexpr char kNameOfNone[] = "vol";

Result<ServedContent> ReadRunning(backup::Address address, const std::string& at) {
  if (!at.empty()) {
    if (address.cut.has_value()) {
      return Status::InvalidArgument(address.text + " says at which timestamp already; leave --at out, or \"@...\"");
    }
    ASSIGN_OR_RETURN(address.cut, ParseAt(at));
  }
  ASSIGN_OR_RETURN(remote::ReadResult read, ReadRunningCluster(address, true));
  remote::ReadResult copy = read;
  ASSIGN_OR_RETURN(const backup::OpenedSource source, backup::SourceFromPairs(address, copy.TakePairs()));
  return ServedContent{std::move(read.versions), read.cut, source.warnings};
}

Result<Timestamp> TimeOfPairs(const std::string& at) {
  if (at.empty()) {
    return Timestamp();
  }
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const Timestamp now = Timestamp::Compose(wall.count(), 0);
  ASSIGN_OR_RETURN(const std::optional<Timestamp> given, ParseAt(at));
  if (given.value_or(now) > now) {
    return Status::Undetermined("--at " + at + " is in the future; it is " + std::to_string(now.value()) + " now");
  }
  return given.value_or(now);
}

Result<Timestamp> TimeOfBackup(const backup::OpenedSource& source, const std::string& at) {
  RETURN_IF_ERROR(CheckIntact(source));
  const Timestamp cut = source.backup->cut;
  if (at.empty()) {
    return cut;
  }
  ASSIGN_OR_RETURN(const std::optional<Timestamp> given, ParseAt(at));
  if (given.has_value() && *given != cut) {
    return Status::Undetermined(source.address.text + " holds what was visible at " + std::to_string(cut.value()) + ", not at " +
                                std::to_string(given->value()) + ": leave --at out");
  }
  return cut;
}

// Every key as it is to stand in the cluster, with what the backup, if it is one, knows of its version.
std::vector<tikv::UserVersion> VersionsOf(const backup::OpenedSource& source) {
  Bytes prefix_there;
  Bytes prefix_here;
  if (source.content == backup::OpenedSource::Content::kVolume) {
    const Bytes& name = source.volume_names.front();
    prefix_there = name.empty() ? Bytes() : juicefs::VolumePrefix(name);
    prefix_here = juicefs::VolumePrefix(name.empty() ? Bytes(kNameOfNone) : name);
  }
  std::vector<tikv::UserVersion> versions;
  versions.reserve(source.pairs.size());
  for (const auto& [key, value] : source.pairs) {
    tikv::UserVersion version{prefix_here + key, value, {}, {}};
    if (source.backup.has_value()) {
      const backup::VersionInfo& known = source.backup->versions.at(prefix_there + key);
      version.start_ts = known.start_ts;
      version.commit_ts = known.commit_ts;
    }
    versions.push_back(std::move(version));
  }
  return versions;
}

}  // namespace

Result<ServedContent> ReadContent(const std::string& text, const std::string& at) {
  ASSIGN_OR_RETURN(const backup::Address address, backup::ParseAddress(text));
  if (address.scheme == backup::Scheme::kTikv) {
    return ReadRunning(address, at);
  }
  if (address.scheme != backup::Scheme::kKv && address.scheme != backup::Scheme::kDump && address.scheme != backup::Scheme::kDumpBinary &&
      address.scheme != backup::Scheme::kBr && address.scheme != backup::Scheme::kBrS3) {
    return Status::Unsupported(text + " holds no keys and values, which serve needs: give it kv://, dump://, dump-bin://, br://, "
                               "br+s3:// or tikv://");
  }
  ASSIGN_OR_RETURN(backup::OpenedSource source, OpenSource(text, {.records = true}));
  ServedContent content;
  ASSIGN_OR_RETURN(content.at, source.backup.has_value() ? TimeOfBackup(source, at) : TimeOfPairs(at));
  content.versions = VersionsOf(source);
  content.warnings = std::move(source.warnings);
  return content;
}

Result<ServedContent> ReadContentOfFolder(const std::string& folder, const std::string& at) {
  ASSIGN_OR_RETURN(const std::optional<Timestamp> given, ParseAt(at));
  ASSIGN_OR_RETURN(ports::FolderAt read, ports::ReadFolderAt(folder, given));
  return ServedContent{std::move(read.versions), read.at, std::move(read.warnings)};
}

}  // namespace kvjury::cli
