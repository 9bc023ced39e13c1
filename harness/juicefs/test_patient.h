// Test support: a copy of a recorded volume to which damage is done.
#pragma once

#include <functional>

#include "harness/juicefs/image.h"
#include "harness/juicefs/test_volumes.h"

namespace kvjury::juicefs {

/// What a test case may do to a copy of a recorded volume.
class Patient {
 public:
  explicit Patient(const KeyValues& pairs) : pairs_(pairs), image_(BuildImage(pairs)) {}

  const VolumeImage& image() const { return image_; }
  const KeyValues& pairs() const { return pairs_; }

  void Put(const Key& key, const RecordValue& value) { PutBytes(key, EncodeValue(key, value)); }
  void PutBytes(const Key& key, const Bytes& value) { pairs_[EncodeKey(key)] = value; }
  void Remove(const Key& key) { CHECK_EQ(pairs_.erase(EncodeKey(key)), 1u) << DescribeKey(key); }
  void ChangeAttr(Inode inode, const std::function<void(Attr*)>& change) {
    Attr attr = image_.inodes.at(inode);
    change(&attr);
    Put(AttrKey(inode), attr);
  }
  void ChangeChunk(Inode inode, const std::function<void(SliceRecord*)>& change) {
    std::vector<SliceRecord> records = image_.chunks.at(inode).at(0);
    change(&records.front());
    Put(ChunkKey(inode, 0), records);
  }

  /// First inode of a type whose link count and parent are plain and for which `fits` holds.
  Inode Find(uint8_t type, const std::function<bool(Inode, const Attr&)>& fits = nullptr) const {
    for (const auto& [inode, attr] : image_.inodes) {
      const bool plain = attr.parent.valid() && !IsTrash(attr.parent) && inode != kRootInode && attr.nlink > 0;
      if (attr.type == type && plain && (fits == nullptr || fits(inode, attr))) {
        return inode;
      }
    }
    CHECK(false) << "no inode of type " << int{type};
    return Inode();
  }
  Inode FileWithOneSlice() const {
    return Find(kTypeFile, [this](Inode inode, const Attr&) {
      const auto chunks = image_.chunks.find(inode);
      return chunks != image_.chunks.end() && chunks->second.size() == 1 && chunks->second.begin()->second.size() == 1 &&
             chunks->second.begin()->second[0].id != 0 && chunks->second.begin()->first == 0 &&
             image_.slice_references.count(NameOf(chunks->second.begin()->second[0])) == 0;
    });
  }
  Inode EmptyFile() const {
    return Find(kTypeFile, [this](Inode inode, const Attr&) { return image_.chunks.count(inode) == 0; });
  }
  /// Of a file or directory with one entry.
  Key PlaceOf(Inode inode) const {
    for (const auto& [directory, entries] : image_.dentries) {
      for (const auto& [name, dentry] : entries) {
        if (dentry.inode == inode) {
          return DentryKey(directory, name);
        }
      }
    }
    CHECK(false) << inode;
    return {};
  }
  static SliceName NameOf(const SliceRecord& record) { return {record.id, record.size}; }

 private:
  KeyValues pairs_;
  VolumeImage image_;
};

}  // namespace kvjury::juicefs
