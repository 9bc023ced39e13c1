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

/// Of one user and one group.
struct OwnerUsage {
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t space = 0;
  int64_t inodes = 0;
};
/// Of the quotas of a directory and of all directories above it.
struct TreeUsage {
  Inode directory;
  int64_t space = 0;
  int64_t inodes = 0;
};
/// A file with several links changed its length: each directory that it is in, once for each link.
struct LinksUsage {
  Inode inode;
  int64_t length = 0;
  int64_t space = 0;
};

/// What a committed transaction adds to counters later, by other transactions. Bodies call the functions; the numbers are added
/// by the writer once the commit is known to have happened (Writer::AddUsage).
struct UsageDelta {
  int64_t space = 0;   // of the volume
  int64_t inodes = 0;  // of the volume
  std::vector<std::pair<Inode, DirStat>> directories;
  std::vector<OwnerUsage> owners;
  std::vector<TreeUsage> trees;
  std::vector<LinksUsage> links;

  /// An inode came into being (`sign` 1) or is gone (-1): the volume's counters and its owner's. Names are another matter.
  void AddInode(const Attr& attr, int64_t sign);
  /// `directory` has a name more or less: its statistics, and, outside of the trash, its quotas.
  void AddEntry(Inode directory, const Attr& attr, int64_t sign);
  /// The inode went to another user or group, which are charged for it from now on. Only files and directories are: with all else the old one
  /// stays charged (as in JuiceFS 1.4).
  void AddNewOwner(const Attr& old, const Attr& attr);
  /// A file with this attribute gets `new_length`: all of the above. Call it before attr.length is changed.
  void AddLengthChange(Inode inode, const Attr& attr, uint64_t new_length);
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

  /// Who asks: owner of new inodes, and subject of the checks that the client itself makes.
  uint32_t uid = 0;
  uint32_t gid = 0;

  /// Set by the body: the operation ends with this errno and nothing is committed.
  int error = 0;
  std::vector<Effect> effects;
  UsageDelta usage;
  /// What the transaction does, as the change log words it: "UNLINK(1,a,0,false,true):7". Stored only on volumes that keep a change log; a
  /// transaction with a text and no other write is then written for the text alone. Empty: not logged.
  std::string log;

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
  /// Of all extended attributes of an inode, in byte order.
  sim::Task<Result<std::vector<Bytes>>> ListXattrNames(Inode inode);
  /// Chunks from `first` to `last`, both included; those that exist.
  sim::Task<Result<std::map<uint32_t, std::vector<SliceRecord>>>> ScanChunks(Inode inode, uint32_t first, uint32_t last);
  /// One more or less for each of these slices.
  sim::Task<Status> AddReferences(std::map<SliceName, int64_t> changes);
  /// All keys whose bytes after the volume's prefix begin with `letters`: "K", "SE".
  sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> ScanLetters(std::string_view letters);
  /// Keys of [start, end), both without the volume's prefix. At most `limit` (0: all).
  sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> ScanRange(Bytes start, Bytes end, uint32_t limit);

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
  void PutAclRule(uint32_t id, const AclRule& rule);
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
