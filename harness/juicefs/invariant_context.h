// Shared by the checks of invariants.h: the image with what several checks derive from it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "harness/juicefs/invariants.h"

namespace kvjury::juicefs {

/// Where an inode is listed.
struct EntryPlace {
  Inode directory;
  Bytes name;
  uint8_t type = 0;
};

struct InvariantContext {
  explicit InvariantContext(const VolumeImage& volume, const InvariantOptions& chosen);

  const VolumeImage& image;
  const InvariantOptions& options;
  std::map<Inode, std::vector<EntryPlace>> places;  // by listed inode
  std::set<Inode> sustained;                        // by any session

  [[nodiscard]] size_t PlaceCount(Inode inode) const;
  /// The inode lies in a clone that is not finished: its chain of parents ends at a detached directory.
  [[nodiscard]] bool InsideDetached(Inode inode) const;
  /// Calls `visit` for each entry below `top`, and goes down where that says so; into each directory once, cycles or not.
  void ForEachEntryBelow(Inode top, const std::function<bool(const Dentry& entry)>& visit) const;
  /// A record of the session is there, decodable or not.
  [[nodiscard]] bool HasSession(uint64_t session) const;
};

void AddIssue(InvariantResult* result, IssueSeverity severity, const Key& key, std::string text);
void AddViolation(InvariantResult* result, const Key& key, std::string text);
void AddHazard(InvariantResult* result, const Key& key, std::string text);

// One function a check; each counts what it looked at.
InvariantResult CheckSetting(const InvariantContext& context);
InvariantResult CheckDentries(const InvariantContext& context);
InvariantResult CheckLinks(const InvariantContext& context);
InvariantResult CheckDirectories(const InvariantContext& context);
InvariantResult CheckDirectoryNlink(const InvariantContext& context);
InvariantResult CheckReachable(const InvariantContext& context);
InvariantResult CheckOwners(const InvariantContext& context);
InvariantResult CheckChunks(const InvariantContext& context);
InvariantResult CheckSliceReferences(const InvariantContext& context);
InvariantResult CheckCounters(const InvariantContext& context);
InvariantResult CheckForms(const InvariantContext& context);
InvariantResult CheckTrash(const InvariantContext& context);
InvariantResult CheckSustainedSessions(const InvariantContext& context);
InvariantResult CheckLockSessions(const InvariantContext& context);
InvariantResult CheckDetached(const InvariantContext& context);

/// The seven of a volume at rest, in their order.
std::vector<InvariantResult> CheckAtRest(const InvariantContext& context);

}  // namespace kvjury::juicefs
