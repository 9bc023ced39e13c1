// QuotaBook: what one session knows of quotas: limits and usage as last read, and what its own operations added since.
//
// Modelled: limits are checked against the last reading plus the session's own changes, never against the store, so that several clients together
// may go beyond them; users and groups that were never read have no limit and are kept for ever, directories vanish with their record.
// Not here: reading, writing, who is above a directory (usage.cc). Source: JuiceFS 1.4, quotas of base metadata. Units: bytes, inodes.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "harness/juicefs/keys.h"
#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

enum class QuotaKind : uint8_t { kDirectory, kUser, kGroup };
inline constexpr QuotaKind kQuotaKinds[] = {QuotaKind::kDirectory, QuotaKind::kUser, QuotaKind::kGroup};

/// QD, QU or QG; `id`: inode, uid or gid.
Key QuotaKey(QuotaKind kind, uint64_t id);

/// What has not been written yet.
struct PendingQuota {
  QuotaKind kind = QuotaKind::kDirectory;
  uint64_t id = 0;
  int64_t space = 0;
  int64_t inodes = 0;
};

/// What an inode and all below it take.
struct TreeSize {
  int64_t space = 0;
  int64_t inodes = 0;
};
/// What a rename moves between quotas of directories.
struct QuotaMove {
  Inode from;     // the directory whose quota is the nearest above the source; invalid: none
  Inode to;       // above the target
  TreeSize size;  // of the source; nothing where both are the same
};

class QuotaBook {
 public:
  struct Entry {
    Quota stored;
    int64_t new_space = 0;
    int64_t new_inodes = 0;
    /// So much more would go beyond a limit. What is given back never does, and a limit of 0 or below is none.
    [[nodiscard]] bool ExceededBy(int64_t space, int64_t inodes) const;
  };

  /// nullptr: unknown, and without a limit.
  [[nodiscard]] const Entry* Find(QuotaKind kind, uint64_t id) const;
  [[nodiscard]] bool has_directories() const { return !Of(QuotaKind::kDirectory).empty(); }

  /// What the store holds now; the session's own changes stay.
  void Reload(QuotaKind kind, const std::map<uint64_t, Quota>& stored);
  /// Adds to a directory that is known; others have no quota.
  void AddToDirectory(Inode directory, int64_t space, int64_t inodes);
  /// Adds to a user and a group, known or not.
  void AddToOwner(uint32_t uid, uint32_t gid, int64_t space, int64_t inodes);

  /// Everything that changed, directories first.
  [[nodiscard]] std::vector<PendingQuota> Pending() const;
  /// `written` was added to the store.
  void Flushed(const std::vector<PendingQuota>& written);

 private:
  using Entries = std::map<uint64_t, Entry>;
  [[nodiscard]] const Entries& Of(QuotaKind kind) const { return entries_[static_cast<size_t>(kind)]; }
  Entries& Of(QuotaKind kind) { return entries_[static_cast<size_t>(kind)]; }
  void Add(QuotaKind kind, uint64_t id, int64_t space, int64_t inodes);

  Entries entries_[3];
};

}  // namespace kvjury::juicefs
