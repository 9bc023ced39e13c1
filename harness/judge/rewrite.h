// What a tool that writes a volume anew (`juicefs dump` and `load`) promises of it, and what its form is known to lose.
//
// Such a tool names no timestamp and keeps no keys: the view must be the source's at some moment of its window, with what it leaves out on
// purpose left out (a trash that nobody asked for, everything beside a subdirectory) and what it counts anew counted anew (links in
// JSON). A known loss of the form is a difference all the same, with its reason named: who restores such a dump does not get that back.
// Of keys, this says which kinds come through as they are, which are made anew, and which do not come along.
// Source: JuiceFS 1.4, dump and load.
#pragma once

#include <optional>
#include <string>

#include "harness/juicefs/keys.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/view_diff.h"

namespace kvjury::judge {

struct RewriteForm {
  bool binary = false;
  /// Asked for without the trash.
  bool without_trash = false;
  /// Of a subdirectory: its inode, which becomes the root.
  Inode top = juicefs::kRootInode;

  [[nodiscard]] bool holds_trash() const { return binary || (!without_trash && top == juicefs::kRootInode); }
};

/// What the loaded volume should show of one that shows `source`; without usage counters. Empty if `top` is not there.
juicefs::View PromisedView(const juicefs::View& source, const RewriteForm& form);

enum class KeyPromise {
  kVerbatim,  // the same value
  kLimits,    // a quota's limits, its usage counted anew
  kMadeAnew,  // from what the dump holds: judged by invariants
  kDropped,   // not there afterwards
};
KeyPromise PromiseOf(const juicefs::Key& key, const RewriteForm& form);

/// Why the form cannot hold what differs (the left is the source's); empty: it can. `binary`: none if nobody knows which form it was.
std::string FormLoss(const juicefs::ViewDifference& difference, std::optional<bool> binary);

}  // namespace kvjury::judge
