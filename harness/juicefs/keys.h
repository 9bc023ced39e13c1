// Keys of a JuiceFS volume, as they stand after the volume's prefix (name + byte 0xFD).
//
// Inode numbers inside keys are 8 bytes little endian; every other number is big endian. A key is parsed strictly: what
// EncodeKey would not write is an error, so that EncodeKey(ParseKey(k)) == k for every key that parses.
// Not here: values (values.h), which keys must exist together (invariants.h). Source: JuiceFS 1.4, KV engine.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "harness/juicefs/constants.h"

namespace kvjury::juicefs {

enum class KeyKind : uint8_t {
  kSetting,           // "setting": the format record
  kCounter,           // C name
  kAttr,              // A inode I
  kDentry,            // A inode D name: entry `name` of directory `inode`
  kLinkCount,         // A inode P parent: links of `inode` in directory `parent`; used when attr.parent is 0
  kChunk,             // A inode C index
  kSymlink,           // A inode S
  kXattr,             // A inode X name
  kDeletedFile,       // D inode length: data waits for deletion
  kFlocks,            // F inode
  kPlocks,            // P inode
  kSliceReferences,   // K slice-id size: references beyond the first
  kDelayedSlices,     // L seconds slice-id: slices that a compaction replaced
  kSessionExpiry,     // SE session
  kSessionInfo,       // SI session
  kSessionHeartbeat,  // SH session (clients before 1.0)
  kSustained,         // SS session inode: deleted while open
  kDirStat,           // U inode
  kDetached,          // N inode: directory of an unfinished clone
  kDirQuota,          // QD inode
  kUserQuota,         // QU uid
  kGroupQuota,        // QG gid
  kAclRule,           // R id
  kDelegationToken,   // XKD id
  kChangelog,         // XLOG shard timestamp
};
inline constexpr size_t kKeyKindCount = 25;

const char* KeyKindName(KeyKind kind);

/// One key. Fields that a kind does not use are zero or empty; the functions below set the right ones.
struct Key {
  KeyKind kind = KeyKind::kSetting;
  Inode inode;          // of A, D, F, P, SS, U, N and QD keys
  Inode parent;         // kLinkCount: the directory
  uint64_t id = 0;      // slice id, session, uid, gid, rule id or token id
  uint64_t number = 0;  // chunk index, slice size, file length, unix seconds (kDelayedSlices) or start ts (kChangelog)
  uint8_t shard = 0;    // kChangelog
  Bytes name;           // counter, entry or xattr name

  friend bool operator==(const Key&, const Key&) = default;
};

Key SettingKey();
Key CounterKey(std::string_view name);
Key AttrKey(Inode inode);
Key DentryKey(Inode directory, std::string_view name);
Key LinkCountKey(Inode inode, Inode directory);
Key ChunkKey(Inode inode, uint32_t index);
Key SymlinkKey(Inode inode);
Key XattrKey(Inode inode, std::string_view name);
Key DeletedFileKey(Inode inode, uint64_t length);
Key FlocksKey(Inode inode);
Key PlocksKey(Inode inode);
Key SliceReferencesKey(uint64_t slice_id, uint32_t size);
Key DelayedSlicesKey(uint64_t seconds, uint64_t slice_id);
/// `kind` is one of kSessionExpiry, kSessionInfo, kSessionHeartbeat.
Key SessionKey(KeyKind kind, uint64_t session);
Key SustainedKey(uint64_t session, Inode inode);
Key DirStatKey(Inode inode);
Key DetachedKey(Inode inode);
Key DirQuotaKey(Inode inode);
Key UserQuotaKey(uint64_t uid);
Key GroupQuotaKey(uint64_t gid);
Key AclRuleKey(uint32_t id);
Key DelegationTokenKey(uint32_t id);
Key ChangelogKey(uint8_t shard, uint64_t start_ts);

/// The bytes after the volume prefix.
Bytes EncodeKey(const Key& key);

/// Errors: kUnsupported for a key that starts like none of the known kinds; kDataLoss for a known kind of a wrong form.
Result<Key> ParseKey(std::string_view bytes);

/// For people: `D(1,"a.bin")`, `I(7)`, `C(3,0)`, `counter nextInode`. Inodes of the trash are written T and T+1.
std::string DescribeKey(const Key& key);
/// The same for raw bytes after the prefix; bytes that do not parse are shown as `unknown key 0x...`.
std::string DescribeKey(std::string_view key_bytes);
/// "7", "T", "T+1".
std::string InodeText(Inode inode);

std::ostream& operator<<(std::ostream& out, const Key& key);

}  // namespace kvjury::juicefs
