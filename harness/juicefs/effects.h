// Effects: what a writer understood one of its transactions to do, in file-system words and never in keys.
//
// Written by the writer for every transaction that it sent with changes; the judge's model applies those of committed
// transactions by commit timestamp. Transactions that change nothing a mount shows (id batches, sessions, usage flushes,
// deletion of file data) have no effects but are listed, so that a history can be counted whole.
// Not here: usage counters and directory statistics (eventual values). Units: nanoseconds inside attributes, virtual
// microseconds elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "harness/juicefs/attr.h"
#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

/// The inode now has exactly this attribute; it may be new.
struct SetAttrEffect {
  Inode inode;
  Attr attr;
};
/// The inode is gone, and with it its link target, xattrs and content.
struct RemoveInodeEffect {
  Inode inode;
};
/// A name that was free now leads to `inode`.
struct AddDentryEffect {
  Inode directory;
  Bytes name;
  Inode inode;
  uint8_t type = 0;
};
/// A name that led to `inode` is free.
struct RemoveDentryEffect {
  Inode directory;
  Bytes name;
  Inode inode;
};
struct SetSymlinkEffect {
  Inode inode;
  Bytes target;
};
/// May name an inode that is gone: setting an xattr does not look at the inode.
struct SetXattrEffect {
  Inode inode;
  Bytes name;
  Bytes value;
};
struct RemoveXattrEffect {
  Inode inode;
  Bytes name;
};
/// `length` bytes at `position` of chunk `chunk` come from `offset` of slice `slice_id` from now on (0: they are zero).
struct AppendSliceEffect {
  Inode inode;
  uint32_t chunk = 0;
  uint32_t position = 0;
  uint64_t slice_id = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
};
/// A compaction: of what was appended to the chunk so far, `count` from number `first` on became one: `length` bytes at `position`
/// that come from the beginning of slice `slice_id`. The bytes that a reader gets are the same.
struct ReplaceSlicesEffect {
  Inode inode;
  uint32_t chunk = 0;
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t position = 0;
  uint64_t slice_id = 0;
  uint32_t length = 0;
};

/// Rule `id` has this content for ever; attributes name it. Two ids may have one content.
struct SetAclRuleEffect {
  uint32_t id = 0;
  AclRule rule;
};

using Effect = std::variant<SetAttrEffect, RemoveInodeEffect, AddDentryEffect, RemoveDentryEffect, SetSymlinkEffect,
                            SetXattrEffect, RemoveXattrEffect, AppendSliceEffect, ReplaceSlicesEffect, SetAclRuleEffect>;

/// One line for people: "AddDentry 1/a.bin -> 7".
std::string DescribeEffect(const Effect& effect);

enum class TransactionKind : uint8_t {
  kOperation,       // of an operation itself
  kTrashDirectory,  // makes an hour directory, before the operation that needs it
  kIdBatch,         // inode numbers, slice ids, the id of an ACL rule
  kSession,         // session records
  kUsageFlush,      // usedSpace, totalInodes, directory statistics
  kDataDeletion,    // chunks and slice references of a removed file
  kCompaction,      // several records of a chunk become one
  kElection,        // who does a background job: a counter is set to now, or the xattr lastBackup of the root
  kCleanup,         // of a background job: what the trash, a compaction or a half-made clone left
};
const char* TransactionKindName(TransactionKind kind);

/// One transaction that was sent to be committed and not refused.
struct DeclaredTransaction {
  std::string label;  // "w1/op6/txn#1"
  TransactionKind kind = TransactionKind::kOperation;
  Timestamp start_ts;
  Timestamp commit_ts;        // invalid when `undetermined`
  bool undetermined = false;  // the answer was lost: the store knows whether and when it committed
  Bytes primary_key;          // full key, the smallest one that was written
  Micros invoked_us = 0;      // the operation (or background step) began
  Micros acknowledged_us = 0; // this transaction's answer was known
  std::vector<Effect> effects;
};

}  // namespace kvjury::juicefs
