// The parts of TREE, DIFF and INV for a tool that writes the volume anew: shared by the checks, in front of nobody else.
#pragma once

#include "harness/judge/evidence.h"
#include "harness/judge/finding.h"

namespace kvjury::judge {

/// TREE: the target against the best moment of the window. Kinds: "torn-pair" (two entries that no moment showed together), "form-loss" (with
/// the reason), "entry", "field"; and of inodes that both have, the flags and the storage tier, which no mount shows.
void CompareRewrittenTree(const Evidence& evidence, Recorder* recorder);

/// DIFF: each key that comes through has a value that the source showed at some moment of the window, and none that does not come along is there.
void CompareRewrittenKeys(const Evidence& evidence, Recorder* recorder);

/// INV: ids that a left-out trash still uses are not given out again.
void CheckIdsOfTrash(const Evidence& evidence, Recorder* recorder);

}  // namespace kvjury::judge
