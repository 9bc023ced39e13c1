// Both codecs give back what was put in, and notice every damage.
#include "fakes/tikv/sst_file.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace kvjury::tikv {
namespace {

constexpr SstCompression kCompressions[] = {SstCompression::kNone, SstCompression::kSnappy, SstCompression::kLz4,
                                            SstCompression::kZstd};

std::vector<SstEntry> Entries(const std::map<Bytes, Bytes>& pairs) {
  std::vector<SstEntry> entries;
  for (const auto& [key, value] : pairs) {
    entries.push_back(SstEntry{"z" + key, value});
  }
  return entries;
}

std::vector<SstEntry> ManyEntries(size_t count) {
  std::map<Bytes, Bytes> pairs;
  for (size_t i = 0; i < count; ++i) {
    Bytes key;
    AppendBe64(&key, i * 7919);
    pairs[key] = Bytes(i % 300, static_cast<char>('a' + i % 26)) + std::to_string(i * i);
  }
  return Entries(pairs);
}

void ExpectRoundTrip(SstCodec codec) {
  uint64_t compared = 0;
  for (const SstCompression compression : kCompressions) {
    for (const size_t count : {size_t{1}, size_t{2}, size_t{5000}}) {
      const std::vector<SstEntry> entries = ManyEntries(count);
      Result<Bytes> file = WriteSst(entries, codec, compression);
      ASSERT_TRUE(file.ok()) << file.status();
      Result<std::vector<SstEntry>> read = ReadSst(*file);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(*read, entries);
      compared += read->size();
    }
  }
  EXPECT_EQ(compared, 4U * 5003U);
}

TEST(SstFile, RocksDbTablesRoundTripInEveryCompression) { ExpectRoundTrip(SstCodec::kRocksDb); }

TEST(SstFile, MemoryFilesRoundTrip) { ExpectRoundTrip(SstCodec::kMemory); }

TEST(SstFile, EqualEntriesMakeEqualFilesAndOthersAnotherSession) {
  auto file_of = [](const std::string& value) {
    const std::unique_ptr<SstFileWriter> writer = MakeSstFileWriter(SstCodec::kRocksDb, SstCompression::kZstd);
    EXPECT_TRUE(writer->Add("za", value).ok());
    return *writer->Finish();
  };
  const Bytes first = file_of("1");
  EXPECT_EQ(file_of("1"), first);
  const Bytes other = file_of("2");
  const size_t at = first.find("session.identity");
  ASSERT_NE(at, Bytes::npos);
  EXPECT_NE(first.substr(at, 36), other.substr(at, 36));
}

TEST(SstFile, KeysOutOfOrderAndEmptyFilesAreRefused) {
  for (const SstCodec codec : {SstCodec::kRocksDb, SstCodec::kMemory}) {
    const std::unique_ptr<SstFileWriter> writer = MakeSstFileWriter(codec, SstCompression::kZstd);
    ASSERT_TRUE(writer->Add("zb", "1").ok());
    EXPECT_EQ(writer->Add("zb", "2").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(writer->Add("za", "2").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(writer->entries(), 1U);
    EXPECT_EQ(writer->raw_bytes(), 3U);
    Result<Bytes> file = writer->Finish();
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(ReadSst(*file)->size(), 1U);
    EXPECT_EQ(MakeSstFileWriter(codec, SstCompression::kNone)->Finish().status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(SstFile, EveryFlippedByteOfASmallFileIsNoticed) {
  for (const SstCodec codec : {SstCodec::kRocksDb, SstCodec::kMemory}) {
    Result<Bytes> file = WriteSst(ManyEntries(40), codec, SstCompression::kZstd);
    ASSERT_TRUE(file.ok());
    uint64_t flipped = 0;
    for (size_t i = 0; i < file->size(); ++i) {
      for (const char mask : {'\x01', '\x80'}) {
        Bytes damaged = *file;
        damaged[i] = static_cast<char>(damaged[i] ^ mask);
        Result<std::vector<SstEntry>> read = ReadSst(damaged);
        ASSERT_FALSE(read.ok()) << "byte " << i << " of " << file->size();
        // A footer that names another version or checksum kind is a file that we do not read.
        const bool unsupported = read.status().code() == StatusCode::kUnsupported && i + 53 >= file->size();
        EXPECT_TRUE(unsupported || read.status().code() == StatusCode::kDataLoss) << "byte " << i << ": " << read.status();
        ++flipped;
      }
    }
    EXPECT_EQ(flipped, 2 * file->size());
  }
}

TEST(SstFile, EveryTruncationIsNoticed) {
  for (const SstCodec codec : {SstCodec::kRocksDb, SstCodec::kMemory}) {
    Result<Bytes> file = WriteSst(ManyEntries(40), codec, SstCompression::kLz4);
    ASSERT_TRUE(file.ok());
    for (size_t length = 0; length < file->size(); ++length) {
      EXPECT_EQ(ReadSst(std::string_view(*file).substr(0, length)).status().code(), StatusCode::kDataLoss) << length;
    }
  }
}

RC_GTEST_PROP(SstFileProperty, BothCodecsHoldTheSameEntries, (const std::map<Bytes, Bytes>& pairs)) {
  RC_PRE(!pairs.empty());
  const std::vector<SstEntry> entries = Entries(pairs);
  const SstCompression compression = *rc::gen::elementOf(std::vector<SstCompression>(
      std::begin(kCompressions), std::end(kCompressions)));
  RC_CLASSIFY(pairs.size() > 10, "more than ten entries");
  for (const SstCodec codec : {SstCodec::kRocksDb, SstCodec::kMemory}) {
    Result<Bytes> file = WriteSst(entries, codec, compression);
    RC_ASSERT(file.ok());
    RC_ASSERT(*ReadSst(*file) == entries);
  }
}

TEST(SstFile, DebiansSstDumpListsAFileOfOurs) {
  std::string folder = (std::filesystem::temp_directory_path() / "kvjury-sst-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::vector<SstEntry> entries = ManyEntries(3000);
  Result<Bytes> file = WriteSst(entries, SstCodec::kRocksDb, SstCompression::kZstd);
  ASSERT_TRUE(file.ok());
  std::ofstream(folder + "/1.sst", std::ios::binary) << *file;
  const std::string command =
      "sst_dump --file=" + folder + "/1.sst --command=scan --output_hex --verify_checksum 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  char buffer[4096];
  while (const size_t read = std::fread(buffer, 1, sizeof(buffer), pipe)) {
    text.append(buffer, read);
  }
  EXPECT_EQ(::pclose(pipe), 0) << "sst_dump (package rocksdb-tools): " << text.substr(0, 400);
  std::filesystem::remove_all(folder);
  size_t listed = 0;
  for (size_t at = text.find(" seq:0, type:1 => "); at != std::string::npos; at = text.find(" seq:0, type:1 => ", at + 1)) {
    ++listed;
  }
  EXPECT_EQ(listed, entries.size());
  EXPECT_NE(text.find("7A0000000000001EEF' seq:0, type:1 => 6231"), std::string::npos) << text.substr(0, 600);
}

}  // namespace
}  // namespace kvjury::tikv
