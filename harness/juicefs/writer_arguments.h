// What the bodies of the writer's transactions are given and give back. Internal to the writer.
//
// A body may run several times: it sets every output anew in each try.
#pragma once

#include <algorithm>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

/// What an inode counts in the statistics of its directory, times `sign`.
inline DirStat StatOf(const Attr& attr, int64_t sign) {
  const uint64_t length = attr.type == kTypeFile ? attr.length : 0;
  return {sign * static_cast<int64_t>(length), sign * static_cast<int64_t>(SpaceOf(length)), sign};
}

inline constexpr uint16_t kSetUserIdBit = 04000;
inline constexpr uint16_t kSetGroupIdBit = 02000;
inline constexpr uint16_t kStickyBit = 01000;

/// A directory with the sticky bit gives its entries away only to their owner, to its own owner and to root.
inline bool IsKeptBySticky(const Attempt& attempt, const Attr& parent, const Attr& attr) {
  return attempt.uid != 0 && (parent.mode & kStickyBit) != 0 && attempt.uid != parent.uid && attempt.uid != attr.uid;
}

// Flags of a rename.
inline constexpr uint32_t kRenameNoReplace = 1;
inline constexpr uint32_t kRenameRestore = 32;  // of RestoreTrash alone: also into a directory that lies in the trash

struct Writer::CreateArguments {
  Context* context = nullptr;  // for the transaction that takes an ACL rule's id
  uint8_t type = 0;
  uint32_t mode = 0;
  uint32_t rdev = 0;
  Bytes target;
  Inode parent;
  Bytes name;
  Inode inode;
};

struct Writer::LinkArguments {
  Inode inode;
  Inode parent;
  Bytes name;
};

struct Writer::RemoveArguments {
  Inode parent;
  Bytes name;
  bool skip_trash = false;
  Inode hour;  // 0: no trash
  // Out: a file whose data is to be deleted, or which lives on until it is closed.
  bool data_deleted = false;
  bool sustained = false;
  Inode inode;
  uint64_t length = 0;
  Inode trash;  // out: the hour that took the name; 0: none
};

struct Writer::RenameArguments {
  Inode from_parent;
  Bytes from_name;
  Inode to_parent;
  Bytes to_name;
  uint32_t flags = 0;
  RemoveArguments replaced;  // hour in; deleted data out
  QuotaMove move;            // between quotas of directories
  [[nodiscard]] bool IsSameName() const { return from_parent == to_parent && from_name == to_name; }
  // Read by RenameBody for RenameReplaced, and by CheckReplacement.
  Attr target_attr;
  Dentry source;
  Attr source_attr;
  Attr from_attr;
  Attr to_attr;
  Dentry target;
};

struct Writer::WriteArguments {
  Inode inode;
  bool by_handle = false;  // flags and trash were looked at when the file was opened
  uint32_t chunk = 0;
  SliceRecord slice;
  size_t records = 0;  // out: of the chunk now
};

struct Writer::TruncateArguments {
  Inode inode;
  bool by_handle = false;
  uint64_t length = 0;
};

struct Writer::AclArguments {
  Context* context = nullptr;
  Inode inode;
  bool is_default = false;
  AclRule rule;  // in; out of GetAclBody
};

struct Writer::SetAttrArguments {
  Context* context = nullptr;
  Inode inode;
  const record::SetAttr* change = nullptr;
};

struct Writer::XattrArguments {
  Inode inode;
  Bytes name;
  std::optional<Bytes> value;  // absent: remove
  uint32_t flags = 0;
};

struct Writer::ListArguments {
  Inode inode;
  std::vector<Bytes> names;
  std::vector<Dentry> entries;  // of the same order
};

struct Writer::ReadArguments {
  Context* context = nullptr;  // for the transaction that writes the access time
  Inode inode;
  uint64_t offset = 0;
  uint64_t length = 0;
  Attr attr;
  std::map<uint32_t, std::vector<SliceRecord>> extents;
};

struct Writer::ReadlinkArguments {
  Inode inode;
  std::optional<Bytes> target;  // out
};

struct Writer::InodeArguments {
  Inode inode;
};

struct Writer::LockArguments {
  Inode inode;
  uint64_t owner = 0;
  bool bsd = false;   // of the whole file
  PlockRange range;   // its type also for a BSD lock
};

struct Writer::IdArguments {
  const char* counter = nullptr;
  int64_t step = 0;
  int64_t value = 0;  // out: after the increment; SetIfOld: in, the new value
  bool changed = false;  // out of SetIfOld
};

struct Writer::TrashArguments {
  Bytes name;
  Inode hour;  // out
};

struct Writer::FlushArguments {
  std::vector<std::pair<Inode, DirStat>> directories;
  std::vector<Inode> recount;  // out: absent or negative
  Inode directory;             // RecountDirectory
  DirStat counted;             // out of RecountDirectory; nothing where the directory is gone
};

struct Writer::LinkCountsArguments {
  Inode inode;
  std::map<Inode, int64_t> counts;  // out: names in each directory
};

struct Writer::SessionArguments {
  std::string log;  // for the change log
  std::vector<std::pair<Key, Bytes>> records;
};

struct Writer::StaleArguments {
  uint64_t session = 0;
  KeyKind kind = KeyKind::kFlocks;    // of FindLeftovers: locks of one kind, or sustained inodes
  std::vector<uint64_t> sessions;     // out of FindSessions
  std::vector<std::pair<Key, uint64_t>> found;  // out of FindLeftovers, with the owner of a lock
  Key lock;                           // DropLocks: one owner's in one file
  uint64_t owner = 0;
};

struct Writer::FindArguments {
  Bytes start;
  Bytes end;
  std::vector<std::pair<Key, Bytes>> records;  // out of FindRecords, in of DeleteRecords
};

struct Writer::SliceArguments {
  SliceName slice;
  bool only_if_zero = false;       // DeleteReferences: EINVAL otherwise
  int64_t references = 0;          // out of ReadReferences: beyond the first
  Key delayed;                     // DropDelayed: an L key
  bool elected = true;             // DropDelayed: by the hourly job, not by a tool
  std::vector<SliceName> dropped;  // out of DropDelayed: no reference is left
};

struct Writer::QuotaArguments {
  std::vector<PendingQuota> pending;  // AddToQuotas
  QuotaKind kind = QuotaKind::kDirectory;
  uint64_t id = 0;
  Quota quota;           // SetQuotaBody: numbers below 0 are left alone
  bool created = false;  // out of SetQuotaBody
};

struct Writer::ChunkDeletionArguments {
  Inode inode;
  uint64_t length = 0;
  std::vector<uint32_t> chunks;  // out of ListChunks
  uint32_t chunk = 0;
  std::vector<SliceName> dropped;  // out of DeleteChunk: no reference is left
};

struct Writer::FallocateArguments {
  Inode inode;
  bool by_handle = false;
  uint32_t mode = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct Writer::CopyArguments {
  Inode from;
  uint64_t from_offset = 0;
  Inode to;
  uint64_t to_offset = 0;
  uint64_t length = 0;
  // Out.
  uint64_t copied_bytes = 0;
  std::map<uint32_t, std::vector<SliceRecord>> added;  // by chunk of the target
  std::map<SliceName, int64_t> references;             // as many more as pieces were added
};

struct Writer::CompactArguments {
  Inode inode;
  uint32_t chunk = 0;
  std::vector<SliceRecord> seen;    // what the chunk must still begin with
  std::vector<SliceRecord> pieces;  // what the new slice holds
  uint32_t skipped = 0;
  SliceRecord made;
};

struct Writer::CloneArguments {
  Inode source;
  Inode parent;  // of the copy
  Bytes name;
  Inode made;
  bool top = false;
  bool preserve = false;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<std::pair<Bytes, Inode>> children;  // CloneBatchBody: names and sources
  std::vector<Inode> children_made;
  Attr source_attr;  // out of CloneBody
};

struct Writer::BatchUnlinkArguments {
  struct Entry {
    Bytes name;
    Dentry dentry;
    Inode hour;  // 0: no trash for this one
  };
  Inode directory;
  std::vector<std::pair<Bytes, Inode>> names;  // and what they led to when they were listed
  Inode hour;
  // Read by BatchUnlinkRead for BatchUnlinkBody.
  Attr parent;
  std::vector<Entry> entries;
  std::map<Inode, Attr> attrs;
  std::vector<RemoveArguments> dropped;  // out: files with nothing left
};

struct Writer::SustainedArguments {
  uint64_t session = 0;
  Inode inode;
  bool data_deleted = false;  // out
  uint64_t length = 0;        // out
};

}  // namespace kvjury::juicefs
