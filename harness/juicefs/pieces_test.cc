// Effective pieces against a byte-by-byte model.
#include "harness/juicefs/pieces.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace kvjury::juicefs {
namespace {

struct ModelByte {
  uint64_t slice_id = 0;
  uint64_t slice_offset = 0;
  friend bool operator==(const ModelByte&, const ModelByte&) = default;
};

/// Every record painted over the former ones, byte by byte.
std::vector<ModelByte> PaintNaively(const std::vector<SliceRecord>& records, uint64_t length) {
  std::vector<ModelByte> bytes(length);
  for (const SliceRecord& record : records) {
    for (uint64_t i = 0; i < record.length && record.position + i < length; ++i) {
      bytes[record.position + i] = record.id == 0 ? ModelByte{} : ModelByte{record.id, record.offset + i};
    }
  }
  return bytes;
}

std::vector<ModelByte> Spread(const std::vector<Piece>& pieces) {
  std::vector<ModelByte> bytes;
  for (const Piece& piece : pieces) {
    for (uint64_t i = 0; i < piece.length; ++i) {
      bytes.push_back(piece.slice_id == 0 ? ModelByte{} : ModelByte{piece.slice_id, piece.slice_offset + i});
    }
  }
  return bytes;
}

bool CanBeMerged(const Piece& a, const Piece& b) {
  return (a.slice_id == 0 && b.slice_id == 0) ||
         (a.slice_id != 0 && a.slice_id == b.slice_id && a.slice_offset + a.length == b.slice_offset);
}

RC_GTEST_PROP(PiecesProperty, EqualTheByteByByteModelAndAreMerged, ()) {
  const auto count = *rc::gen::inRange(0, 12);
  std::vector<SliceRecord> records;
  for (int i = 0; i < count; ++i) {
    SliceRecord record;
    record.position = *rc::gen::inRange<uint32_t>(0, 40);
    record.id = *rc::gen::inRange<uint64_t>(0, 4);
    record.offset = *rc::gen::inRange<uint32_t>(0, 5);
    record.length = *rc::gen::inRange<uint32_t>(0, 30);
    record.size = 100;
    records.push_back(record);
  }
  const auto length = *rc::gen::inRange<uint64_t>(0, 80);
  const std::vector<Piece> pieces = EffectiveChunkPieces(records, length);
  RC_CLASSIFY(pieces.size() > 3, "more than three pieces");
  RC_ASSERT(Spread(pieces) == PaintNaively(records, length));
  for (size_t i = 1; i < pieces.size(); ++i) {
    RC_ASSERT(!CanBeMerged(pieces[i - 1], pieces[i]));
  }
}

TEST(Pieces, HolesZeroRecordsAndBytesBeyondTheEndAreZeroOrAbsent) {
  const std::vector<SliceRecord> records = {{10, 7, 100, 20, 30}, {20, 0, 0, 5, 10}};
  EXPECT_EQ(EffectiveChunkPieces(records, 50),
            (std::vector<Piece>{{0, 0, 10}, {7, 20, 10}, {0, 0, 10}, {7, 40, 10}, {0, 0, 10}}));
  EXPECT_EQ(EffectiveChunkPieces(records, 15), (std::vector<Piece>{{0, 0, 10}, {7, 20, 5}}));
  EXPECT_TRUE(EffectiveChunkPieces(records, 0).empty());
}

TEST(Pieces, ATerabyteOfHolesIsOnePiece) {
  const ChunkMap chunks = {{0, {{0, 0, 0, 0, static_cast<uint32_t>(kChunkBytes)}}}, {5, {{3, 0, 0, 0, 100}}}};
  const uint64_t length = uint64_t{1} << 40;
  EXPECT_EQ(EffectivePieces(chunks, length), (std::vector<Piece>{{0, 0, length}}));
}

TEST(Pieces, ChunksAreJoinedAndThoseBeyondTheEndIgnored) {
  const ChunkMap chunks = {{0, {{static_cast<uint32_t>(kChunkBytes) - 5, 8, 10, 0, 5}}},
                           {1, {{0, 8, 10, 5, 5}}},
                           {2, {{0, 9, 10, 0, 10}}}};
  EXPECT_EQ(EffectivePieces(chunks, kChunkBytes + 3), (std::vector<Piece>{{0, 0, kChunkBytes - 5}, {8, 0, 8}}));
}

TEST(Pieces, OverlongRecordsOfDamagedChunksStayInsideTheChunk) {
  const std::vector<SliceRecord> records = {{UINT32_MAX, 4, 1, 0, UINT32_MAX}, {1, 5, 1, UINT32_MAX, UINT32_MAX}};
  EXPECT_EQ(EffectiveChunkPieces(records, UINT64_MAX), (std::vector<Piece>{{0, 0, 1}, {5, UINT32_MAX, kChunkBytes - 1}}));
}

TEST(Pieces, DigestTellsPiecesApart) {
  EXPECT_EQ(ContentDigest({}).substr(0, 5), "xxh3:");
  EXPECT_EQ(ContentDigest({}).size(), 21u);
  EXPECT_NE(ContentDigest({{1, 0, 2}}), ContentDigest({{1, 0, 3}}));
  EXPECT_NE(ContentDigest({{1, 0, 2}}), ContentDigest({{1, 1, 2}}));
  EXPECT_NE(ContentDigest({{1, 0, 2}}), ContentDigest({{2, 0, 2}}));
}

}  // namespace
}  // namespace kvjury::juicefs
