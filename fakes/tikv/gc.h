// Garbage collection of versions at a safe point, as TiKV's compaction filter leaves them.
//
// Versions above the safe point stay; below it only the newest Put stays, and nothing where a Delete is
// newest. The batch uses WriteBatch::Collect: the judge goes on seeing what was removed. Precondition: no
// lock with start_ts at or below the safe point (the caller resolves first). Not modelled: that compaction
// comes late and range by range; call it when you like.
#pragma once

#include <string_view>

#include "fakes/tikv/engine.h"
#include "fakes/base/ids.h"

namespace kvjury::tikv {

/// What to remove in [lower, upper) (memcomparable keys, an empty `upper` being no bound) at `safe_point`.
WriteBatch CollectGarbage(const Snapshot& snapshot, std::string_view lower, std::string_view upper,
                          Timestamp safe_point);

}  // namespace kvjury::tikv
