// PosixTree: a volume as a plain tree of values: nodes, names, contents, attributes. No keys, no slices, no sessions.
//
// A node lives on after its last name is gone, as long as somebody looks at it; its number is never used again, so that two copies of one tree
// mean the same by it. The trash is a part of the tree: hour folders below a node of its own, whose entries are called by the inode numbers
// that a volume gave (SetInode tells them). Times are spans (posix_result.h). Source: JuiceFS 1.4 through the kernel; facts of mounts.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "fakes/base/bytes.h"
#include "harness/judge/posix_content.h"
#include "harness/judge/posix_result.h"

namespace kvjury::judge {

using NodeId = uint64_t;
inline constexpr NodeId kNoNode = 0;
inline constexpr NodeId kRootNode = 1;
inline constexpr NodeId kTrashNode = 2;

/// A POSIX ACL; permissions are three bits each, mask 0xFFFF: none.
struct PosixAcl {
  uint32_t owner = 0;
  uint32_t group = 0;
  uint32_t other = 0;
  uint32_t mask = 0xFFFF;
  std::map<uint32_t, uint32_t> users;
  std::map<uint32_t, uint32_t> groups;
  friend bool operator==(const PosixAcl&, const PosixAcl&) = default;
};

struct PosixNode {
  uint8_t type = 0;   // as JuiceFS's attribute has it (harness/juicefs/constants.h)
  uint32_t mode = 0;  // permission bits alone
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 1;
  uint32_t rdev = 0;
  uint8_t flags = 0;
  uint64_t inode = 0;         // what the volume calls it; 0: as the tree does
  NodeId parent = kNoNode;    // the directory of its name; none once it had several
  bool gone = false;          // no name and no handle leads here
  bool orphan = false;        // no name does, a handle may
  TimeSpan atime, mtime, ctime;
  FileContent content;
  Bytes target;
  std::map<Bytes, Bytes> xattrs;
  std::map<Bytes, NodeId> entries;
  std::optional<PosixAcl> access;
  std::optional<PosixAcl> inherited;

  [[nodiscard]] bool IsDirectory() const;
  [[nodiscard]] bool IsFile() const;
  /// What usage counters count for it.
  [[nodiscard]] uint64_t Space() const;
};

/// Where a path's last name stands.
struct PosixPlace {
  int error = 0;              // why it stands nowhere
  bool at_last_name = false;  // the error is about the last name; its directory is there
  NodeId parent = kNoNode;    // the root's: none
  Bytes name;                 // the root's: empty
  NodeId node = kNoNode;      // what is there
};

class PosixTree {
 public:
  /// An empty volume whose root was made at `now`.
  explicit PosixTree(TimeSpan now);

  [[nodiscard]] const PosixNode& at(NodeId id) const { return nodes_.at(id); }
  PosixNode& Mutable(NodeId id) { return nodes_.at(id); }
  NodeId Add(PosixNode node);
  [[nodiscard]] const std::map<NodeId, PosixNode>& nodes() const { return nodes_; }

  /// Resolves a path as the kernel does for a caller who may search where `may_search` says so, but follows no symbolic link: one in the middle
  /// is no directory. Errors: ENOENT, ENOTDIR, EACCES, ENAMETOOLONG, EINVAL for `..`.
  [[nodiscard]] PosixPlace Resolve(const Bytes& path, const std::function<bool(NodeId directory)>& may_search) const;
  [[nodiscard]] NodeId EntryOf(NodeId directory, const Bytes& name) const;
  [[nodiscard]] bool IsBelow(NodeId node, NodeId ancestor) const;
  /// The trash, or an hour folder of it.
  [[nodiscard]] bool IsTrash(NodeId directory) const;
  /// The hour folder of the trash for this moment, made if need be.
  NodeId TrashHour(TimeSpan now);
  [[nodiscard]] Bytes TrashName(NodeId parent, NodeId node, const Bytes& name) const;
  [[nodiscard]] uint64_t InodeOf(NodeId id) const;
  void SetInode(NodeId id, uint64_t inode) { nodes_.at(id).inode = inode; }
  /// All nodes that have a name, the trash's too, but neither root nor trash themselves.
  [[nodiscard]] uint64_t UsedInodes() const;
  [[nodiscard]] uint64_t UsedSpace() const;

  [[nodiscard]] PosixAttr AttrOf(NodeId id) const;

 private:
  std::map<NodeId, PosixNode> nodes_;
  NodeId next_ = kTrashNode + 1;
};

}  // namespace kvjury::judge
