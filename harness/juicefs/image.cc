#include "harness/juicefs/image.h"

#include <algorithm>
#include <utility>

#include "harness/juicefs/constants.h"

namespace kvjury::juicefs {

std::string ImageProblem::ToString() const {
  return "key " + ToHex(key_bytes) + (key.has_value() ? ", " + DescribeKey(*key) : "") + ": " + status.ToString();
}

int64_t VolumeImage::Counter(const Bytes& name) const {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : found->second;
}

const Attr* VolumeImage::FindAttr(Inode inode) const {
  const auto found = inodes.find(inode);
  return found == inodes.end() ? nullptr : &found->second;
}

void AddRecord(const Record& record, VolumeImage* image) {
  const Key& key = record.key;
  const RecordValue& value = record.value;
  const auto id32 = static_cast<uint32_t>(key.id);
  switch (key.kind) {
    case KeyKind::kSetting:
      image->setting = std::get<Setting>(value);
      return;
    case KeyKind::kCounter:
      image->counters[key.name] = std::get<int64_t>(value);
      return;
    case KeyKind::kAttr:
      image->inodes.insert_or_assign(image->inodes.end(), key.inode, std::get<Attr>(value));
      return;
    case KeyKind::kDentry:
      image->dentries[key.inode][key.name] = std::get<Dentry>(value);
      return;
    case KeyKind::kLinkCount:
      image->link_counts[key.inode][key.parent] = std::get<int64_t>(value);
      return;
    case KeyKind::kChunk:
      image->chunks[key.inode][static_cast<uint32_t>(key.number)] = std::get<std::vector<SliceRecord>>(value);
      return;
    case KeyKind::kSymlink:
      image->symlinks[key.inode] = std::get<Bytes>(value);
      return;
    case KeyKind::kXattr:
      image->xattrs[key.inode][key.name] = std::get<Bytes>(value);
      return;
    case KeyKind::kDeletedFile:
      image->deleted_files[{key.inode, key.number}] = std::get<int64_t>(value);
      return;
    case KeyKind::kFlocks:
      image->flocks[key.inode] = std::get<std::vector<Flock>>(value);
      return;
    case KeyKind::kPlocks:
      image->plocks[key.inode] = std::get<std::vector<Plock>>(value);
      return;
    case KeyKind::kSliceReferences:
      image->slice_references[{key.id, static_cast<uint32_t>(key.number)}] = std::get<int64_t>(value);
      return;
    case KeyKind::kDelayedSlices:
      image->delayed_slices[{key.number, key.id}] = std::get<std::vector<SliceName>>(value);
      return;
    case KeyKind::kSessionExpiry:
      image->session_expiries[key.id] = std::get<int64_t>(value);
      return;
    case KeyKind::kSessionInfo:
      image->session_infos[key.id] = std::get<Bytes>(value);
      return;
    case KeyKind::kSessionHeartbeat:
      image->session_heartbeats[key.id] = std::get<int64_t>(value);
      return;
    case KeyKind::kSustained:
      image->sustained.insert({key.id, key.inode});
      return;
    case KeyKind::kDirStat:
      image->dir_stats[key.inode] = std::get<DirStat>(value);
      return;
    case KeyKind::kDetached:
      image->detached[key.inode] = std::get<int64_t>(value);
      return;
    case KeyKind::kDirQuota:
      image->dir_quotas[key.inode] = std::get<Quota>(value);
      return;
    case KeyKind::kUserQuota:
      image->user_quotas[key.id] = std::get<Quota>(value);
      return;
    case KeyKind::kGroupQuota:
      image->group_quotas[key.id] = std::get<Quota>(value);
      return;
    case KeyKind::kAclRule:
      image->acl_rules[id32] = std::get<AclRule>(value);
      return;
    case KeyKind::kDelegationToken:
      image->delegation_tokens[id32] = std::get<Bytes>(value);
      return;
    case KeyKind::kChangelog:
      image->changelog[{key.number, key.shard}] = std::get<Bytes>(value);
      return;
  }
  CHECK(false) << "key kind " << static_cast<int>(key.kind);
}

namespace {

using Pair = KeyValues::value_type;

void AddPair(const Pair& pair, VolumeImage* image) {
  ++image->pair_count;
  Result<Key> key = ParseKey(pair.first);
  if (!key.ok()) {
    image->problems.push_back({pair.first, std::nullopt, key.error()});
    return;
  }
  Result<RecordValue> value = DecodeValue(*key, pair.second);
  if (!value.ok()) {
    image->problems.push_back({pair.first, *key, value.error()});
    return;
  }
  AddRecord({*std::move(key), *std::move(value)}, image);
}

/// The number in a key of an inode's records; 0 for all other keys, and for one that does not parse.
uint64_t InodeOfKey(const Bytes& key) {
  if (key.empty() || key[0] != 'A') {
    return 0;
  }
  ByteReader reader(std::string_view(key).substr(1));
  const uint64_t inode = reader.Le64();
  return reader.ok() ? inode : 0;
}

}  // namespace

VolumeImage BuildImage(const KeyValues& pairs) {
  // Keys have their inodes in little-endian order. Taken by number, what belongs together lies together in memory, too: with a million inodes
  // the maps are built and read in about half the time.
  std::vector<std::pair<uint64_t, const Pair*>> order;
  order.reserve(pairs.size());
  for (const Pair& pair : pairs) {
    order.emplace_back(InodeOfKey(pair.first), &pair);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  VolumeImage image;
  for (const auto& [inode, pair] : order) {
    AddPair(*pair, &image);
  }
  std::sort(image.problems.begin(), image.problems.end(), [](const ImageProblem& a, const ImageProblem& b) { return a.key_bytes < b.key_bytes; });
  return image;
}

CountedUsage CountUsage(const VolumeImage& image) {
  CountedUsage usage;
  for (const auto& [inode, attr] : image.inodes) {
    if (inode == kRootInode || inode == kTrashInode) {
      continue;
    }
    // Lengths of a damaged volume may be anything: the sum wraps around.
    usage.space = static_cast<int64_t>(static_cast<uint64_t>(usage.space) + SpaceOf(attr.type == kTypeFile ? attr.length : 0));
    usage.inodes += 1;
  }
  return usage;
}

}  // namespace kvjury::juicefs
