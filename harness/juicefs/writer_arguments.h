// What the bodies of the writer's transactions are given and give back. Internal to the writer.
//
// A body may run several times: it sets every output anew in each try.
#pragma once

#include <algorithm>

#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

struct Writer::CreateArguments {
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
  Inode inode;
  uint32_t chunk = 0;
  SliceRecord slice;
};

struct Writer::TruncateArguments {
  Inode inode;
  uint64_t length = 0;
};

struct Writer::SetAttrArguments {
  Inode inode;
  const record::SetAttr* change = nullptr;
};

struct Writer::XattrArguments {
  Inode inode;
  Bytes name;
  std::optional<Bytes> value;  // absent: remove
};

struct Writer::ListArguments {
  Inode inode;
  std::vector<Bytes> names;
};

struct Writer::ReadArguments {
  Inode inode;
  uint64_t offset = 0;
  uint64_t length = 0;
  Attr attr;
  std::map<uint32_t, std::vector<SliceRecord>> extents;
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
};

struct Writer::SessionArguments {
  std::vector<std::pair<Key, Bytes>> records;
};

struct Writer::StaleArguments {
  uint64_t session = 0;
  KeyKind kind = KeyKind::kFlocks;    // of FindLeftovers: locks of one kind, or sustained inodes
  std::vector<uint64_t> sessions;     // out of FindSessions
  std::vector<std::pair<Key, uint64_t>> found;  // out of FindLeftovers, with the owner of a lock
  Key lock;                           // DropLocks: one owner's in one file
  uint64_t owner = 0;
  Inode inode;                        // DropSustained
  bool data_deleted = false;          // out of DropSustained
  uint64_t length = 0;
};

struct Writer::FindArguments {
  Bytes start;
  Bytes end;
  std::vector<std::pair<Key, Bytes>> records;  // out of FindRecords, in of DeleteRecords
};

struct Writer::BatchArguments {
  Inode parent;
  std::vector<std::pair<Bytes, Dentry>> entries;
  std::vector<std::pair<Inode, uint64_t>> deleted;  // out: files whose data is to be deleted, with their length
};

struct Writer::SliceArguments {
  SliceName slice;
  bool only_if_zero = false;
  Key delayed;                     // DropDelayed: an L key
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

}  // namespace kvjury::juicefs
