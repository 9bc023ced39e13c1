// PosixModel: what every operation of a mount must answer, and what the volume is afterwards; ignorant of keys.
//
// Beside the model of effects (model.h), which takes a writer's word for what it did, this one takes the operation alone and says the result:
// errno for errno, names, attributes, bytes. It is the third witness between a real mount and a session of ours.
// An operation has two steps, as on a real mount: its paths are looked up (Resolve), then it is carried out on what was found (DoAt). With one
// operation at a time both see one state (Do). With several, look-ups may lie earlier than the commit.
// Modelled: what the kernel refuses before JuiceFS is asked; the trash (a removed file keeps its links and moves), flags, set-user-id bits,
// access by mode and ACL, limits of the volume and of directories, users and groups, handles that keep removed files, BSD and POSIX locks.
// Rules of the harness, where a path names something that a case does not open: data operations on what is no regular file are EISDIR for a
// directory, else EINVAL, and so are locks and flags, which want an open file; symbolic links are never followed. NOT modelled: umask, capabilities
// but root's, groups beside the caller's own, what the kernel does to set-id bits when somebody else than root writes or creates, ACLs that are set by
// the names of their extended attributes, statfs below a directory's limit or while a written file is open (both are flushed late: no numbers), the
// order of readdir, the clean-up of the trash, `juicefs` commands (clone, compact, rmr, restore: KnowsOperation says no).
// Source: observed on mounts of JuiceFS 1.4.2 through Linux (scenarios/posix/errno_table.txt), POSIX.1. Determinism: pure. Units: nanoseconds.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "harness/judge/posix_locks.h"
#include "harness/judge/posix_tree.h"
#include "harness/juicefs/mount_options.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::judge {

struct PosixModelOptions {
  TimeSpan formatted_ns;     // when the root was made
  bool trash = true;         // removed files go there
  /// A directory's times may stay as old as this when only its names change.
  int64_t skip_dir_mtime_ns = 100'000'000;
  bool acl = true;                  // formatted with --enable-acl
  bool protected_hardlinks = false;  // fs.protected_hardlinks: whom a file does not belong to, and who may not write it, makes no links of it
  juicefs::AtimeMode atime = juicefs::AtimeMode::kNoAtime;  // of every mount
  uint64_t capacity_bytes = 0;      // limits of the volume; 0: none
  uint64_t inodes_max = 0;
};

class PosixModel {
 public:
  explicit PosixModel(const PosixModelOptions& options);

  /// False: no answer to it is modelled.
  static bool KnowsOperation(const record::Operation& operation);

  /// The places of the operation's paths, as they are now: `from` (or the only one), then `to`.
  struct Places {
    PosixPlace first;
    PosixPlace second;
  };
  [[nodiscard]] Places Resolve(const record::Operation& operation) const;

  /// Carries out an operation of session `session` on what was resolved (perhaps in an earlier state of this model) within `now`. Never fails
  /// otherwise than by errno, and then it changed nothing but access times and the trash's hour. The operation must be known.
  PosixResult DoAt(uint32_t session, const record::Operation& operation, const Places& places, TimeSpan now);
  /// Both steps at once.
  PosixResult Do(uint32_t session, const record::Operation& operation, TimeSpan now) { return DoAt(session, operation, Resolve(operation), now); }

  [[nodiscard]] const PosixTree& tree() const { return tree_; }
  /// The node that the last operation made; kNoNode: none.
  [[nodiscard]] NodeId created() const { return created_; }
  /// True: the last operation was refused in front of JuiceFS, so that no client was asked for it: by the kernel, which looks at what this caller
  /// may do and at names of extended attributes, or because the witness has no file open for its lock.
  [[nodiscard]] bool refused_in_front() const { return refused_in_front_; }
  /// What the volume calls a node: names in the trash hang on it.
  void SetInode(NodeId node, uint64_t inode) { tree_.SetInode(node, inode); }

 private:
  struct Call {
    uint32_t session;
    const record::Operation& operation;
    const PosixPlace& first;
    const PosixPlace& second;
    TimeSpan now;
  };
  struct Limit {
    uint64_t space_max = 0;
    uint64_t inodes_max = 0;
  };
  struct Handle {
    NodeId node = kNoNode;
    uint32_t flags = 0;
  };

  // posix_model.cc
  PosixResult InFront(int error);
  std::optional<PosixResult> DoName(const Call& call);
  std::optional<PosixResult> DoData(const Call& call);
  std::optional<PosixResult> DoAttribute(const Call& call);
  std::optional<PosixResult> DoSession(const Call& call);
  /// True: the caller may do all of `mask` (4 read, 2 write, 1 search) to the node.
  [[nodiscard]] bool MayAccess(NodeId node, const record::Operation& caller, uint32_t mask) const;
  /// EACCES or EPERM (sticky) when the caller may not take `node` out of `parent`.
  [[nodiscard]] int CheckRemovable(NodeId parent, NodeId node, const record::Operation& caller) const;
  /// ENOSPC or EDQUOT when so much more is over a limit.
  [[nodiscard]] int CheckLimits(NodeId parent, int64_t space, int64_t inodes, uint32_t uid, uint32_t gid) const;

  // posix_look.cc
  PosixResult Look(const Call& call);
  PosixResult StatFs(const Call& call) const;
  /// Somebody looked into the node: its access time is new where the mount's mode asks for that. Not `surely`: a mount may have answered from
  /// memory, or need not have opened it.
  void Touch(NodeId node, TimeSpan now, bool surely);

  // posix_names.cc
  PosixResult Create(const Call& call, uint8_t type, uint32_t mode);
  PosixResult Link(const Call& call);
  /// As fs.protected_hardlinks has it.
  [[nodiscard]] bool MayBeLinked(NodeId node, const record::Operation& caller) const;
  PosixResult Unlink(const Call& call);
  PosixResult Rmdir(const Call& call);
  PosixResult Rename(const Call& call);
  [[nodiscard]] int RenameRefused(const Call& call, uint32_t flags) const;
  /// A rename that nothing refuses. `target`: what is there.
  void Move(const Call& call, NodeId source, NodeId target, bool exchange);
  void InheritAcl(NodeId parent, PosixNode* node) const;
  /// The names of `directory` changed: its times do, at once or within the time that they may be skipped.
  void TouchDirectory(NodeId directory, bool at_once, TimeSpan now);
  /// The trash keeps what is removed from `parent`, but for files that say otherwise.
  [[nodiscard]] bool IsKept(NodeId parent, bool skip_trash) const { return options_.trash && !skip_trash && !tree_.IsTrash(parent); }
  /// Whatever may remove an entry of `parent` has the hour's folder of the trash made first, even if it is refused then or there is nothing to remove.
  void PrepareTrash(NodeId parent, bool skip_trash, TimeSpan now);
  /// `node` lost its name in `parent` (the entry is gone already).
  void Drop(NodeId parent, const Bytes& name, NodeId node, bool skip_trash, TimeSpan now);
  void MoveTo(NodeId node, NodeId directory, TimeSpan now);

  // posix_data.cc
  [[nodiscard]] std::pair<int, NodeId> FileOf(const Call& call, uint32_t handle, const PosixPlace& place, uint32_t mask) const;
  /// A file that an operation found by its path was opened for it (handle 0), before it was written.
  void TouchOpened(NodeId node, uint32_t handle, TimeSpan now, bool written);
  PosixResult Write(const Call& call);
  PosixResult Truncate(const Call& call);
  PosixResult Read(const Call& call);
  PosixResult Open(const Call& call);
  PosixResult Close(const Call& call);
  PosixResult Fallocate(const Call& call);
  PosixResult CopyFileRange(const Call& call);
  PosixResult SetLength(NodeId node, uint64_t length, TimeSpan now);
  void Changed(NodeId node, bool content, TimeSpan now);
  [[nodiscard]] bool IsOpen(NodeId node) const;

  // posix_attributes.cc
  PosixResult SetAttr(const Call& call);
  /// What the kernel refuses of it.
  [[nodiscard]] int SetAttrDenied(const Call& call) const;
  /// What the kernel says to an extended attribute of this name before JuiceFS is asked.
  [[nodiscard]] int XattrDenied(const Call& call, const Bytes& name, bool writes) const;
  PosixResult GetXattr(const Call& call);
  PosixResult SetXattr(const Call& call);
  PosixResult RemoveXattr(const Call& call);
  PosixResult SetAcl(const Call& call);
  PosixResult GetAcl(const Call& call);
  PosixResult ListXattr(const Call& call);
  PosixResult SetQuota(const Call& call);

  PosixModelOptions options_;
  PosixTree tree_;
  PosixLocks locks_;
  std::map<std::pair<uint32_t, uint32_t>, Handle> handles_;  // by session and number
  std::map<NodeId, Limit> directory_limits_;
  std::map<uint32_t, Limit> user_limits_;
  std::map<uint32_t, Limit> group_limits_;
  NodeId created_ = kNoNode;
  bool refused_in_front_ = false;
  bool asked_ = false;  // whatever follows is JuiceFS's answer
};

/// What a Write of this session writes.
Bytes BytesOfWrite(uint32_t session, const record::Operation& operation);

/// Paths of an operation: `from` and `to`, or the only one.
struct OperationPaths {
  std::optional<Bytes> first;
  std::optional<Bytes> second;
};
OperationPaths PathsOf(const record::Operation& operation);

/// As the xattr system.posix_acl_access or _default has it.
Bytes EncodeKernelAcl(const PosixAcl& acl);
PosixAcl AclOf(const record::SetAcl& change);

}  // namespace kvjury::judge
