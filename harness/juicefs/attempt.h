// Attempt: one try of one JuiceFS transaction: typed reads and writes of records, and the effects that go with the writes.
//
// Every write function both buffers the key and declares the effect, so that no body can do one without the other. Nothing
// is sent before the writer commits. Errors of the store are Status; what the file system answers is `error`, an errno.
// Not here: retries, timestamps, labels (writer.h). Source: JuiceFS 1.4, KV engine.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "harness/client/kv.h"
#include "harness/juicefs/effects.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

/// What a committed transaction adds to counters later, by other transactions.
struct UsageDelta {
  int64_t space = 0;   // of the volume
  int64_t inodes = 0;  // of the volume
  std::vector<std::pair<Inode, DirStat>> directories;
};

class Attempt {
 public:
  Attempt(client::Transaction* transaction, const Bytes* prefix, uint32_t retry)
      : transaction_(transaction), prefix_(prefix), retry_(retry) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  /// 0 in the first try.
  [[nodiscard]] uint32_t retry() const { return retry_; }
  [[nodiscard]] bool wrote() const { return wrote_; }
  /// The smallest full key that was written.
  [[nodiscard]] const Bytes& primary_key() const { return primary_key_; }

  /// Set by the body: the operation ends with this errno and nothing is committed.
  int error = 0;
  std::vector<Effect> effects;
  UsageDelta usage;

  // Reads. Absent records are empty optionals (counts and counters: 0). Errors: those of the store, and kDataLoss for a
  // value that does not decode. All suspend. Referenced arguments must outlive the await.
  sim::Task<Result<std::optional<Attr>>> GetAttr(Inode inode);
  sim::Task<Result<std::optional<Dentry>>> GetDentry(Inode directory, const Bytes& name);
  sim::Task<Result<std::vector<SliceRecord>>> GetChunk(Inode inode, uint32_t index);
  sim::Task<Result<int64_t>> GetLinkCount(Inode inode, Inode directory);
  sim::Task<Result<int64_t>> GetCounter(const char* name);
  /// References of a slice beyond the first.
  sim::Task<Result<int64_t>> GetReferences(SliceName slice);
  sim::Task<Result<std::optional<Bytes>>> GetRaw(const Key& key);
  /// Keys of `first`'s family: those that continue its encoding. At most `limit` (0: all).
  sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> ScanFamily(const Key& first, uint32_t limit);
  /// Chunks from `first` to `last`, both included; those that exist.
  sim::Task<Result<std::map<uint32_t, std::vector<SliceRecord>>>> ScanChunks(Inode inode, uint32_t first, uint32_t last);
  /// One more or less for each of these slices.
  sim::Task<Status> AddReferences(std::map<SliceName, int64_t> changes);

  // Writes of visible records, with their effects.
  void PutAttr(Inode inode, const Attr& attr);
  /// Deletes I, S (of a symbolic link) and the given xattrs; declares RemoveInode.
  void RemoveInode(Inode inode, const Attr& attr, const std::vector<Bytes>& xattr_names);
  void AddDentry(Inode directory, const Bytes& name, const Dentry& dentry);
  void RemoveDentry(Inode directory, const Bytes& name, Inode inode);
  /// Remove and add in one: the name led to `old_inode`.
  void ReplaceDentry(Inode directory, const Bytes& name, Inode old_inode, const Dentry& dentry);
  void PutSymlink(Inode inode, const Bytes& target);
  void PutXattr(Inode inode, const Bytes& name, const Bytes& value);
  void RemoveXattr(Inode inode, const Bytes& name);
  /// Appends to what GetChunk returned.
  void AppendSlice(Inode inode, uint32_t index, std::vector<SliceRecord> records, const SliceRecord& added);
  void AppendSlices(Inode inode, uint32_t index, std::vector<SliceRecord> records, const std::vector<SliceRecord>& added);
  /// `count` of the records that GetChunk returned, from `first` on, become `made`.
  void ReplaceSlices(Inode inode, uint32_t index, std::vector<SliceRecord> records, uint32_t first, uint32_t count, const SliceRecord& made);

  // Writes that no mount shows.
  void PutLinkCount(Inode inode, Inode directory, int64_t count);
  void PutCounter(const char* name, int64_t value);
  void PutReferences(const SliceName& slice, int64_t references);
  void PutRaw(const Key& key, Bytes value);
  void DeleteRaw(const Key& key);

 private:
  [[nodiscard]] Bytes FullKey(const Key& key) const { return *prefix_ + EncodeKey(key); }
  void Wrote(const Bytes& full_key);

  client::Transaction* transaction_;
  const Bytes* prefix_;
  uint32_t retry_;
  bool wrote_ = false;
  Bytes primary_key_;
};

}  // namespace kvjury::juicefs
