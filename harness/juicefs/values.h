// Values of a JuiceFS volume other than the inode (attr.h) and the setting (format.h).
//
// Integers are big endian except counters that clients increment, link counts and slice references (little endian).
// Every Decode function refuses a wrong length with kDataLoss, and Encode gives back the same bytes.
// Source: JuiceFS 1.4, KV engine.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"

namespace kvjury::juicefs {

struct Dentry {
  uint8_t type = 0;  // constants.h
  Inode inode;
  friend bool operator==(const Dentry&, const Dentry&) = default;
};

/// One record of a chunk: `length` bytes at `position` of the chunk come from `offset` of slice `id` (0: zero bytes).
struct SliceRecord {
  uint32_t position = 0;
  uint64_t id = 0;
  uint32_t size = 0;  // of the whole slice
  uint32_t offset = 0;
  uint32_t length = 0;
  friend bool operator==(const SliceRecord&, const SliceRecord&) = default;
};
inline constexpr size_t kSliceRecordBytes = 24;

struct SliceName {
  uint64_t id = 0;
  uint32_t size = 0;
  friend auto operator<=>(const SliceName&, const SliceName&) = default;
};

struct Flock {
  uint64_t session = 0;
  uint64_t owner = 0;
  char mode = 'R';  // 'R' or 'W'
  friend bool operator==(const Flock&, const Flock&) = default;
};

struct PlockRange {
  uint32_t type = 0;  // 0 read, 1 write, 2 none
  uint32_t pid = 0;
  uint64_t start = 0;
  uint64_t end = 0;
  friend bool operator==(const PlockRange&, const PlockRange&) = default;
};

struct Plock {
  uint64_t session = 0;
  uint64_t owner = 0;
  std::vector<PlockRange> ranges;
  friend bool operator==(const Plock&, const Plock&) = default;
};

/// Sums over the direct entries of one directory.
struct DirStat {
  int64_t length = 0;
  int64_t space = 0;
  int64_t inodes = 0;
  friend bool operator==(const DirStat&, const DirStat&) = default;
};

/// A limit of -1 means none (users and groups).
struct Quota {
  int64_t max_space = 0;
  int64_t max_inodes = 0;
  int64_t used_space = 0;
  int64_t used_inodes = 0;
  friend bool operator==(const Quota&, const Quota&) = default;
};

struct AclEntry {
  uint32_t id = 0;
  uint16_t permission = 0;
  friend bool operator==(const AclEntry&, const AclEntry&) = default;
};

/// 0xFFFF in one of the four fields means "not defined".
struct AclRule {
  uint16_t owner = 0xFFFF;
  uint16_t group = 0xFFFF;
  uint16_t mask = 0xFFFF;
  uint16_t other = 0xFFFF;
  std::vector<AclEntry> users;
  std::vector<AclEntry> groups;
  friend bool operator==(const AclRule&, const AclRule&) = default;
};

Result<Dentry> DecodeDentry(std::string_view value);
Bytes EncodeDentry(const Dentry& dentry);

/// Errors: kDataLoss for an empty value or a length that is no multiple of 24.
Result<std::vector<SliceRecord>> DecodeChunk(std::string_view value);
Bytes EncodeChunk(const std::vector<SliceRecord>& records);

Result<std::vector<SliceName>> DecodeSliceNames(std::string_view value);
Bytes EncodeSliceNames(const std::vector<SliceName>& slices);

Result<std::vector<Flock>> DecodeFlocks(std::string_view value);
Bytes EncodeFlocks(const std::vector<Flock>& locks);

Result<std::vector<Plock>> DecodePlocks(std::string_view value);
Bytes EncodePlocks(const std::vector<Plock>& locks);

Result<DirStat> DecodeDirStat(std::string_view value);
Bytes EncodeDirStat(const DirStat& stat);

Result<Quota> DecodeQuota(std::string_view value);
Bytes EncodeQuota(const Quota& quota);

Result<AclRule> DecodeAclRule(std::string_view value);
Bytes EncodeAclRule(const AclRule& rule);

Result<int64_t> DecodeInt64Be(std::string_view value);
Bytes EncodeInt64Be(int64_t number);
Result<int64_t> DecodeInt64Le(std::string_view value);
Bytes EncodeInt64Le(int64_t number);

/// True for the counters that are set to a time (big endian) instead of being incremented (little endian).
bool IsTimeCounter(std::string_view name);

/// The value of the extended attribute system.posix_acl_access or _default that a mount shows for a rule: the kernel's
/// version 2 form, little endian. A mask of 0xFFFF is left out.
Bytes PosixAclXattr(const AclRule& rule);

}  // namespace kvjury::juicefs
