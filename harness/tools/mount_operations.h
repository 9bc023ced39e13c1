// MountOperations: the operations of a case as system calls on a mounted folder, with what they answered.
//
// One operation is one call where there is one (renameat2, fallocate, copy_file_range, flock, OFD locks, setxattr; ACLs are the extended
// attributes system.posix_acl_*); a write by path is open, pwrite, close. One is in flight at a time. The caller's user and group are those of
// the calling thread's file access meanwhile (without any capability where it is not root); from the constructor on the process's umask is 0 and
// it is in no supplementary group. Locks are those of open files (OFD), one for each owner and inode, opened for reading and writing: FUSE is told
// of them as of a process's, with another number as owner, and closing another descriptor drops none.
// Rules of the harness, so that a case can do no harm: no symbolic link is followed (one in the middle of a path is ENOTDIR), device files,
// pipes and sockets are never opened (EINVAL), nothing outside of the folder is touched (`..` is EINVAL). Locks never wait.
// NOT here: what a mount has no call for: clone, compact, remove_tree, quotas, restore_trash, tiers, skip_trash, Die (ENOSYS). Flags of
// an inode want a mount with --enable-ioctl.
// Blocks. Root only. Source: the manual pages of the calls. Units: bytes, nanoseconds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "fakes/base/descriptor.h"
#include "harness/judge/posix_result.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::tools {

class MountOperations {
 public:
  /// `folder`: where the volume is mounted.
  explicit MountOperations(std::string folder);

  /// False: there is no system call for it.
  static bool KnowsOperation(const record::Operation& operation);

  /// Carries out one operation of session `session`, which has handles and owners of locks of its own. Never fails otherwise than by errno.
  judge::PosixResult Do(uint32_t session, const record::Operation& operation);

  /// The inode number at a path; 0: there is none.
  [[nodiscard]] uint64_t InodeAt(const Bytes& path) const;

 private:
  using Shared = std::shared_ptr<Descriptor>;
  struct Place {
    int error = 0;
    Shared parent;
    std::string name;  // in `parent`; absolute for the root
  };
  struct File {
    int error = 0;
    Shared number;
  };

  [[nodiscard]] Place Resolve(const Bytes& path) const;
  /// A handle's file, or a regular file opened for this operation.
  [[nodiscard]] File OpenFile(uint32_t session, uint32_t handle, const Bytes& path, int flags) const;
  [[nodiscard]] int DoName(const record::Operation& operation) const;
  [[nodiscard]] int SetAttr(const record::SetAttr& change) const;
  [[nodiscard]] int SetFlags(const Bytes& path, uint32_t flags) const;
  judge::PosixResult DoData(uint32_t session, const record::Operation& operation);
  int Open(uint32_t session, const record::Open& open);
  judge::PosixResult CopyFileRange(const record::CopyFileRange& copy) const;
  judge::PosixResult DoLook(const record::Operation& operation) const;
  judge::PosixResult DoXattr(const record::Operation& operation) const;
  judge::PosixResult DoLock(uint32_t session, const record::Operation& operation);

  std::string folder_;
  std::map<std::pair<uint32_t, uint32_t>, Shared> handles_;  // by session and number
  // A lock belongs to an open file: one for each session, owner and inode.
  std::map<std::pair<std::pair<uint32_t, uint64_t>, uint64_t>, Shared> lock_files_;
};

}  // namespace kvjury::tools
