#include "harness/cli/open_source.h"

#include <fmt/format.h>

#include "fakes/ports/s3_client.h"
#include "harness/backup/loaded_dump.h"
#include "harness/cli/progress.h"

namespace kvjury::cli {

Result<remote::ReadResult> ReadRunningCluster(const backup::Address& address, bool with_timestamps) {
  remote::ReadRequest request;
  request.with_timestamps = with_timestamps;
  request.members = address.members;
  request.tls = {address.ca, address.certificate, address.key};
  request.cut = address.cut;
  if (address.volume) {
    request.start = juicefs::VolumePrefix(*address.volume);
    request.end = PrefixEnd(request.start);
  }
  Result<remote::ReadResult> read = remote::ReadCluster(request);
  if (!read.ok()) {
    return read.error().WithContext(address.text);
  }
  return read;
}

namespace {

Result<backup::OpenedSource> OpenCluster(const backup::Address& address) {
  ASSIGN_OR_RETURN(remote::ReadResult read, ReadRunningCluster(address, false));
  Result<backup::OpenedSource> source = backup::SourceFromPairs(address, read.TakePairs());
  if (source.ok()) {
    source->cut = read.cut;
  }
  return source;
}

Result<backup::OpenedSource> OpenS3(const backup::Address& address) {
  Result<std::unique_ptr<objects::ObjectStore>> store = ports::S3ObjectStore::Open(address.s3);
  if (!store.ok()) {
    return store.error().WithContext(address.text);
  }
  Result<backup::OpenedSource> source = backup::OpenBackup(address, store->get());
  return source.ok() ? std::move(source) : source.error().WithContext(address.text);
}

Result<backup::OpenedSource> OpenMount(const backup::Address& address, const OpenOptions& options) {
  tools::WalkOptions walk = options.walk;
  std::unique_ptr<Progress> progress;
  if (options.terminal != nullptr) {
    progress = std::make_unique<Progress>(options.terminal, "entries of " + address.text, 0);
    walk.on_progress = [&progress](uint64_t entries) { progress->Update(entries); };
  }
  ASSIGN_OR_RETURN(tools::WalkedMount walked, tools::WalkMount(address.path, walk));
  ASSIGN_OR_RETURN(backup::OpenedSource source, backup::SourceFromView(address, std::move(walked.view)));
  source.warnings = std::move(walked.warnings);
  return source;
}

}  // namespace

Result<backup::OpenedSource> OpenSource(const std::string& text, const OpenOptions& options) {
  ASSIGN_OR_RETURN(const backup::Address address, backup::ParseAddress(text));
  switch (address.scheme) {
    case backup::Scheme::kTikv:
      return OpenCluster(address);
    case backup::Scheme::kMount:
      return OpenMount(address, options);
    case backup::Scheme::kBrS3:
      return OpenS3(address);
    default:
      return options.records ? backup::OpenRecords(address) : backup::OpenAddress(address);
  }
}

Status CheckIntact(const backup::OpenedSource& source) {
  if (!source.backup || source.backup->intact()) {
    return Status::Ok();
  }
  const record::Finding& first = source.backup->findings.front();
  return Status::DataLoss(fmt::format("{} is damaged, {} findings; the first: {} {} {}: {}", source.address.text,
                                      source.backup->findings.size(), first.check(), first.kind(), first.file(), first.message()));
}

Result<std::map<Bytes, juicefs::View>> ViewsOf(const backup::OpenedSource& source) {
  RETURN_IF_ERROR(CheckIntact(source));
  if (source.content == backup::OpenedSource::Content::kViews) {
    return source.views;
  }
  std::map<Bytes, juicefs::View> views;
  for (const Bytes& name : source.volume_names) {
    Result<juicefs::View> view = juicefs::BuildView(juicefs::BuildImage(source.PairsOf(name)));
    if (!view.ok()) {
      return view.error().WithContext(source.address.text + " volume " + Printable(name));
    }
    views.emplace(name, *std::move(view));
  }
  return views;
}

}  // namespace kvjury::cli
