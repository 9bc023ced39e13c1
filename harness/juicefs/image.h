// VolumeImage: every record of one volume, decoded and ordered, without judging it.
//
// Built from pairs without the volume's prefix. A pair that does not decode is kept as a problem with its key and the
// reason; nothing is dropped. Which records must fit together is asked by invariants.h, what a mount shows by view.h.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/juicefs/record.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

struct ImageProblem {
  Bytes key_bytes;         // without the volume's prefix
  std::optional<Key> key;  // absent: the key itself does not parse
  Status status;           // kUnsupported: a key of an unknown kind; kDataLoss: a wrong form

  /// "key 4b00..., K(1,8192): data loss: ...".
  [[nodiscard]] std::string ToString() const;
};

using ChunkMap = std::map<uint32_t, std::vector<SliceRecord>>;

struct VolumeImage {
  uint64_t pair_count = 0;

  std::optional<Setting> setting;
  std::map<Bytes, int64_t> counters;

  std::map<Inode, Attr> inodes;
  std::map<Inode, std::map<Bytes, Dentry>> dentries;       // by directory
  std::map<Inode, std::map<Inode, int64_t>> link_counts;   // by inode, then directory
  std::map<Inode, ChunkMap> chunks;
  std::map<Inode, Bytes> symlinks;
  std::map<Inode, std::map<Bytes, Bytes>> xattrs;
  std::map<uint32_t, AclRule> acl_rules;

  std::map<SliceName, int64_t> slice_references;
  std::map<std::pair<uint64_t, uint64_t>, std::vector<SliceName>> delayed_slices;  // by unix seconds and new slice id
  std::map<std::pair<Inode, uint64_t>, int64_t> deleted_files;                     // by inode and length: unix seconds
  std::set<std::pair<uint64_t, Inode>> sustained;                                  // session and inode
  std::map<Inode, int64_t> detached;                                               // unix seconds

  std::map<uint64_t, int64_t> session_expiries;
  std::map<uint64_t, Bytes> session_infos;
  std::map<uint64_t, int64_t> session_heartbeats;
  std::map<Inode, std::vector<Flock>> flocks;
  std::map<Inode, std::vector<Plock>> plocks;

  std::map<Inode, DirStat> dir_stats;
  std::map<Inode, Quota> dir_quotas;
  std::map<uint64_t, Quota> user_quotas;
  std::map<uint64_t, Quota> group_quotas;

  std::map<uint32_t, Bytes> delegation_tokens;
  std::map<std::pair<uint64_t, uint8_t>, Bytes> changelog;  // by start timestamp and shard

  std::vector<ImageProblem> problems;  // in key order

  /// Zero where the counter is absent.
  [[nodiscard]] int64_t Counter(const Bytes& name) const;
  /// Null where the inode has no record.
  [[nodiscard]] const Attr* FindAttr(Inode inode) const;
};

/// usedSpace and totalInodes as they must be when no client holds changes back: without the root and the trash's root, a hard link once.
struct CountedUsage {
  int64_t space = 0;
  int64_t inodes = 0;
};
CountedUsage CountUsage(const VolumeImage& image);

/// Never fails: see `problems`.
VolumeImage BuildImage(const KeyValues& pairs);

/// Puts one decoded record in its place.
void AddRecord(const Record& record, VolumeImage* image);

}  // namespace kvjury::juicefs
