#include "harness/juicefs/pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "fakes/base/digest.h"

namespace kvjury::juicefs {

namespace {

/// Where a record begins or ceases to cover.
struct Edge {
  uint64_t position = 0;
  size_t record = 0;
  bool begins = false;
};

void AppendMerged(const Piece& piece, std::vector<Piece>* pieces) {
  if (piece.length == 0) {
    return;
  }
  if (!pieces->empty()) {
    Piece& last = pieces->back();
    const bool both_zero = last.slice_id == 0 && piece.slice_id == 0;
    const bool continues = last.slice_id == piece.slice_id && last.slice_offset + last.length == piece.slice_offset;
    if (both_zero || continues) {
      last.length += piece.length;
      return;
    }
  }
  pieces->push_back(piece);
}

std::vector<Edge> EdgesOf(const std::vector<SliceRecord>& records, uint64_t length) {
  std::vector<Edge> edges;
  for (size_t i = 0; i < records.size(); ++i) {
    const uint64_t begin = std::min<uint64_t>(records[i].position, length);
    const uint64_t end = std::min<uint64_t>(uint64_t{records[i].position} + records[i].length, length);
    if (begin < end) {
      edges.push_back({begin, i, true});
      edges.push_back({end, i, false});
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::tie(a.position, a.record, a.begins) < std::tie(b.position, b.record, b.begins);
  });
  return edges;
}

}  // namespace

std::vector<Piece> EffectiveChunkPieces(const std::vector<SliceRecord>& records, uint64_t length) {
  length = std::min(length, kChunkBytes);
  std::vector<Piece> pieces;
  std::set<size_t> covering;
  uint64_t position = 0;
  // From one edge to the next the same records cover; the one that was appended last wins.
  const auto advance_to = [&](uint64_t next) {
    Piece piece;
    piece.length = next - position;
    if (!covering.empty() && records[*covering.rbegin()].id != 0) {
      const SliceRecord& record = records[*covering.rbegin()];
      piece.slice_id = record.id;
      piece.slice_offset = uint64_t{record.offset} + (position - record.position);
    }
    AppendMerged(piece, &pieces);
    position = next;
  };
  for (const Edge& edge : EdgesOf(records, length)) {
    advance_to(edge.position);
    if (edge.begins) {
      covering.insert(edge.record);
    } else {
      covering.erase(edge.record);
    }
  }
  advance_to(length);
  return pieces;
}

std::vector<Piece> EffectivePieces(const ChunkMap& chunks, uint64_t file_length) {
  std::vector<Piece> pieces;
  uint64_t position = 0;
  for (const auto& [index, records] : chunks) {
    const uint64_t begin = uint64_t{index} * kChunkBytes;
    if (begin >= file_length) {
      break;
    }
    AppendMerged({0, 0, begin - position}, &pieces);
    const uint64_t length = std::min(kChunkBytes, file_length - begin);
    for (const Piece& piece : EffectiveChunkPieces(records, length)) {
      AppendMerged(piece, &pieces);
    }
    position = begin + length;
  }
  AppendMerged({0, 0, file_length - position}, &pieces);
  return pieces;
}

std::string ContentDigest(const std::vector<Piece>& pieces) {
  Bytes encoding;
  encoding.reserve(pieces.size() * 24);
  for (const Piece& piece : pieces) {
    AppendBe64(&encoding, piece.slice_id);
    AppendBe64(&encoding, piece.slice_offset);
    AppendBe64(&encoding, piece.length);
  }
  return fmt::format("xxh3:{:016x}", Hash64(encoding));
}

}  // namespace kvjury::juicefs
