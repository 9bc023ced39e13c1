// What JuiceFS makes of a chunk's records before it reads, copies or compacts them. Plain functions of the records.
//
// OverlayRecords cuts exactly where JuiceFS does: neighbours that continue each other are not merged and cut zeros keep the place that they
// had in their record, because copies and compactions write such pieces down. For what a reader sees, pieces.h is simpler.
// Not here: reading and writing of blocks, transactions (operations_compact.cc). Source: JuiceFS 1.4, slices of the base metadata.
#pragma once

#include <optional>
#include <vector>

#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

/// Records that a compaction looks at, from the first on.
inline constexpr size_t kCompactedRecordsMax = 1000;

/// The visible pieces in order of their place, without gaps from 0 to the end of the last one. Zeros have id 0.
std::vector<SliceRecord> OverlayRecords(const std::vector<SliceRecord>& records);

struct CompactionPlan {
  uint32_t skipped = 0;   // records in front that stay
  uint32_t replaced = 0;  // records behind them that become one; at least 2
  uint32_t position = 0;  // of the new record in the chunk
  uint32_t size = 0;      // of the new slice, > 0
  std::vector<SliceRecord> pieces;  // what the new slice holds, in order; their lengths add up to `size`
};

/// Absent: nothing to do.
std::optional<CompactionPlan> PlanCompaction(std::vector<SliceRecord> records);

}  // namespace kvjury::juicefs
