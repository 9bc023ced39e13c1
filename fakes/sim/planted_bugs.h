// Planted bugs: guards of our own code that can be taken away at run time, by name. The judge must convict each.
//
// A planted bug is never a fault: a fault is something the real world does and is survived; a planted bug is a wrong
// version of our code. The site of each asks `bugs.On(Bug::k...)`. What makes it matter is a trigger of the case.
// Owned by the world. The catalogue is scenarios/bugs; sources: the public defects that each imitates.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "fakes/base/status.h"

namespace kvjury::sim {

enum class Bug : uint8_t {
  kEmptyTreeReadsAsComplete,
  kMaxTsNotPushed,
  kMemoryLockUnseen,
  kOneKeyOfAPair,
  kTwoTimestampsOneBackup,
  kLastRegionEmptyEndKey,
  kEncodedEmptyBoundary,
  kValueOrCommitFamilyMissing,
  kRightNameWrongFile,
  kNewerTombstoneHidesRestore,
  kTargetClockBehind,
  kSplitKeysUnencoded,
  // Of dumps and loads.
  kInodeCounterRewound,
  kSkipTrashLowersNextId,
  kAclIdCollision,
  kAclLeaksToNextNode,
  kXattrDoubleEscaped,
  kNamesNotUtf8,
  kAttributeFieldForgotten,
  kQuotaLost,
  kUsageCountersZero,
  kNlinkCountsHiddenLinks,
  kParentSetLost,
  kSliceRefsLost,
  kDumpBufferReused,
  kBatchLimitTruncates,
  kKeyPrefixConfusion,
  kDanglingEdgeOrInode,
  kDirectoryListingChanges,
  kSubdirLoadWrongRoot,
  kSustainedFilesLeak,
  kLockWithoutSession,
  kTrashDangling,
  kHalfCloneLeft,
  // Of the restored volume in use.
  kSliceIdsReissued,
  kClientsKeepOldIdBatches,
  kMetadataOlderThanObjects,
  kCleanerDeletesLiveBlocks,
  kTwoMastersOneBucket,
  kRepairOverwritesNewDelta,
  kConsumersSeeTimeGoBack,
};
inline constexpr size_t kBugCount = 41;

struct BugInfo {
  Bug bug;
  std::string_view name;
  /// Which guard is taken away, in one sentence.
  std::string_view guard;
  /// Codes of the checks that must convict it, separated by commas; any one suffices.
  std::string_view checks;
};

/// All planted bugs in the order of the enum.
const std::array<BugInfo, kBugCount>& AllBugs();

/// Errors: kInvalidArgument naming the known bugs.
Result<Bug> FindBug(std::string_view name);

class PlantedBugs {
 public:
  void SwitchOn(Bug bug) { on_[static_cast<size_t>(bug)] = true; }

  /// True if the guard at the calling site is taken away. Counts how often the site was reached with the bug on.
  bool On(Bug bug) {
    const auto index = static_cast<size_t>(bug);
    if (!on_[index]) {
      return false;
    }
    ++reached_[index];
    return true;
  }
  [[nodiscard]] bool is_on(Bug bug) const { return on_[static_cast<size_t>(bug)]; }
  [[nodiscard]] uint64_t reached(Bug bug) const { return reached_[static_cast<size_t>(bug)]; }

 private:
  std::array<bool, kBugCount> on_{};
  std::array<uint64_t, kBugCount> reached_{};
};

/// As On, for code that may run outside of a world.
inline bool BugOn(PlantedBugs* bugs, Bug bug) { return bugs != nullptr && bugs->On(bug); }

}  // namespace kvjury::sim
