#include "fakes/base/compress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "fakes/base/random.h"

namespace kvjury {
namespace {

constexpr size_t kLimit = 1 << 20;

Bytes RandomBytes(size_t size) {
  RandomStream random(7);
  Bytes bytes;
  while (bytes.size() < size) {
    AppendBe64(&bytes, random.Next());
  }
  bytes.resize(size);
  return bytes;
}

// "hello hello hello" as the xz tool packs it.
Bytes XzHello() {
  return FromHex(
             "fd377a585a000004e6d6b4460200210116000000742fe5a3e00010000b5d00341949ee8de94f7e15e00000004b88e6da"
             "4480077600012711bc27f3901fb6f37d010000000004595a")
      .value();
}

TEST(Compress, MagicChoosesTheReader) {
  const Bytes text = "hello hello hello";
  EXPECT_EQ(DetectCompression(GzipCompress(text)), Compression::kGzip);
  EXPECT_EQ(DetectCompression(ZstdCompress(text)), Compression::kZstd);
  EXPECT_EQ(DetectCompression(text), Compression::kNone);
  EXPECT_EQ(DetectCompression(""), Compression::kNone);
  EXPECT_EQ(DecompressByMagic(GzipCompress(text), kLimit).value(), text);
  EXPECT_EQ(DecompressByMagic(ZstdCompress(text), kLimit).value(), text);
  EXPECT_EQ(DetectCompression(XzHello()), Compression::kXz);
  EXPECT_EQ(DecompressByMagic(XzHello(), kLimit).value(), text);
  EXPECT_EQ(DecompressByMagic(text, kLimit).value(), text);
}

TEST(Compress, EveryTruncationIsDataLossAndNeverAShorterResult) {
  const Bytes text = RandomBytes(300) + Bytes(1000, 'x');
  size_t truncations = 0;
  for (const Bytes& stream : {GzipCompress(text), ZstdCompress(text), XzHello()}) {
    for (size_t size = DetectCompression(stream) == Compression::kXz ? 6 : 4; size < stream.size(); ++size) {
      const Result<Bytes> result = DecompressByMagic(std::string_view(stream).substr(0, size), kLimit);
      ASSERT_FALSE(result.ok()) << size;
      ASSERT_EQ(result.error().code(), StatusCode::kDataLoss) << size;
      ++truncations;
    }
  }
  EXPECT_GT(truncations, 600u);
  Bytes damaged = XzHello();
  damaged[30] ^= 1;
  EXPECT_EQ(DecompressByMagic(damaged, kLimit).error().code(), StatusCode::kDataLoss);
}

TEST(Compress, OutputLargerThanTheLimitIsRefused) {
  const Bytes zeros(kLimit + 1, '\0');
  for (const Bytes& stream : {GzipCompress(zeros), ZstdCompress(zeros), zeros}) {
    EXPECT_EQ(DecompressByMagic(stream, kLimit).error().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(DecompressByMagic(stream, kLimit + 1).value().size(), kLimit + 1);
  }
}

TEST(Compress, ConcatenatedStreamsAreOne) {
  EXPECT_EQ(XzDecompress(XzHello() + XzHello(), kLimit).value(), "hello hello hellohello hello hello");
  EXPECT_EQ(XzDecompress(XzHello(), 16).error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(GzipDecompress(GzipCompress("ab") + GzipCompress("") + GzipCompress("cd"), kLimit).value(), "abcd");
  EXPECT_EQ(ZstdDecompress(ZstdCompress("ab") + ZstdCompress("cd"), kLimit).value(), "abcd");
}

TEST(Compress, BytesAfterTheEndAndFlippedBytesAreDataLoss) {
  const Bytes gzip = GzipCompress(RandomBytes(100));
  EXPECT_EQ(GzipDecompress(gzip + "garbage", kLimit).error().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ZstdDecompress(ZstdCompress("ab") + "garbage", kLimit).error().code(), StatusCode::kDataLoss);
  Bytes flipped = gzip;
  flipped[gzip.size() - 6] = static_cast<char>(flipped[gzip.size() - 6] ^ 1);  // in the CRC
  EXPECT_EQ(GzipDecompress(flipped, kLimit).error().code(), StatusCode::kDataLoss);
  EXPECT_EQ(GzipDecompress("", kLimit).error().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ZstdDecompress("", kLimit).error().code(), StatusCode::kDataLoss);
}

RC_GTEST_PROP(Compress, AnythingComesBackFromBothFormats, (const std::vector<uint8_t>& bytes, uint16_t repeat)) {
  Bytes text(bytes.begin(), bytes.end());
  text += Bytes(repeat, 'r');
  RC_CLASSIFY(text.size() > 64 * 1024, "longer than one buffer");
  RC_ASSERT(GzipDecompress(GzipCompress(text), kLimit).value() == text);
  RC_ASSERT(ZstdDecompress(ZstdCompress(text), kLimit).value() == text);
}

}  // namespace
}  // namespace kvjury
