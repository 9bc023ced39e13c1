// What the bodies of the writer's transactions are given and give back. Internal to the writer.
//
// A body may run several times: it sets every output anew in each try.
#pragma once

#include <algorithm>

#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

inline constexpr uint16_t kSetUserIdBit = 04000;
inline constexpr uint16_t kSetGroupIdBit = 02000;
inline constexpr uint16_t kStickyBit = 01000;

/// A directory with the sticky bit gives its entries away only to their owner, to its own owner and to root.
inline bool IsKeptBySticky(const Attempt& attempt, const Attr& parent, const Attr& attr) {
  return attempt.uid != 0 && (parent.mode & kStickyBit) != 0 && attempt.uid != parent.uid && attempt.uid != attr.uid;
}

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
  // Out: a file whose data is to be deleted.
  bool data_deleted = false;
  Inode inode;
  uint64_t length = 0;
};

struct Writer::RenameArguments {
  Inode from_parent;
  Bytes from_name;
  Inode to_parent;
  Bytes to_name;
  uint32_t flags = 0;
  RemoveArguments replaced;  // hour in; deleted data out
  // Read by RenameBody for RenameReplaced.
  Dentry source;
  Attr source_attr;
  Attr from_attr;
  Attr to_attr;
  Dentry target;
};

struct Writer::WriteArguments {
  /// The file is opened for this write alone: flags and trash forbid it. (The real client looks at them a moment earlier, when it opens.)
  bool opens = true;
  Inode inode;
  uint32_t chunk = 0;
  SliceRecord slice;
};

struct Writer::TruncateArguments {
  Inode inode;
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

struct Writer::ChangeLogArguments {
  std::vector<std::pair<Key, int64_t>> records;  // out of ListChangeLog: by start timestamp, with the time in the text, nanoseconds
  std::vector<Key> batch;                        // to be removed
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
  int64_t value = 0;  // out: after the increment
};

struct Writer::TrashArguments {
  Bytes name;
  Inode hour;  // out
};

struct Writer::FlushArguments {
  const char* counter = nullptr;
  int64_t delta = 0;
  std::vector<std::pair<Inode, DirStat>> directories;
  std::vector<Inode> recount;  // out: absent or negative
  Inode directory;             // RecountDirectory
};

struct Writer::SessionArguments {
  Key key;
  Bytes value;
  bool read_first = false;
};

struct Writer::ChunkDeletionArguments {
  Inode inode;
  uint64_t length = 0;
  std::vector<uint32_t> chunks;  // out of ListChunks
  uint32_t chunk = 0;
  std::vector<SliceName> dropped;  // out of DeleteChunk: no reference is left
};

}  // namespace kvjury::juicefs
