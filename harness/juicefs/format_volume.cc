#include "harness/juicefs/format_volume.h"

#include <fmt/format.h>

#include "fakes/base/digest.h"
#include "harness/juicefs/record.h"

namespace kvjury::juicefs {

namespace {

constexpr int64_t kChangeLogAgeS = 7200;  // kept by default

Attr FormattedDirectory(uint16_t mode, int64_t wall_ns) {
  Attr attr;
  attr.type = kTypeDirectory;
  attr.mode = mode;
  attr.atime_s = attr.mtime_s = attr.ctime_s = wall_ns / 1'000'000'000;  // no nanoseconds
  attr.nlink = 2;
  attr.length = kDirectoryBytes;
  attr.parent = kRootInode;
  return attr;
}

}  // namespace

Format DefaultFormat(std::string_view volume_name, uint32_t trash_days) {
  Format format;
  format.name = std::string(volume_name);
  const uint64_t high = Hash64(volume_name, 1);
  const uint64_t low = Hash64(volume_name, 2);
  format.uuid = fmt::format("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", high >> 32, high >> 16 & 0xFFFF, high & 0xFFF,
                            low >> 48 & 0xFFF, low & 0xFFFFFFFFFFFF);
  format.storage = "file";
  format.bucket = "/var/jfs/";
  format.tiers = std::map<std::string, StorageTier>{{"0", StorageTier{}}};
  format.block_size_kib = 4096;
  format.compression = "none";
  format.encrypt_algorithm = "aes256gcm-rsa";
  format.trash_days = trash_days;
  format.meta_version = 1;
  format.min_client_version = "1.1.0-A";
  format.dir_stats = true;
  return format;
}

Format FormatWith(std::string_view volume_name, uint32_t trash_days, const FormatChoices& choices) {
  Format format = DefaultFormat(volume_name, trash_days);
  format.enable_acl = choices.enable_acl;
  if (choices.enable_acl) {
    format.min_client_version = "1.2.0-A";
  }
  format.user_group_quota = choices.user_group_quota;
  format.change_log = choices.change_log;
  format.change_log_age_s_max = choices.change_log ? kChangeLogAgeS : 0;
  format.hash_prefix = choices.hash_prefix;
  format.capacity_bytes = choices.capacity_bytes;
  format.inodes = choices.inodes_max;
  return format;
}

KeyValues FormatPairs(const Format& format, int64_t wall_ns) {
  KeyValues pairs;
  pairs[EncodeKey(SettingKey())] = EncodeFormat(format);
  pairs[EncodeKey(AttrKey(kRootInode))] = EncodeAttr(FormattedDirectory(0777, wall_ns));
  if (format.trash_days > 0) {
    pairs[EncodeKey(AttrKey(kTrashInode))] = EncodeAttr(FormattedDirectory(0555, wall_ns));
  }
  pairs[EncodeKey(CounterKey("nextInode"))] = EncodeInt64Le(2);
  pairs[EncodeKey(CounterKey("nextChunk"))] = EncodeInt64Le(1);
  return pairs;
}

KeyValues WithPrefix(const KeyValues& pairs, std::string_view volume_name) {
  const Bytes prefix = VolumePrefix(volume_name);
  KeyValues full;
  for (const auto& [key, value] : pairs) {
    full.emplace_hint(full.end(), prefix + key, value);
  }
  return full;
}

sim::Task<Status> FormatVolume(client::Store* store, Bytes volume_name, Format format, int64_t wall_ns) {
  sim::Label label("format");
  const Bytes setting_key = VolumePrefix(volume_name) + EncodeKey(SettingKey());
  std::unique_ptr<client::Transaction> reader = store->BeginAt(Timestamp::Max(), label);
  sim::Task<Result<std::optional<Bytes>>> get = reader->Get(setting_key);
  Result<std::optional<Bytes>> present = co_await std::move(get);
  if (!present.ok()) {
    co_return present.error();
  }
  if (present->has_value()) {
    co_return Status::AlreadyExists("the volume is formatted already");
  }
  sim::Task<Result<std::unique_ptr<client::Transaction>>> begin = store->Begin(label.Numbered("txn", 1));
  Result<std::unique_ptr<client::Transaction>> transaction = co_await std::move(begin);
  if (!transaction.ok()) {
    co_return transaction.error();
  }
  const KeyValues full = WithPrefix(FormatPairs(format, wall_ns), volume_name);
  for (const auto& [key, value] : full) {
    (*transaction)->Put(key, value);
  }
  sim::Task<Result<client::CommitInfo>> commit = (*transaction)->Commit();
  const Result<client::CommitInfo> info = co_await std::move(commit);
  co_return info.status();
}

}  // namespace kvjury::juicefs
