#include "harness/cli/view_mount.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "fakes/ports/s3_client.h"
#include "harness/cli/open_source.h"
#include "harness/cli/signals.h"
#include "harness/tools/fuse_mount.h"

namespace kvjury::cli {

namespace {

constexpr int kFailedReadsToldMax = 10;

struct OneVolume {
  Bytes name;
  juicefs::VolumeImage image;
  bool has_pieces = true;
};

int64_t WallClockSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The records of the one volume; those of the source are gone then.
Result<OneVolume> TakeVolume(backup::OpenedSource* source) {
  RETURN_IF_ERROR(CheckIntact(*source));
  const bool has_views = source->content == backup::OpenedSource::Content::kViews;
  const size_t volumes = has_views ? source->views.size() : source->volume_names.size();
  if (volumes != 1) {
    return Status::InvalidArgument(fmt::format("{} holds {} volumes; one is mounted{}", source->address.text, volumes,
                                               volumes == 0 ? "" : ": name it behind '#'"));
  }
  OneVolume volume;
  if (source->image) {
    volume.name = source->volume_names.front();
    volume.image = *std::move(source->image);
  } else if (has_views) {
    volume.name = source->views.begin()->first;
    volume.image = juicefs::ImageOfView(source->views.begin()->second);
    volume.has_pieces = false;
  } else {
    volume.name = source->volume_names.front();
    volume.image = juicefs::BuildImage(source->PairsOf(volume.name));
  }
  source->views.clear();
  source->pairs.clear();
  return volume;
}

Result<std::unique_ptr<objects::ObjectStore>> OpenBucket(const std::string& text, const GracefulStop& stop) {
  if (text.rfind("s3://", 0) == 0) {
    ASSIGN_OR_RETURN(const backup::Address address, backup::ParseAddress("br+" + text));
    ports::S3ClientOptions options;
    options.stopping = [&stop] { return stop.requested().has_value(); };
    ASSIGN_OR_RETURN(std::unique_ptr<objects::ObjectStore> store, ports::S3ObjectStore::Open(address.s3, options));
    return store;
  }
  if (text.find("://") != std::string::npos) {
    return Status::InvalidArgument("--bucket " + text + ": expected a folder or s3://BUCKET/PREFIX?endpoint=URL&access-key=K&secret-access-key=S");
  }
  return objects::DirectoryObjectStore::Open(text, objects::DirectoryObjectStore::Access::kReadOnly);
}

Result<std::unique_ptr<juicefs::MountedView>> MakeMounted(OneVolume volume, const std::string& bucket, const GracefulStop& stop, Terminal* terminal) {
  juicefs::MountedViewOptions options;
  options.mounted_at_s = WallClockSeconds();
  options.has_pieces = volume.has_pieces;
  if (!volume.image.setting.has_value()) {
    return Status::NotFound("volume " + Printable(volume.name) + " has no setting: it is not formatted");
  }
  if (!volume.image.problems.empty()) {
    Warn(terminal, fmt::format("{} records do not decode and are not shown; the first: {}", volume.image.problems.size(),
                               volume.image.problems.front().ToString()));
  }
  if (!volume.has_pieces) {
    if (!bucket.empty()) {
      return Status::InvalidArgument("--bucket needs records, which tell what files hold; this source shows entries alone");
    }
    Warn(terminal, "this source shows entries alone: reading a file that is not empty ends with EIO");
  } else if (bucket.empty()) {
    Warn(terminal, "without --bucket the contents of files cannot be read: reading one that holds data ends with EIO");
  } else {
    ASSIGN_OR_RETURN(std::unique_ptr<objects::ObjectStore> store, OpenBucket(bucket, stop));
    ASSIGN_OR_RETURN(options.objects, juicefs::VolumeObjects::Open(volume.image, std::move(store)));
    if (!options.objects->warning().empty()) {
      Warn(terminal, options.objects->warning());
    }
  }
  return juicefs::MountedView::Make(std::move(volume.image), std::move(options));
}

}  // namespace

ExitCode MountSource(backup::OpenedSource source, const ViewMountOptions& options, Terminal* terminal) {
  // A mount would outlive this process, dead: even a second signal waits until it is gone (timeout(1) sends two at once).
  GracefulStop stop(GracefulStop::SecondSignal::kIsIgnored);
  Result<OneVolume> volume = TakeVolume(&source);
  if (!volume.ok()) {
    return Fail(terminal, volume.error());
  }
  const std::string name = volume->name.empty() ? std::string() : " volume " + Printable(volume->name);
  Result<std::unique_ptr<juicefs::MountedView>> mounted = MakeMounted(*std::move(volume), options.bucket, stop, terminal);
  if (!mounted.ok()) {
    return Fail(terminal, mounted.error().WithContext(source.address.text));
  }
  for (const std::string& warning : source.warnings) {
    Warn(terminal, warning);
  }
  int failed_reads = 0;
  tools::FuseMountOptions mount;
  mount.folder = options.folder;
  mount.source = "kvjury:" + source.address.text;
  mount.stopping = [&stop] { return stop.requested().has_value(); };
  mount.on_mounted = [&] {
    *terminal->out << fmt::format("kvjury view: {}{} is mounted read-only at {}; Ctrl-C or fusermount3 -u ends it\n", source.address.text, name,
                                  options.folder)
                   << std::flush;
  };
  mount.on_failed_read = [&](const std::string& sentence) {
    if (++failed_reads <= kFailedReadsToldMax) {
      Warn(terminal, "EIO: " + sentence + (failed_reads == kFailedReadsToldMax ? "; further ones are not told" : ""));
    }
  };
  if (const Status served = tools::ServeMount(mounted->get(), mount); !served.ok()) {
    return Fail(terminal, served);
  }
  const std::optional<ExitCode> signal = stop.requested();
  *terminal->out << fmt::format("kvjury view: {} is no longer mounted{}{}\n", options.folder, signal ? ": a signal ended it" : ": it was unmounted",
                                failed_reads == 0 ? "" : fmt::format("; {} reads ended with EIO", failed_reads))
                 << std::flush;
  return signal.value_or(ExitCode::kSame);
}

}  // namespace kvjury::cli
