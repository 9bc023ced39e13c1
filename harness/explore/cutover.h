// Cutover: what is to be done between a restore that succeeded and the first client of the restored volume.
//
// A restore brings the metadata of the cut back, and nothing else goes back in time with it: the bucket holds what was written after the cut
// and lacks what was deleted after it, ids were issued, clients remember. The procedure, as an operator does it (each step is left out by a
// planted bug):
//   1. nobody uses the restored volume: clients of the source are unmounted, or stand still until 4
//   2. objects that were deleted since the cut come back (versions of the bucket)           metadata-older-than-objects
//   3. nextInode, nextChunk, nextSession, nextTrash and aclMaxId are raised to the source's, which are above everything that was ever
//      issued, the batches that clients hold included                                      slice-ids-reissued, clients-keep-old-id-batches
//   4. clients that lived through it forget what they remember (a new mount)               consumers-see-time-go-back
//   5. usage is counted anew before the first client comes                                 repair-overwrites-new-delta
//   6. a bucket that a living source goes on using is only looked at: read-only mounts, no cleaner     two-masters-one-bucket
// Here are 2, 3 and 5; the rest is Afterlife's. A source of which only the bucket is left has no counters to be asked; its operator takes the
// largest id among the objects and adds a batch for each client (4,096 slices, 1,024 inodes), which is not modelled.
// Source: JuiceFS 1.4, what happens after a restore to an older point.
#pragma once

#include "harness/client/client.h"
#include "harness/explore/stage.h"

namespace kvjury::explore {

/// Step 2: what was deleted from `bucket` since the cut was asked for is there again.
void BringObjectsBack(Stage* stage, VolumeBucket* bucket, Micros cut_us);

/// Step 3, in one transaction on the target. Errors: those of the two clusters. Suspends.
sim::Task<Status> RaiseCounters(Stage* stage, client::Client* source, client::Client* target, const VolumeBucket* bucket);

/// Step 5: `juicefs fsck --path / -r --repair --sync-dir-stat`: reads everything, then, `pause_us` later, writes the totals. Right only while
/// no client works. Errors: those of the cluster. Suspends.
sim::Task<Status> RepairUsage(Stage* stage, client::Client* target, Micros pause_us);

}  // namespace kvjury::explore
