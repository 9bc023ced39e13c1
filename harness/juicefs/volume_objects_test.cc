// Bytes of files through pieces, blocks and compressions.
#include "harness/juicefs/volume_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lz4.h>

#include <cerrno>
#include <set>
#include <sstream>

#include "fakes/base/compress.h"
#include "harness/juicefs/mounted_view.h"
#include "harness/juicefs/test_volumes.h"

namespace kvjury::juicefs {
namespace {

using testing::HasSubstr;

constexpr uint32_t kBlockBytes = 64 << 10;

/// Bytes that tell where they stand.
Bytes Pattern(size_t size, char seed) {
  Bytes bytes(size, seed);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(bytes[i] + static_cast<char>(i * 7 + i / 251));
  }
  return bytes;
}

Bytes Lz4Block(const Bytes& bytes) {
  Bytes block(static_cast<size_t>(LZ4_compressBound(static_cast<int>(bytes.size()))), '\0');
  block.resize(static_cast<size_t>(LZ4_compress_default(bytes.data(), block.data(), static_cast<int>(bytes.size()), static_cast<int>(block.size()))));
  return block;
}

/// One volume with objects, as a client leaves it.
struct VolumeWithObjects {
  VolumeImage image;
  std::unique_ptr<objects::ObjectStore> bucket = std::make_unique<objects::MemoryObjectStore>();
  std::string folder = "vol/";

  explicit VolumeWithObjects(const std::string& members = "\"Compression\": \"none\"") {
    image.setting = DecodeSetting("{\"Name\": \"vol\", \"BlockSize\": 64, " + members + "}").value();
  }

  void PutFile(Inode inode, uint64_t length) {
    image.inodes[inode].type = kTypeFile;
    image.inodes[inode].length = length;
  }
  void PutSlice(uint64_t id, const Bytes& bytes) {
    const std::string& compression = image.setting->format.compression;
    for (uint32_t block = 0; block * kBlockBytes < bytes.size(); ++block) {
      const Bytes part = bytes.substr(block * kBlockBytes, kBlockBytes);
      const std::string name = BlockObjectName(image.setting->format, {id, static_cast<uint32_t>(bytes.size())}, block);
      EXPECT_TRUE(bucket->Put(folder + name, compression == "lz4" ? Lz4Block(part) : compression == "zstd" ? ZstdCompress(part) : part).ok());
    }
  }
  std::unique_ptr<MountedView> Mount() {
    MountedViewOptions options;
    options.objects = VolumeObjects::Open(image, std::move(bucket)).value();
    EXPECT_EQ(options.objects->warning(), "");
    return MountedView::Make(image, std::move(options)).value();
  }
};

TEST(BlockObjectName, HasTheIdTheNumberAndTheSizeOfTheBlock) {
  Format format;
  format.block_size_kib = 4096;
  EXPECT_EQ(BlockObjectName(format, {7'654'321, 10 << 20}, 0), "chunks/7/7654/7654321_0_4194304");
  EXPECT_EQ(BlockObjectName(format, {7'654'321, 10 << 20}, 2), "chunks/7/7654/7654321_2_2097152");
  format.hash_prefix = true;
  EXPECT_EQ(BlockObjectName(format, {1234, 5}, 0), "chunks/D2/0/1234_0_5");
}

class Contents : public testing::TestWithParam<std::string> {};

TEST_P(Contents, OverwrittenPiecesHolesAndSeveralChunksAreReadAtEveryOffset) {
  VolumeWithObjects volume(GetParam());
  const Bytes first = Pattern(200'000, 'a');
  const Bytes second = Pattern(70'000, 'm');
  volume.PutSlice(11, first);
  volume.PutSlice(300, second);
  // 200,000 bytes, of which 50,000 to 120,000 were overwritten and 60,000 to 61,000 punched out; the second chunk begins with a hole and ends with a
  // part of the second slice; a chunk between them has no record.
  const uint64_t length = 2 * kChunkBytes + 100'500;
  volume.PutFile(Inode(5), length);
  volume.image.chunks[Inode(5)] = {{0, {{0, 11, 200'000, 0, 200'000}, {50'000, 300, 70'000, 0, 70'000}, {60'000, 0, 0, 0, 1'000}}},
                                   {2, {{100'000, 300, 70'000, 69'000, 1'000}}}};
  Bytes start = first;
  start.replace(50'000, 70'000, second);
  start.replace(60'000, 1'000, Bytes(1'000, '\0'));
  start.append(1'000, '\0');
  const auto mounted = volume.Mount();
  EXPECT_EQ(mounted->Read(Inode(5), 0, start.size()).value, start);
  size_t compared = 0;
  for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{49'999}, uint64_t{59'990}, uint64_t{65'535}, uint64_t{131'071}, uint64_t{199'999}}) {
    for (const uint64_t size : {uint64_t{1}, uint64_t{2}, uint64_t{1'020}, uint64_t{70'001}}) {
      EXPECT_EQ(mounted->Read(Inode(5), offset, size).value, start.substr(offset, size).append(offset + size > start.size() ? offset + size - start.size() : 0, '\0'));
      ++compared;
    }
  }
  EXPECT_EQ(compared, 28u);
  EXPECT_EQ(mounted->Read(Inode(5), kChunkBytes - 10, 20).value, Bytes(20, '\0'));
  EXPECT_EQ(mounted->Read(Inode(5), 2 * kChunkBytes + 99'990, 1'000).value, Bytes(10, '\0') + second.substr(69'000, 500));
  EXPECT_EQ(mounted->Read(Inode(5), length, 10).value, "");
  EXPECT_EQ(mounted->Read(Inode(5), UINT64_MAX, 10).value, "");
}

INSTANTIATE_TEST_SUITE_P(Settings, Contents,
                         testing::Values("\"Compression\": \"none\"", "\"Compression\": \"lz4\"", "\"Compression\": \"zstd\"", "\"Shards\": 0",
                                         "\"HashPrefix\": true"));

TEST(VolumeObjects, TheFolderMayBeTheBucketOrTheVolumesFolderInIt) {
  for (const std::string folder : {"vol/", ""}) {
    VolumeWithObjects volume;
    volume.folder = folder;
    volume.PutSlice(3, "abc");
    volume.PutFile(Inode(5), 3);
    volume.image.chunks[Inode(5)] = {{0, {{0, 2, 9, 0, 3}, {0, 3, 3, 0, 3}}}};  // slice 2 is gone, as one that nobody needs may be
    EXPECT_EQ(volume.Mount()->Read(Inode(5), 0, 10).value, "abc") << folder;
  }
}

TEST(VolumeObjects, ABucketWithoutTheVolumesObjectsIsToldAtOnce) {
  VolumeWithObjects volume;
  volume.PutFile(Inode(5), 3);
  volume.image.chunks[Inode(5)] = {{0, {{0, 2, 9, 0, 3}}}};
  const auto objects = VolumeObjects::Open(volume.image, std::move(volume.bucket)).value();
  EXPECT_EQ(objects->warning(), "memory holds none of the first 1 objects of volume \"vol\", neither below vol/chunks/ nor below chunks/");
}

TEST(VolumeObjects, WhatIsMissingShortOrBrokenIsAnErrorThatNamesTheObject) {
  for (const std::string compression : {"none", "lz4", "zstd"}) {
    VolumeWithObjects volume("\"Compression\": \"" + compression + "\"");
    volume.PutSlice(3, Pattern(1'000, 'a'));
    ASSERT_TRUE(volume.bucket->Put("vol/chunks/0/0/4_0_1000", Pattern(999, 'a')).ok());
    volume.PutFile(Inode(5), 3'000);
    volume.image.chunks[Inode(5)] = {{0, {{0, 3, 1'000, 0, 1'000}, {1'000, 4, 1'000, 0, 1'000}, {2'000, 5, 1'000, 0, 500}, {2'500, 3, 1'000, 600, 500}}}};
    const auto mounted = volume.Mount();
    EXPECT_EQ(mounted->Read(Inode(5), 0, 1'000).error, 0);
    EXPECT_EQ(mounted->Read(Inode(5), 0, 1'001).error, EIO) << compression;
    EXPECT_THAT(mounted->last_failure().message(), HasSubstr("vol/chunks/0/0/4_0_1000")) << compression;
    EXPECT_EQ(mounted->Read(Inode(5), 2'000, 1).error, EIO);
    EXPECT_THAT(mounted->last_failure().message(), HasSubstr("vol/chunks/0/0/5_0_1000"));
    EXPECT_EQ(mounted->Read(Inode(5), 2'999, 1).error, EIO);
    EXPECT_THAT(mounted->last_failure().message(), HasSubstr("slice 3 of 1000 bytes is asked for 1 bytes at 1099"));
  }
}

TEST(VolumeObjects, WithoutABucketOnlyHolesAndEmptyFilesAreRead) {
  VolumeWithObjects volume;
  volume.PutFile(Inode(5), 3);
  volume.PutFile(Inode(6), 0);
  volume.PutFile(Inode(7), 1'000);
  volume.PutFile(Inode(8), 10);
  volume.image.inodes[Inode(9)].type = kTypeDirectory;
  volume.image.inodes[Inode(10)].type = kTypeFifo;
  volume.image.chunks[Inode(5)] = {{0, {{0, 2, 3, 0, 3}}}};
  volume.image.chunks[Inode(8)] = {{0, {{0, 2, 3, 0, 3}, {0, 0, 0, 0, 100}}}};
  const auto mounted = MountedView::Make(volume.image).value();
  EXPECT_EQ(mounted->Read(Inode(5), 0, 1).error, EIO);
  EXPECT_THAT(mounted->last_failure().message(), HasSubstr("cannot be read without --bucket"));
  EXPECT_EQ(mounted->Read(Inode(5), 3, 1).error, 0);  // at its end
  EXPECT_EQ(mounted->Read(Inode(6), 0, 10).error, 0);
  EXPECT_EQ(mounted->Read(Inode(7), 0, 10'000).value, Bytes(1'000, '\0'));
  EXPECT_EQ(mounted->Read(Inode(8), 0, 10'000).value, Bytes(10, '\0'));
  EXPECT_EQ(mounted->Read(Inode(9), 0, 1).error, EISDIR);
  EXPECT_EQ(mounted->Read(Inode(10), 0, 1).error, EINVAL);
  EXPECT_EQ(mounted->Read(Inode(11), 0, 1).error, ENOENT);
}

TEST(VolumeObjects, FormsThatAreNotReadAreRefusedInOneSentence) {
  const std::map<std::string, std::pair<StatusCode, std::string>> refused = {
      {"\"EncryptKey\": \"removed\"", {StatusCode::kUnsupported, "encrypted (EncryptKey)"}},
      {"\"Shards\": 3", {StatusCode::kUnsupported, "spread over 3 buckets"}},
      {"\"Compression\": \"brotli\"", {StatusCode::kUnsupported, "unknown compression \"brotli\""}},
      {"\"BlockSize\": 0", {StatusCode::kDataLoss, "BlockSize of 0 KiB"}},
      {"\"BlockSize\": -4", {StatusCode::kDataLoss, "BlockSize of -4 KiB"}}};
  for (const auto& [members, expected] : refused) {
    VolumeImage image;
    image.setting = DecodeSetting("{\"Name\": \"vol\", \"BlockSize\": 64, " + members + "}").value();
    const auto opened = VolumeObjects::Open(image, std::make_unique<objects::MemoryObjectStore>());
    ASSERT_FALSE(opened.ok()) << members;
    EXPECT_EQ(opened.error().code(), expected.first);
    EXPECT_THAT(opened.error().message(), HasSubstr(expected.second));
  }
}

class RecordedObjects : public testing::TestWithParam<std::string> {};

TEST_P(RecordedObjects, AreThoseOfTheVolumesSlicesBothWays) {
  const VolumeImage image = BuildImage(RealVolume(GetParam()));
  const Format& format = image.setting->format;
  std::set<std::string> named;
  const auto add = [&named, &format](SliceName slice) {
    for (uint32_t block = 0; slice.id != 0 && block * static_cast<uint64_t>(format.block_size_kib) * 1024 < slice.size; ++block) {
      const std::string name = format.name + "/" + BlockObjectName(format, slice, block);
      named.insert(name + "\t" + name.substr(name.rfind('_') + 1));  // uncompressed: the object's size is that of its name
    }
  };
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const SliceRecord& record : records) {
        add({record.id, record.size});
      }
    }
  }
  for (const auto& [when, slices] : image.delayed_slices) {
    for (const SliceName& slice : slices) {
      add(slice);
    }
  }
  std::set<std::string> recorded;
  std::istringstream lines(ReadVolumeFile(GetParam(), "objects.tsv"));
  for (std::string line; std::getline(lines, line);) {
    if (line.find("/juicefs_uuid") == std::string::npos) {
      recorded.insert(line);
    }
  }
  EXPECT_GT(recorded.size(), 150u);
  EXPECT_EQ(named, recorded);
}

INSTANTIATE_TEST_SUITE_P(Recorded, RecordedObjects, testing::Values("rich", "crashed"));

}  // namespace
}  // namespace kvjury::juicefs
