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
  // Out: a file whose data is to be deleted, or which lives on until it is closed.
  bool data_deleted = false;
  bool sustained = false;
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
  bool by_handle = false;  // flags were looked at when the file was opened
  uint32_t chunk = 0;
  SliceRecord slice;
  size_t records = 0;  // out: of the chunk now
};

struct Writer::TruncateArguments {
  Inode inode;
  bool by_handle = false;
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

struct Writer::SliceArguments {
  SliceName slice;
  int64_t references = 0;  // out of ReadReferences: beyond the first
};

struct Writer::SustainedArguments {
  Inode inode;
  bool data_deleted = false;  // out
  uint64_t length = 0;        // out
};

}  // namespace kvjury::juicefs
