#include "harness/juicefs/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvjury::juicefs {

namespace {

constexpr size_t kFlockBytes = 17;
constexpr size_t kPlockRangeBytes = 24;
constexpr size_t kSliceNameBytes = 12;
constexpr size_t kAclEntryBytes = 6;

Status WrongLength(const char* what, std::string_view value, const std::string& expected) {
  return Status::DataLoss(fmt::format("{} of {} bytes: expected {}", what, value.size(), expected));
}

void AppendI64(Bytes* out, int64_t number) { AppendBe64(out, static_cast<uint64_t>(number)); }

void AppendLe16(Bytes* out, uint16_t value) {
  out->push_back(static_cast<char>(value & 0xFF));
  out->push_back(static_cast<char>(value >> 8));
}

void AppendLe32(Bytes* out, uint32_t value) {
  AppendLe16(out, static_cast<uint16_t>(value & 0xFFFF));
  AppendLe16(out, static_cast<uint16_t>(value >> 16));
}

void AppendAclEntries(Bytes* out, const std::vector<AclEntry>& entries) {
  AppendBe32(out, static_cast<uint32_t>(entries.size()));
  for (const AclEntry& entry : entries) {
    AppendBe32(out, entry.id);
    AppendBe16(out, entry.permission);
  }
}

/// False if the list says more entries than there are bytes.
bool ReadAclEntries(ByteReader* reader, std::vector<AclEntry>* entries) {
  const uint64_t count = reader->Be32();
  if (!reader->ok() || count * kAclEntryBytes > reader->remaining()) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    AclEntry entry;
    entry.id = reader->Be32();
    entry.permission = reader->Be16();
    entries->push_back(entry);
  }
  return reader->ok();
}

}  // namespace

Result<Dentry> DecodeDentry(std::string_view value) {
  if (value.size() != 9) {
    return WrongLength("directory entry", value, "9");
  }
  ByteReader reader(value);
  Dentry dentry;
  dentry.type = reader.U8();
  dentry.inode = Inode(reader.Be64());
  return dentry;
}

Bytes EncodeDentry(const Dentry& dentry) {
  Bytes value;
  value.push_back(static_cast<char>(dentry.type));
  AppendBe64(&value, dentry.inode.value());
  return value;
}

Result<std::vector<SliceRecord>> DecodeChunk(std::string_view value) {
  if (value.empty() || value.size() % kSliceRecordBytes != 0) {
    return WrongLength("chunk", value, "a positive multiple of 24");
  }
  std::vector<SliceRecord> records;
  records.reserve(value.size() / kSliceRecordBytes);
  ByteReader reader(value);
  while (!reader.empty()) {
    SliceRecord record;
    record.position = reader.Be32();
    record.id = reader.Be64();
    record.size = reader.Be32();
    record.offset = reader.Be32();
    record.length = reader.Be32();
    records.push_back(record);
  }
  CHECK(reader.ok());
  return records;
}

Bytes EncodeChunk(const std::vector<SliceRecord>& records) {
  Bytes value;
  value.reserve(records.size() * kSliceRecordBytes);
  for (const SliceRecord& record : records) {
    AppendBe32(&value, record.position);
    AppendBe64(&value, record.id);
    AppendBe32(&value, record.size);
    AppendBe32(&value, record.offset);
    AppendBe32(&value, record.length);
  }
  return value;
}

Result<std::vector<SliceName>> DecodeSliceNames(std::string_view value) {
  if (value.size() % kSliceNameBytes != 0) {
    return WrongLength("list of delayed slices", value, "a multiple of 12");
  }
  std::vector<SliceName> slices;
  ByteReader reader(value);
  while (!reader.empty()) {
    SliceName slice;
    slice.id = reader.Be64();
    slice.size = reader.Be32();
    slices.push_back(slice);
  }
  return slices;
}

Bytes EncodeSliceNames(const std::vector<SliceName>& slices) {
  Bytes value;
  for (const SliceName& slice : slices) {
    AppendBe64(&value, slice.id);
    AppendBe32(&value, slice.size);
  }
  return value;
}

Result<std::vector<Flock>> DecodeFlocks(std::string_view value) {
  if (value.size() % kFlockBytes != 0) {
    return WrongLength("list of BSD locks", value, "a multiple of 17");
  }
  std::vector<Flock> locks;
  ByteReader reader(value);
  while (!reader.empty()) {
    Flock lock;
    lock.session = reader.Be64();
    lock.owner = reader.Be64();
    lock.mode = static_cast<char>(reader.U8());
    if (lock.mode != 'R' && lock.mode != 'W') {
      return Status::DataLoss(fmt::format("BSD lock of mode 0x{:02x}: expected R or W", static_cast<uint8_t>(lock.mode)));
    }
    locks.push_back(lock);
  }
  return locks;
}

Bytes EncodeFlocks(const std::vector<Flock>& locks) {
  Bytes value;
  for (const Flock& lock : locks) {
    AppendBe64(&value, lock.session);
    AppendBe64(&value, lock.owner);
    value.push_back(lock.mode);
  }
  return value;
}

Result<std::vector<Plock>> DecodePlocks(std::string_view value) {
  std::vector<Plock> locks;
  ByteReader reader(value);
  while (!reader.empty()) {
    Plock lock;
    lock.session = reader.Be64();
    lock.owner = reader.Be64();
    const uint32_t bytes = reader.Be32();
    if (!reader.ok() || bytes % kPlockRangeBytes != 0 || bytes > reader.remaining()) {
      return WrongLength("list of POSIX locks", value, "owners of 20 bytes, each with the ranges of 24 that it says");
    }
    for (uint32_t i = 0; i < bytes / kPlockRangeBytes; ++i) {
      PlockRange range;
      range.type = reader.Be32();
      range.pid = reader.Be32();
      range.start = reader.Be64();
      range.end = reader.Be64();
      lock.ranges.push_back(range);
    }
    locks.push_back(std::move(lock));
  }
  return locks;
}

Bytes EncodePlocks(const std::vector<Plock>& locks) {
  Bytes value;
  for (const Plock& lock : locks) {
    AppendBe64(&value, lock.session);
    AppendBe64(&value, lock.owner);
    AppendBe32(&value, static_cast<uint32_t>(lock.ranges.size() * kPlockRangeBytes));
    for (const PlockRange& range : lock.ranges) {
      AppendBe32(&value, range.type);
      AppendBe32(&value, range.pid);
      AppendBe64(&value, range.start);
      AppendBe64(&value, range.end);
    }
  }
  return value;
}

Result<DirStat> DecodeDirStat(std::string_view value) {
  if (value.size() != 24) {
    return WrongLength("directory statistics", value, "24");
  }
  ByteReader reader(value);
  DirStat stat;
  stat.length = static_cast<int64_t>(reader.Be64());
  stat.space = static_cast<int64_t>(reader.Be64());
  stat.inodes = static_cast<int64_t>(reader.Be64());
  return stat;
}

Bytes EncodeDirStat(const DirStat& stat) {
  Bytes value;
  AppendI64(&value, stat.length);
  AppendI64(&value, stat.space);
  AppendI64(&value, stat.inodes);
  return value;
}

Result<Quota> DecodeQuota(std::string_view value) {
  if (value.size() != 32) {
    return WrongLength("quota", value, "32");
  }
  ByteReader reader(value);
  Quota quota;
  quota.max_space = static_cast<int64_t>(reader.Be64());
  quota.max_inodes = static_cast<int64_t>(reader.Be64());
  quota.used_space = static_cast<int64_t>(reader.Be64());
  quota.used_inodes = static_cast<int64_t>(reader.Be64());
  return quota;
}

Bytes EncodeQuota(const Quota& quota) {
  Bytes value;
  AppendI64(&value, quota.max_space);
  AppendI64(&value, quota.max_inodes);
  AppendI64(&value, quota.used_space);
  AppendI64(&value, quota.used_inodes);
  return value;
}

Result<AclRule> DecodeAclRule(std::string_view value) {
  ByteReader reader(value);
  AclRule rule;
  rule.owner = reader.Be16();
  rule.group = reader.Be16();
  rule.mask = reader.Be16();
  rule.other = reader.Be16();
  if (!ReadAclEntries(&reader, &rule.users) || !ReadAclEntries(&reader, &rule.groups) || !reader.empty()) {
    return WrongLength("ACL rule", value, "16 and 6 for each entry that it counts");
  }
  return rule;
}

Bytes EncodeAclRule(const AclRule& rule) {
  Bytes value;
  AppendBe16(&value, rule.owner);
  AppendBe16(&value, rule.group);
  AppendBe16(&value, rule.mask);
  AppendBe16(&value, rule.other);
  AppendAclEntries(&value, rule.users);
  AppendAclEntries(&value, rule.groups);
  return value;
}

Result<int64_t> DecodeInt64Be(std::string_view value) {
  if (value.size() != 8) {
    return WrongLength("number", value, "8");
  }
  return static_cast<int64_t>(ByteReader(value).Be64());
}

Bytes EncodeInt64Be(int64_t number) {
  Bytes value;
  AppendI64(&value, number);
  return value;
}

Result<int64_t> DecodeInt64Le(std::string_view value) {
  if (value.size() != 8) {
    return WrongLength("number", value, "8");
  }
  return static_cast<int64_t>(ByteReader(value).Le64());
}

Bytes EncodeInt64Le(int64_t number) {
  Bytes value;
  AppendLe64(&value, static_cast<uint64_t>(number));
  return value;
}

bool IsTimeCounter(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kNames = {"lastCleanupSessions", "lastCleanupFiles", "nextCleanupSlices",
                                                             "lastCleanupTrash", "lastCleanupChangelog"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Bytes PosixAclXattr(const AclRule& rule) {
  constexpr uint32_t kVersion = 2;
  constexpr uint32_t kUnnamed = 0xFFFFFFFF;
  Bytes value;
  AppendLe32(&value, kVersion);
  const auto append = [&value](uint16_t tag, uint16_t permission, uint32_t id) {
    AppendLe16(&value, tag);
    AppendLe16(&value, permission);
    AppendLe32(&value, id);
  };
  append(0x01, rule.owner, kUnnamed);
  for (const AclEntry& entry : rule.users) {
    append(0x02, entry.permission, entry.id);
  }
  append(0x04, rule.group, kUnnamed);
  for (const AclEntry& entry : rule.groups) {
    append(0x08, entry.permission, entry.id);
  }
  if (rule.mask != 0xFFFF) {
    append(0x10, rule.mask, kUnnamed);
  }
  append(0x20, rule.other, kUnnamed);
  return value;
}

}  // namespace kvjury::juicefs
