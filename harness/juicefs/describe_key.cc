#include <fmt/format.h>

#include "harness/juicefs/keys.h"

namespace kvjury::juicefs {

namespace {

std::string Quoted(std::string_view name) { return "\"" + Printable(name) + "\""; }

}  // namespace

std::string InodeText(Inode inode) {
  if (inode == kTrashInode) {
    return "T";
  }
  if (IsTrash(inode)) {
    return fmt::format("T+{}", inode.value() - kTrashInode.value());
  }
  return std::to_string(inode.value());
}

std::string DescribeKey(const Key& key) {
  const std::string inode = InodeText(key.inode);
  switch (key.kind) {
    case KeyKind::kSetting:
      return "setting";
    case KeyKind::kCounter:
      return "counter " + Printable(key.name);
    case KeyKind::kAttr:
      return fmt::format("I({})", inode);
    case KeyKind::kDentry:
      return fmt::format("D({},{})", inode, Quoted(key.name));
    case KeyKind::kLinkCount:
      return fmt::format("P({},{})", inode, InodeText(key.parent));
    case KeyKind::kChunk:
      return fmt::format("C({},{})", inode, key.number);
    case KeyKind::kSymlink:
      return fmt::format("S({})", inode);
    case KeyKind::kXattr:
      return fmt::format("X({},{})", inode, Quoted(key.name));
    case KeyKind::kDeletedFile:
      return fmt::format("del({},{})", inode, key.number);
    case KeyKind::kFlocks:
      return fmt::format("F({})", inode);
    case KeyKind::kPlocks:
      return fmt::format("plocks({})", inode);
    case KeyKind::kSliceReferences:
      return fmt::format("K({},{})", key.id, key.number);
    case KeyKind::kDelayedSlices:
      return fmt::format("L({},{})", key.number, key.id);
    case KeyKind::kSessionExpiry:
      return fmt::format("SE({})", key.id);
    case KeyKind::kSessionInfo:
      return fmt::format("SI({})", key.id);
    case KeyKind::kSessionHeartbeat:
      return fmt::format("SH({})", key.id);
    case KeyKind::kSustained:
      return fmt::format("SS({},{})", key.id, inode);
    case KeyKind::kDirStat:
      return fmt::format("U({})", inode);
    case KeyKind::kDetached:
      return fmt::format("N({})", inode);
    case KeyKind::kDirQuota:
      return fmt::format("QD({})", inode);
    case KeyKind::kUserQuota:
      return fmt::format("QU({})", key.id);
    case KeyKind::kGroupQuota:
      return fmt::format("QG({})", key.id);
    case KeyKind::kAclRule:
      return fmt::format("R({})", key.id);
    case KeyKind::kDelegationToken:
      return fmt::format("XKD({})", key.id);
    case KeyKind::kChangelog:
      return fmt::format("XLOG({},{})", key.shard, key.number);
  }
  CHECK(false) << "key kind " << static_cast<int>(key.kind);
  return {};
}

std::string DescribeKey(std::string_view key_bytes) {
  const Result<Key> key = ParseKey(key_bytes);
  return key.ok() ? DescribeKey(*key) : "unknown key 0x" + ToHex(key_bytes);
}

std::ostream& operator<<(std::ostream& out, const Key& key) { return out << DescribeKey(key); }

}  // namespace kvjury::juicefs
