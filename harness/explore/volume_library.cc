#include "harness/explore/volume_library.h"

#include <algorithm>
#include <filesystem>

#include "harness/backup/loaded_dump.h"
#include "harness/juicefs/format_volume.h"

namespace kvjury::explore {

Result<std::string> FindBundled(const std::string& text, const std::string& second_folder) {
  ASSIGN_OR_RETURN(backup::Address address, backup::ParseAddress(text));
  const std::filesystem::path path(address.path);
  const std::filesystem::path second = std::filesystem::path(second_folder) / path;
  std::error_code error;
  if (second_folder.empty() || path.is_absolute() || std::filesystem::exists(path, error) ||
      !std::filesystem::exists(second, error)) {
    return text;
  }
  std::string escaped;
  for (const char c : second_folder) {
    escaped += c == '%' ? "%25" : c == '#' ? "%23" : std::string(1, c);
  }
  const size_t path_at = text.find("://") + 3;
  return text.substr(0, path_at) + escaped + "/" + text.substr(path_at);
}

namespace {

constexpr char kNameByDefault[] = "vol";

int64_t NewestMs(const juicefs::VolumeImage& image) {
  int64_t newest_s = 0;
  for (const auto& [inode, attr] : image.inodes) {
    newest_s = std::max({newest_s, attr.atime_s, attr.mtime_s, attr.ctime_s});
  }
  return newest_s * 1000;
}

Result<juicefs::KeyValues> ReadPairs(const record::Volume& volume, const std::string& second_folder, std::string* name) {
  ASSIGN_OR_RETURN(std::string found, FindBundled(volume.address(), second_folder));
  ASSIGN_OR_RETURN(const backup::Address address, backup::ParseAddress(found));
  ASSIGN_OR_RETURN(backup::OpenedSource source, backup::OpenRecords(address));
  if (source.content == backup::OpenedSource::Content::kViews) {
    return Status::Unsupported(volume.address() + ": shows entries and holds no records to start a cluster from");
  }
  if (source.volume_names.empty()) {
    return Status::InvalidArgument(volume.address() + ": holds no volume");
  }
  if (source.volume_names.size() > 1) {
    return Status::InvalidArgument(volume.address() + ": holds several volumes; name one with #VOLUME");
  }
  if (source.backup.has_value() && !source.backup->intact()) {
    return Status::DataLoss(volume.address() + ": " + source.backup->findings.front().message());
  }
  if (!source.volume_names.front().empty()) {
    *name = source.volume_names.front();
  }
  return source.PairsOf(source.volume_names.front());
}

}  // namespace

Result<std::shared_ptr<const LoadedVolume>> VolumeLibrary::Load(const record::Volume& volume) {
  const std::string description = volume.SerializeAsString();
  if (auto found = by_description_.find(description); found != by_description_.end()) {
    return found->second;
  }
  auto loaded = std::make_shared<LoadedVolume>();
  loaded->name = volume.name().empty() ? kNameByDefault : volume.name();
  if (volume.from_case() == record::Volume::kAddress) {
    ASSIGN_OR_RETURN(loaded->pairs, ReadPairs(volume, second_folder_, &loaded->name));
  } else {
    juicefs::GenerateOptions options;
    options.volume_name = loaded->name;
    options.directories = volume.generate().directories();
    options.files = volume.generate().files();
    options.seed = volume.generate().seed();
    options.trash_days = volume.trash_days();
    options.choices.enable_acl = volume.enable_acl();
    options.choices.user_group_quota = volume.user_group_quota();
    options.choices.change_log = volume.change_log();
    options.choices.hash_prefix = volume.hash_prefix();
    options.choices.capacity_bytes = volume.capacity_bytes();
    options.choices.inodes_max = volume.inodes_max();
    loaded->pairs = juicefs::GenerateVolume(options);
  }
  loaded->image = juicefs::BuildImage(loaded->pairs);
  Result<juicefs::View> view = juicefs::BuildView(loaded->image);
  if (!view.ok()) {
    return view.status().WithContext(volume.address());
  }
  loaded->view = *std::move(view);
  loaded->trash_days = static_cast<uint32_t>(loaded->image.setting->format.trash_days);
  loaded->newest_ms = NewestMs(loaded->image);
  std::shared_ptr<const LoadedVolume> kept = std::move(loaded);
  if (by_description_.size() >= kVolumesKeptMax) {
    by_description_.erase(by_description_.begin());
  }
  by_description_[description] = kept;
  return kept;
}

}  // namespace kvjury::explore
