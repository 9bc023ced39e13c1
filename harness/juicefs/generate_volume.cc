#include <fmt/format.h>

#include <algorithm>

#include "fakes/base/random.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/record.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

namespace {

constexpr int64_t kSpacingNs = 1'500'123'000;  // between two generated objects

/// Grows a volume object by object, in the order in which one session would have made it.
class Generator {
 public:
  explicit Generator(const GenerateOptions& options)
      : options_(options),
        random_(options.seed, "generate-volume"),
        now_ns_(options.wall_ns - kSpacingNs * (2 * (int64_t{options.directories} + options.files) + 60)) {}

  KeyValues Build() {
    pairs_ = FormatPairs(FormatWith(options_.volume_name, options_.trash_days, options_.choices), now_ns_);
    inodes_[kRootInode] = *DecodeAttr(pairs_[EncodeKey(AttrKey(kRootInode))]);
    directories_.push_back(kRootInode);
    for (uint32_t i = 0; i < options_.directories; ++i) {
      const Inode parent = random_.Pick(directories_);
      const Inode inode = Make(parent, fmt::format("d{}", i), kTypeDirectory, 0755);
      directories_.push_back(inode);
    }
    for (uint32_t i = 0; i < options_.files; ++i) {
      MakeFile(i);
    }
    if (options_.files > 0) {
      MakeOddOnes();
    }
    if (options_.trash_days > 0 && options_.files > 0) {
      MakeTrash();
    }
    WriteOut();
    return std::move(pairs_);
  }

 private:
  Attr& At(Inode inode) { return inodes_[inode]; }

  void Link(Inode parent, const Bytes& name, uint8_t type, Inode inode) {
    entries_[parent][name] = Dentry{type, inode};
  }

  Inode Make(Inode parent, const Bytes& name, uint8_t type, uint16_t mode) {
    now_ns_ += kSpacingNs;
    const Inode inode(next_inode_++);
    Attr attr;
    attr.type = type;
    attr.mode = mode;
    attr.nlink = type == kTypeDirectory ? 2 : 1;
    attr.length = type == kTypeDirectory ? kDirectoryBytes : 0;
    attr.parent = parent;
    SetModified(&attr, now_ns_);
    attr.atime_s = attr.mtime_s;
    attr.atime_ns = attr.mtime_ns;
    inodes_[inode] = attr;
    Link(parent, name, type, inode);
    At(parent).nlink += type == kTypeDirectory ? 1 : 0;
    SetModified(&At(parent), now_ns_);
    return inode;
  }

  void Write(Inode inode, uint64_t offset, uint32_t length) {
    SliceRecord slice;
    slice.position = static_cast<uint32_t>(offset % kChunkBytes);
    slice.id = next_slice_++;
    slice.size = length;
    slice.length = length;
    chunks_[{inode, static_cast<uint32_t>(offset / kChunkBytes)}].push_back(slice);
    At(inode).length = std::max(At(inode).length, offset + length);
    SetModified(&At(inode), now_ns_ + 1'000'000);
  }

  void MakeFile(uint32_t number) {
    const Inode parent = random_.Pick(directories_);
    const Inode inode = Make(parent, fmt::format("f{}", number), kTypeFile, 0644);
    files_.push_back({parent, fmt::format("f{}", number)});
    const uint64_t writes = random_.Below(4);
    for (uint64_t i = 0; i < writes; ++i) {
      const uint64_t offset = random_.Below(64 * 1024);
      const auto length = static_cast<uint32_t>(1 + random_.Below(200 * 1024));
      Write(inode, offset, length);
    }
    if (number % 7 == 3) {
      Write(inode, kChunkBytes + 4096, 5000);  // a hole, and a second chunk
    }
    if (number % 5 == 1) {
      const Bytes value = fmt::format("value {}", random_.Below(1000));
      pairs_[EncodeKey(XattrKey(inode, "user.note"))] = value;
    }
  }

  void MakeOddOnes() {
    const uint32_t count = 1 + options_.files / 10;
    for (uint32_t i = 0; i < count; ++i) {
      const Inode symlink = Make(random_.Pick(directories_), fmt::format("s{}", i), kTypeSymlink, 0777);
      const Bytes target = fmt::format("../f{}", i);
      At(symlink).length = target.size();
      pairs_[EncodeKey(SymlinkKey(symlink))] = target;

      const auto [parent, name] = files_[i];
      const Inode inode = entries_[parent][name].inode;
      const Inode other = random_.Pick(directories_);
      now_ns_ += kSpacingNs;
      Link(other, fmt::format("l{}", i), kTypeFile, inode);
      Attr& attr = At(inode);
      attr.nlink = 2;
      attr.parent = Inode();
      SetChanged(&attr, now_ns_);
      link_counts_[{inode, parent}] += 1;
      link_counts_[{inode, other}] += 1;
      SetModified(&At(other), now_ns_);
    }
    Make(random_.Pick(directories_), "fifo", kTypeFifo, 0600);
    const Inode device = Make(random_.Pick(directories_), "device", kTypeCharDevice, 0600);
    At(device).rdev = 0x103;
  }

  void MakeTrash() {
    const Inode hour(kTrashInode.value() + 1);
    now_ns_ += kSpacingNs;
    Attr attr;
    attr.type = kTypeDirectory;
    attr.mode = 0555;
    attr.nlink = 2;
    attr.length = kDirectoryBytes;
    attr.parent = kTrashInode;
    SetModified(&attr, now_ns_);
    attr.atime_s = attr.mtime_s;
    attr.atime_ns = attr.mtime_ns;
    inodes_[hour] = attr;
    Link(kTrashInode, TrashHourName(now_ns_), kTypeDirectory, hour);
    pairs_[EncodeKey(CounterKey("nextTrash"))] = EncodeInt64Le(1);
    const uint32_t count = 1 + options_.files / 20;
    for (uint32_t i = 0; i < count; ++i) {
      const Inode parent = random_.Pick(directories_);
      const Bytes name = fmt::format("removed{}", i);
      const Inode inode = Make(parent, name, kTypeFile, 0600);
      Write(inode, 0, 1000 + i);
      now_ns_ += kSpacingNs;
      entries_[parent].erase(name);
      Link(hour, TrashEntryName(parent, inode, name), kTypeFile, inode);
      At(inode).parent = hour;
      SetChanged(&At(inode), now_ns_);
      SetModified(&At(parent), now_ns_);
    }
  }

  void WriteOut() {
    CHECK_LT(now_ns_, options_.wall_ns + 1) << "generated times lie in the past";
    int64_t space = 0;
    int64_t count = 0;
    Quota root_user{-1, -1, 0, 0};  // who made everything but the trash's directories
    for (const auto& [inode, attr] : inodes_) {
      pairs_[EncodeKey(AttrKey(inode))] = EncodeAttr(attr);
      if (inode != kRootInode) {
        space += static_cast<int64_t>(attr.type == kTypeFile ? SpaceOf(attr.length) : 4096);
        count += 1;
      }
      if (inode != kRootInode && !IsTrash(inode)) {
        root_user.used_space += static_cast<int64_t>(attr.type == kTypeFile ? SpaceOf(attr.length) : 4096);
        root_user.used_inodes += 1;
      }
      if (attr.type == kTypeDirectory) {
        WriteDirectory(inode);
      }
    }
    for (const auto& [name, entry] : entries_[kTrashInode]) {
      pairs_[EncodeKey(DentryKey(kTrashInode, name))] = EncodeDentry(entry);
    }
    for (const auto& [key, records] : chunks_) {
      pairs_[EncodeKey(ChunkKey(key.first, key.second))] = EncodeChunk(records);
    }
    for (const auto& [key, links] : link_counts_) {
      pairs_[EncodeKey(LinkCountKey(key.first, key.second))] = EncodeInt64Le(links);
    }
    if (count > 0) {
      pairs_[EncodeKey(CounterKey("usedSpace"))] = EncodeInt64Le(space);
      pairs_[EncodeKey(CounterKey("totalInodes"))] = EncodeInt64Le(count);
    }
    if (options_.choices.user_group_quota && root_user.used_inodes > 0) {
      pairs_[EncodeKey(UserQuotaKey(0))] = EncodeQuota(root_user);
      pairs_[EncodeKey(GroupQuotaKey(0))] = EncodeQuota(root_user);
    }
    // Whole batches were taken.
    const uint64_t inode_batches = next_inode_ == 2 ? 0 : (next_inode_ - 2 + kInodeBatch - 1) / kInodeBatch;
    const uint64_t slice_batches = (next_slice_ - 1 + kSliceBatch - 1) / kSliceBatch;
    pairs_[EncodeKey(CounterKey("nextInode"))] = EncodeInt64Le(static_cast<int64_t>(2 + inode_batches * kInodeBatch));
    pairs_[EncodeKey(CounterKey("nextChunk"))] = EncodeInt64Le(static_cast<int64_t>(1 + slice_batches * kSliceBatch));
  }

  void WriteDirectory(Inode directory) {
    DirStat stat;
    for (const auto& [name, entry] : entries_[directory]) {
      pairs_[EncodeKey(DentryKey(directory, name))] = EncodeDentry(entry);
      const uint64_t length = entry.type == kTypeFile ? At(entry.inode).length : 0;
      stat.length += static_cast<int64_t>(length);
      stat.space += static_cast<int64_t>(SpaceOf(length));
      stat.inodes += 1;
    }
    pairs_[EncodeKey(DirStatKey(directory))] = EncodeDirStat(stat);
  }

  const GenerateOptions& options_;
  RandomStream random_;
  int64_t now_ns_;
  uint64_t next_inode_ = 2;
  uint64_t next_slice_ = 1;
  KeyValues pairs_;
  std::map<Inode, Attr> inodes_;
  std::map<Inode, std::map<Bytes, Dentry>> entries_;
  std::map<std::pair<Inode, uint32_t>, std::vector<SliceRecord>> chunks_;
  std::map<std::pair<Inode, Inode>, int64_t> link_counts_;
  std::vector<Inode> directories_;
  std::vector<std::pair<Inode, Bytes>> files_;
};

}  // namespace

KeyValues GenerateVolume(const GenerateOptions& options) { return Generator(options).Build(); }

}  // namespace kvjury::juicefs
