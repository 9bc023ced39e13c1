// The effective read pieces of a file: which bytes of which slices a reader gets.
//
// For every byte the last record of its chunk that covers it counts; id 0 and no record mean zero bytes; nothing exists at
// or beyond the file's length. Neighbours that continue each other are merged, so that two lists of records with the same
// effect give the same pieces. A compaction writes a new slice and therefore changes the pieces though not the bytes.
#pragma once

#include <string>
#include <vector>

#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

struct Piece {
  uint64_t slice_id = 0;      // 0: zero bytes
  uint64_t slice_offset = 0;  // 0 for zero bytes
  uint64_t length = 0;        // > 0
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// Pieces of the first `length` bytes (at most a chunk) in order and without gaps: their lengths add up to `length`.
std::vector<Piece> EffectiveChunkPieces(const std::vector<SliceRecord>& records, uint64_t length);

/// Pieces of a whole file, merged across chunks. Costs by records, not by length.
std::vector<Piece> EffectivePieces(const ChunkMap& chunks, uint64_t file_length);

/// Textual digest of pieces: "xxh3:" and 16 hex digits over (slice id, offset, length) of each.
std::string ContentDigest(const std::vector<Piece>& pieces);

}  // namespace kvjury::juicefs
