// Streams in pieces of every size against the whole-buffer functions.
#include "fakes/base/compress_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "fakes/base/file_source.h"
#include "fakes/base/random.h"

namespace kvjury {
namespace {

constexpr size_t kLimit = size_t{8} << 20;

/// Gives at most `step` bytes at a time.
class SlowSource : public ByteSource {
 public:
  SlowSource(std::string_view bytes, size_t step) : source_(bytes), step_(step) {}
  Result<size_t> Read(char* out, size_t capacity) override { return source_.Read(out, std::min(capacity, step_)); }

 private:
  MemorySource source_;
  size_t step_;
};

/// Lines that repeat and random ones, about a megabyte.
Bytes Text() {
  RandomStream random(5);
  Bytes text;
  while (text.size() < 1'000'000) {
    text += "a line that repeats\n" + std::to_string(random.Next()) + "\n";
  }
  return text;
}

Bytes CompressInSteps(Compression form, std::string_view text, size_t step) {
  Bytes out;
  MemorySink memory(&out);
  const std::unique_ptr<ByteSink> sink = MakeCompressor(form, &memory);
  for (size_t at = 0; at < text.size(); at += step) {
    CHECK(sink->Write(text.substr(at, step)).ok());
  }
  CHECK(sink->Finish().ok());
  return out;
}

Result<Bytes> ReadInSteps(std::string_view bytes, size_t step) {
  SlowSource slow(bytes, step);
  Result<std::unique_ptr<ByteSource>> opened = OpenDecompressed(&slow);
  return opened.ok() ? ReadAll(opened->get(), kLimit) : opened.error();
}

TEST(CompressStream, EveryFormComesBackInPiecesOfEverySize) {
  const Bytes text = Text();
  for (const Compression form : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    for (const size_t step : {size_t{1000}, size_t{65536}, text.size()}) {
      const Bytes compressed = CompressInSteps(form, text, step);
      EXPECT_EQ(DetectCompression(compressed), form);
      EXPECT_EQ(DecompressByMagic(compressed, kLimit).value() == text, true) << step;
      EXPECT_EQ(ReadInSteps(compressed, step).value() == text, true) << step;
    }
    EXPECT_EQ(ReadInSteps(CompressInSteps(form, text, 4096), 1).value() == text, true) << "byte by byte";
    EXPECT_EQ(ReadInSteps(CompressInSteps(form, "", 1), 1).value(), "");
  }
  EXPECT_EQ(ReadInSteps(GzipCompress("one ") + GzipCompress("two"), 3).value(), "one two") << "members in a row";
}

TEST(CompressStream, TruncationAndBytesAfterTheEndAreDataLoss) {
  const Bytes text = Text();
  size_t refused = 0;
  for (const Compression form : {Compression::kGzip, Compression::kZstd}) {
    const Bytes compressed = CompressInSteps(form, text, 4096);
    for (size_t size = 8; size < compressed.size(); size += compressed.size() / 7) {
      const Result<Bytes> cut = ReadInSteps(std::string_view(compressed).substr(0, size), 1000);
      ASSERT_FALSE(cut.ok()) << size;
      EXPECT_THAT(cut.error().message(), testing::HasSubstr("stream is truncated"));
      ++refused;
    }
    EXPECT_EQ(ReadInSteps(compressed + "tail", 1000).error().code(), StatusCode::kDataLoss);
  }
  EXPECT_GE(refused, 14u);
}

TEST(CompressStream, TheNameOfAFileChoosesTheForm) {
  EXPECT_EQ(CompressionOfName("m.json.gz"), Compression::kGzip);
  EXPECT_EQ(CompressionOfName("m.json.zst"), Compression::kZstd);
  EXPECT_EQ(CompressionOfName("m.json.zstd"), Compression::kZstd);
  EXPECT_EQ(CompressionOfName("gz"), Compression::kNone);
}

TEST(FileSource, ReadsAFileAndNamesOneThatIsNotThere) {
  const std::string path = testing::TempDir() + "/file_source_test";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  std::fputs("content", file);
  std::fclose(file);
  EXPECT_EQ(ReadAll(OpenFileSource(path).value().get(), kLimit).value(), "content");
  EXPECT_EQ(ReadAll(OpenFileSource(path).value().get(), 6).error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenFileSource(path + ".none").error().ToString(), Status::NotFound("no file \"" + path + ".none\"").ToString());
  EXPECT_EQ(OpenFileSource(testing::TempDir()).error().code(), StatusCode::kEnvironment);
}

}  // namespace
}  // namespace kvjury
