// One writer with blocks against plain bytes: whatever is written, cut, punched, copied, cloned and compacted, a read gives what a file
// held in memory gives, and no block is left when nothing refers to it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "fakes/base/random.h"
#include "harness/juicefs/test_mount.h"
#include "harness/juicefs/written_bytes.h"

namespace kvjury::juicefs {
namespace {

/// A file of which few pages are not zero.
class PlainFile {
 public:
  [[nodiscard]] uint64_t length() const { return length_; }

  void Write(uint64_t offset, const Bytes& bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      Bytes& page = pages_[(offset + i) / kPage];
      page.resize(kPage, '\0');
      page[(offset + i) % kPage] = bytes[i];
    }
    length_ = std::max(length_, offset + bytes.size());
  }
  void Zero(uint64_t offset, uint64_t end) {
    for (auto at = pages_.lower_bound(offset / kPage); at != pages_.end() && at->first * kPage < end; ++at) {
      const uint64_t first = std::max(offset, at->first * kPage);
      const uint64_t last = std::min(end, (at->first + 1) * kPage);
      at->second.replace(first % kPage, last - first, last - first, '\0');
    }
  }
  void Resize(uint64_t length) {
    Zero(length, UINT64_MAX);
    length_ = length;
  }
  void Grow(uint64_t length) { length_ = std::max(length_, length); }
  [[nodiscard]] Bytes Read(uint64_t offset, uint64_t length) const {
    const uint64_t end = std::min(length_, offset + length);
    Bytes bytes(end - std::min(end, offset), '\0');
    for (size_t i = 0; i < bytes.size(); ++i) {
      const auto page = pages_.find((offset + i) / kPage);
      bytes[i] = page == pages_.end() ? '\0' : page->second[(offset + i) % kPage];
    }
    return bytes;
  }

 private:
  static constexpr uint64_t kPage = 4096;
  std::map<uint64_t, Bytes> pages_;
  uint64_t length_ = 0;
};

constexpr uint64_t kFar = 2 * kChunkBytes;  // the end of the second chunk

class Session {
 public:
  Session(uint64_t seed, uint32_t trash_days)
      : random_(seed, "file-bytes"), mount_({.trash_days = trash_days, .blocks = true, .block_bytes = 8192}) {}

  void Step() {
    const uint64_t what = random_.Below(20);
    const Bytes name = std::string(1, static_cast<char>('a' + random_.Below(4)));
    const uint64_t offset = Offset();
    const uint64_t length = 1 + random_.Below(20'000);
    const auto found = files_.find(name);
    if (found == files_.end()) {
      if (!files_.empty() && random_.Below(3) == 0) {
        const Bytes source = files_.begin()->first;
        Expect("clone { from: '" + source + "' to: '" + name + "' }");
        files_[name] = files_.at(source);
      } else {
        Expect("create { path: '" + name + "' }");
        files_[name] = PlainFile();
      }
      return;
    }
    PlainFile& file = found->second;
    if (what < 8) {
      const uint64_t seed = ++seed_;
      Expect(Text("write", name, offset, length) + " seed: " + std::to_string(seed) + " }");
      file.Write(offset, WrittenBytes(seed, 0, length));
    } else if (what < 10) {
      Expect("truncate { path: '" + name + "' length: " + std::to_string(offset) + " }");
      file.Resize(offset);
    } else if (what < 13) {
      const uint32_t mode = random_.Below(3) == 0 ? 0 : random_.Below(2) == 0 ? 3 : 16;
      Expect(Text("fallocate", name, offset, length) + " mode: " + std::to_string(mode) + " }");
      if (mode != 0) {
        file.Zero(offset, std::min(offset + length, std::max(file.length(), offset)));
      }
      if (mode != 3) {
        file.Grow(offset + length);
      }
    } else if (what < 16) {
      Copy(name, offset, length);
    } else if (what < 17) {
      Expect("compact { path: '" + name + "' }");
    } else if (what < 18) {
      Expect("unlink { path: '" + name + "' }");
      files_.erase(name);
    }
    Compare();
  }

  /// All files go.
  void Clear() {
    for (const auto& [name, file] : files_) {
      Expect("unlink { path: '" + name + "' }");
    }
  }
  [[nodiscard]] uint64_t bytes_compared() const { return bytes_compared_; }
  TestMount& mount() { return mount_; }

 private:
  uint64_t Offset() {
    const uint64_t base = random_.Below(6) == 0 ? kFar - 8000 : 0;
    return base + random_.Below(16'000);
  }
  static std::string Text(const std::string& kind, const Bytes& name, uint64_t offset, uint64_t length) {
    return kind + " { path: '" + name + "' offset: " + std::to_string(offset) + " length: " + std::to_string(length);
  }
  void Expect(const std::string& text) {
    const int error = mount_.Errno(text);
    RC_ASSERT(error == 0);
  }
  void Copy(const Bytes& name, uint64_t offset, uint64_t length) {
    const PlainFile source = files_.begin()->second;
    const uint64_t target = Offset();
    const Bytes bytes = source.Read(offset, length);
    if (files_.begin()->first == name && target + bytes.size() > offset && target < offset + bytes.size()) {
      return;  // overlaps
    }
    Expect("copy_file_range { from: '" + files_.begin()->first + "' from_offset: " + std::to_string(offset) + " to: '" + name +
           "' to_offset: " + std::to_string(target) + " length: " + std::to_string(length) + " }");
    if (!bytes.empty()) {
      files_.at(name).Write(target, bytes);
    }
  }
  void Compare() {
    for (const auto& [name, file] : files_) {
      for (const uint64_t begin : {uint64_t{0}, kFar - 40'000}) {
        const OperationResult read = mount_.Do(Text("read", name, begin, 80'000) + " }");
        RC_ASSERT(read.error == 0);
        RC_ASSERT(read.attr->length == file.length());
        RC_ASSERT(*read.data == file.Read(begin, 80'000));
        bytes_compared_ += read.data->size();
      }
    }
  }

  RandomStream random_;
  TestMount mount_;
  std::map<Bytes, PlainFile> files_;
  uint64_t seed_ = 0;
  uint64_t bytes_compared_ = 0;
};

TEST(FileBytesProperty, BlocksAndRecordsGiveWhatPlainBytesGive) {
  uint64_t compared = 0;
  uint64_t compactions = 0;
  const bool held = rc::check("reads give the bytes", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    const auto trash_days = *rc::gen::inRange<uint32_t>(0, 2);
    Session session(seed, trash_days);
    for (int i = 0; i < 30; ++i) {
      session.Step();
    }
    for (const DeclaredTransaction& transaction : session.mount().writer().history()) {
      compactions += transaction.kind == TransactionKind::kCompaction ? 1 : 0;
    }
    const std::vector<std::string> violations = session.mount().Violations();
    RC_ASSERT(violations == std::vector<std::string>());
    session.Clear();
    if (trash_days == 0) {
      RC_ASSERT(session.mount().BlockNames() == std::vector<std::string>());
    }
    compared += session.bytes_compared();
  });
  EXPECT_TRUE(held);
  EXPECT_GT(compared, 1'000'000U);
  EXPECT_GT(compactions, 10U);
}

}  // namespace
}  // namespace kvjury::juicefs
