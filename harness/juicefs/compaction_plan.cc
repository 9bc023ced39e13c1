#include "harness/juicefs/compaction_plan.h"

#include <algorithm>

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kSkippedBytesMin = 1U << 20;

/// Splits the piece that covers `position`, if its beginning is elsewhere; returns the index of the first piece at or behind it.
size_t CutAt(uint32_t position, std::vector<SliceRecord>* pieces) {
  for (size_t i = 0; i < pieces->size(); ++i) {
    SliceRecord& piece = (*pieces)[i];
    if (position <= piece.position) {
      return i;
    }
    const uint32_t kept = position - piece.position;
    if (kept < piece.length) {
      SliceRecord right = piece;
      right.position = position;
      right.offset += kept;
      right.length -= kept;
      piece.length = kept;
      pieces->insert(pieces->begin() + static_cast<ptrdiff_t>(i) + 1, right);
      return i + 1;
    }
  }
  return pieces->size();
}

/// Zeros up to `position` at either end, so that the pieces stay without gaps.
void ExtendTo(uint32_t position, std::vector<SliceRecord>* pieces) {
  if (pieces->empty()) {
    return;
  }
  SliceRecord zeros;
  const uint32_t begin = pieces->front().position;
  const uint32_t end = pieces->back().position + pieces->back().length;
  if (position < begin) {
    zeros.position = position;
    zeros.length = begin - position;
    pieces->insert(pieces->begin(), zeros);
  } else if (position > end) {
    zeros.position = end;
    zeros.length = position - end;
    pieces->push_back(zeros);
  }
}

struct Compacted {
  uint32_t position = 0;
  uint32_t size = 0;
  std::vector<SliceRecord> pieces;
};

Compacted Compact(const std::vector<SliceRecord>& records) {
  Compacted result;
  result.pieces = OverlayRecords(records);
  std::vector<SliceRecord>& pieces = result.pieces;
  while (pieces.size() > 1 && pieces.front().id == 0) {
    result.position += pieces.front().length;
    pieces.erase(pieces.begin());
  }
  while (pieces.size() > 1 && pieces.back().id == 0) {
    pieces.pop_back();
  }
  if (pieces.size() == 1 && pieces.front().id == 0) {
    pieces.front().length = 1;  // nothing but zeros
  }
  for (const SliceRecord& piece : pieces) {
    result.size += piece.length;
  }
  return result;
}

/// Records in front that are large, whole and alone: rewriting them is not worth it.
size_t CountSkipped(const std::vector<SliceRecord>& records) {
  for (size_t skipped = 0; skipped < records.size(); ++skipped) {
    const std::vector<SliceRecord> rest(records.begin() + static_cast<ptrdiff_t>(skipped), records.end());
    const SliceRecord& first = rest.front();
    const Compacted compacted = Compact(rest);
    if (first.length < kSkippedBytesMin || uint64_t{first.length} * 5 < compacted.size || compacted.size == 0) {
      return skipped;
    }
    const SliceRecord& seen = compacted.pieces.front();
    if (compacted.position != first.position || seen.id != first.id || seen.offset != first.offset || seen.length != first.length ||
        std::find(rest.begin() + 1, rest.end(), first) != rest.end()) {
      return skipped;
    }
  }
  return records.size();
}

}  // namespace

std::vector<SliceRecord> OverlayRecords(const std::vector<SliceRecord>& records) {
  std::vector<SliceRecord> pieces;
  for (const SliceRecord& record : records) {
    const uint32_t end = record.position + record.length;
    ExtendTo(record.position, &pieces);
    const size_t first = CutAt(record.position, &pieces);
    if (first < pieces.size()) {
      // What this record hides ends with it, also where it begins before everything else.
      const uint32_t pieces_end = pieces.back().position + pieces.back().length;
      const size_t last = end >= pieces_end ? pieces.size() : CutAt(end, &pieces);
      pieces.erase(pieces.begin() + static_cast<ptrdiff_t>(first), pieces.begin() + static_cast<ptrdiff_t>(last));
    }
    pieces.insert(pieces.begin() + static_cast<ptrdiff_t>(first), record);
  }
  if (!pieces.empty() && pieces.front().position > 0) {
    SliceRecord zeros;
    zeros.size = pieces.front().position;
    zeros.length = pieces.front().position;
    pieces.insert(pieces.begin(), zeros);
  }
  return pieces;
}

std::optional<CompactionPlan> PlanCompaction(std::vector<SliceRecord> records) {
  records.resize(std::min(records.size(), kCompactedRecordsMax));
  const size_t skipped = CountSkipped(records);
  records.erase(records.begin(), records.begin() + static_cast<ptrdiff_t>(skipped));
  if (records.size() < 2) {
    return std::nullopt;
  }
  Compacted compacted = Compact(records);
  if (compacted.size == 0) {
    return std::nullopt;
  }
  return CompactionPlan{static_cast<uint32_t>(skipped), static_cast<uint32_t>(records.size()), compacted.position, compacted.size,
                        std::move(compacted.pieces)};
}

}  // namespace kvjury::juicefs
