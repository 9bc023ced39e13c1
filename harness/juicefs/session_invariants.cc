// Checks of what outlives its owner: sustained inodes and locks of sessions that are gone, clones that were not finished.
#include <fmt/format.h>

#include "harness/juicefs/invariant_context.h"

namespace kvjury::juicefs {

namespace {

void CheckLockSession(const InvariantContext& context, const Key& key, uint64_t session, InvariantResult* result) {
  ++result->counted;
  if (!context.HasSession(session)) {
    AddViolation(result, key, fmt::format("a lock of session {}, which has no record: nobody releases it", session));
  }
}

/// Inodes in the clone, without its top.
uint64_t CountBelow(const InvariantContext& context, Inode top) {
  std::set<Inode> inodes;
  context.ForEachEntryBelow(top, [&inodes](const Dentry& entry) {
    inodes.insert(entry.inode);
    return entry.type == kTypeDirectory;
  });
  return inodes.size();
}

}  // namespace

InvariantResult CheckSustainedSessions(const InvariantContext& context) {
  InvariantResult result{kInvariantSustainedSessions, 0, {}};
  for (const auto& [session, inode] : context.image.sustained) {
    ++result.counted;
    if (!context.HasSession(session)) {
      AddIssue(&result, context.options.after_binary_load ? IssueSeverity::kHazard : IssueSeverity::kViolation, SustainedKey(session, inode),
               fmt::format("is kept for session {}, which has no record: nobody deletes it", session));
    }
  }
  return result;
}

InvariantResult CheckLockSessions(const InvariantContext& context) {
  InvariantResult result{kInvariantLockSessions, 0, {}};
  for (const auto& [inode, locks] : context.image.flocks) {
    for (const Flock& lock : locks) {
      CheckLockSession(context, FlocksKey(inode), lock.session, &result);
    }
  }
  for (const auto& [inode, locks] : context.image.plocks) {
    for (const Plock& lock : locks) {
      CheckLockSession(context, PlocksKey(inode), lock.session, &result);
    }
  }
  return result;
}

InvariantResult CheckDetached(const InvariantContext& context) {
  InvariantResult result{kInvariantDetached, 0, {}};
  for (const auto& [inode, seconds] : context.image.detached) {
    ++result.counted;
    const Attr* attr = context.image.FindAttr(inode);
    if (attr == nullptr) {
      AddViolation(&result, DetachedKey(inode), "marks an inode without a record: cleaning never ends");
    } else if (attr->type != kTypeDirectory) {
      AddViolation(&result, DetachedKey(inode), fmt::format("marks an inode of type {}: expected a directory", attr->type));
    } else {
      AddHazard(&result, DetachedKey(inode), fmt::format("half a clone: a directory with {} inodes below it is not attached yet",
                                                         CountBelow(context, inode)));
    }
  }
  return result;
}

}  // namespace kvjury::juicefs
