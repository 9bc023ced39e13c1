#include "harness/juicefs/keys.h"

#include <fmt/format.h>

namespace kvjury::juicefs {

namespace {

Key InodeKey(KeyKind kind, Inode inode) {
  Key key;
  key.kind = kind;
  key.inode = inode;
  return key;
}

Key IdKey(KeyKind kind, uint64_t id) {
  Key key;
  key.kind = kind;
  key.id = id;
  return key;
}

/// "A" + inode + the letter of an attribute-like key.
Bytes InodeRecordKey(Inode inode, char letter) {
  Bytes bytes = "A";
  AppendLe64(&bytes, inode.value());
  bytes.push_back(letter);
  return bytes;
}

Bytes TagAndInode(std::string_view tag, Inode inode) {
  Bytes bytes(tag);
  AppendLe64(&bytes, inode.value());
  return bytes;
}

Bytes TagAndBe64(std::string_view tag, uint64_t number) {
  Bytes bytes(tag);
  AppendBe64(&bytes, number);
  return bytes;
}

Status Malformed(std::string_view bytes, const std::string& expected) {
  return Status::DataLoss(fmt::format("key {} ({} bytes): expected {}", ToHex(bytes), bytes.size(), expected));
}

Status Unknown(std::string_view bytes) {
  return Status::Unsupported(fmt::format("key {} ({} bytes) is of no known kind", ToHex(bytes), bytes.size()));
}

bool IsEntryName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

Result<Key> ParseInodeRecordKey(std::string_view bytes) {
  ByteReader reader(bytes.substr(1));
  const Inode inode(reader.Le64());
  const char letter = static_cast<char>(reader.U8());
  if (!reader.ok()) {
    return Malformed(bytes, "A, 8 bytes of inode and a letter");
  }
  switch (letter) {
    case 'I':
      return reader.empty() ? Result<Key>(AttrKey(inode)) : Malformed(bytes, "nothing after A inode I");
    case 'S':
      return reader.empty() ? Result<Key>(SymlinkKey(inode)) : Malformed(bytes, "nothing after A inode S");
    case 'D':
      return IsEntryName(reader.rest()) ? Result<Key>(DentryKey(inode, reader.rest()))
                                        : Malformed(bytes, "a name of 1 to 255 bytes without '/' and NUL after A inode D");
    case 'X':
      return !reader.empty() ? Result<Key>(XattrKey(inode, reader.rest())) : Malformed(bytes, "a name after A inode X");
    case 'P':
      return reader.remaining() == 8 ? Result<Key>(LinkCountKey(inode, Inode(reader.Le64())))
                                     : Malformed(bytes, "8 bytes of inode after A inode P");
    case 'C':
      return reader.remaining() == 4 ? Result<Key>(ChunkKey(inode, reader.Be32()))
                                     : Malformed(bytes, "4 bytes of index after A inode C");
    default:
      return Unknown(bytes);
  }
}

Result<Key> ParseSessionKey(std::string_view bytes) {
  const char letter = bytes.size() > 1 ? bytes[1] : '\0';
  ByteReader reader(bytes.substr(bytes.size() > 1 ? 2 : 1));
  const KeyKind kind = letter == 'E'   ? KeyKind::kSessionExpiry
                       : letter == 'I' ? KeyKind::kSessionInfo
                                       : KeyKind::kSessionHeartbeat;
  switch (letter) {
    case 'E':
    case 'I':
    case 'H':
      return reader.remaining() == 8 ? Result<Key>(SessionKey(kind, reader.Be64()))
                                     : Malformed(bytes, "8 bytes of session id after S and a letter");
    case 'S': {
      if (reader.remaining() != 16) {
        return Malformed(bytes, "8 bytes of session id and 8 of inode after SS");
      }
      const uint64_t session = reader.Be64();
      return SustainedKey(session, Inode(reader.Le64()));
    }
    default:
      return Unknown(bytes);
  }
}

Result<Key> ParseQuotaKey(std::string_view bytes) {
  const char letter = bytes.size() > 1 ? bytes[1] : '\0';
  if (letter != 'D' && letter != 'U' && letter != 'G') {
    return Unknown(bytes);
  }
  if (bytes.size() != 10) {
    return Malformed(bytes, "8 bytes after Q and a letter");
  }
  ByteReader reader(bytes.substr(2));
  if (letter == 'D') {
    return DirQuotaKey(Inode(reader.Le64()));
  }
  const uint64_t id = reader.Be64();
  return letter == 'U' ? UserQuotaKey(id) : GroupQuotaKey(id);
}

Result<Key> ParseExtensionKey(std::string_view bytes) {
  if (bytes.substr(0, 4) == "XLOG") {
    if (bytes.size() != 13) {
      return Malformed(bytes, "1 byte of shard and 8 of timestamp after XLOG");
    }
    ByteReader reader(bytes.substr(4));
    const uint8_t shard = reader.U8();
    return ChangelogKey(shard, reader.Be64());
  }
  if (bytes.substr(0, 3) == "XKD") {
    ByteReader reader(bytes.substr(3));
    return reader.remaining() == 4 ? Result<Key>(DelegationTokenKey(reader.Be32()))
                                   : Malformed(bytes, "4 bytes of id after XKD");
  }
  return Unknown(bytes);
}

/// Keys of one letter and a fixed number of bytes.
Result<Key> ParseFixedKey(std::string_view bytes) {
  ByteReader reader(bytes.substr(1));
  const size_t size = reader.remaining();
  switch (bytes[0]) {
    case 'D': {
      if (size != 16) {
        return Malformed(bytes, "8 bytes of inode and 8 of length after D");
      }
      const Inode inode(reader.Le64());
      return DeletedFileKey(inode, reader.Be64());
    }
    case 'K': {
      if (size != 12) {
        return Malformed(bytes, "8 bytes of slice id and 4 of size after K");
      }
      const uint64_t id = reader.Be64();
      return SliceReferencesKey(id, reader.Be32());
    }
    case 'L': {
      if (size != 16) {
        return Malformed(bytes, "8 bytes of seconds and 8 of slice id after L");
      }
      const uint64_t seconds = reader.Be64();
      return DelayedSlicesKey(seconds, reader.Be64());
    }
    case 'R':
      return size == 4 ? Result<Key>(AclRuleKey(reader.Be32())) : Malformed(bytes, "4 bytes of id after R");
    case 'F':
      return size == 8 ? Result<Key>(FlocksKey(Inode(reader.Le64()))) : Malformed(bytes, "8 bytes of inode after F");
    case 'P':
      return size == 8 ? Result<Key>(PlocksKey(Inode(reader.Le64()))) : Malformed(bytes, "8 bytes of inode after P");
    case 'U':
      return size == 8 ? Result<Key>(DirStatKey(Inode(reader.Le64()))) : Malformed(bytes, "8 bytes of inode after U");
    case 'N':
      return size == 8 ? Result<Key>(DetachedKey(Inode(reader.Le64()))) : Malformed(bytes, "8 bytes of inode after N");
    default:
      return Unknown(bytes);
  }
}

}  // namespace

const char* KeyKindName(KeyKind kind) {
  static constexpr const char* kNames[] = {
      "setting",       "counter",        "attr",            "dentry",         "link-count",        "chunk",
      "symlink",       "xattr",          "deleted-file",    "flocks",         "plocks",            "slice-references",
      "delayed-slices", "session-expiry", "session-info",   "session-heartbeat", "sustained",      "dir-stat",
      "detached",      "dir-quota",      "user-quota",      "group-quota",    "acl-rule",          "delegation-token",
      "changelog"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kKeyKindCount);
  CHECK_LT(static_cast<size_t>(kind), kKeyKindCount);
  return kNames[static_cast<size_t>(kind)];
}

Key SettingKey() { return Key{}; }

Key CounterKey(std::string_view name) {
  Key key;
  key.kind = KeyKind::kCounter;
  key.name = Bytes(name);
  return key;
}

Key AttrKey(Inode inode) { return InodeKey(KeyKind::kAttr, inode); }

Key DentryKey(Inode directory, std::string_view name) {
  Key key = InodeKey(KeyKind::kDentry, directory);
  key.name = Bytes(name);
  return key;
}

Key LinkCountKey(Inode inode, Inode directory) {
  Key key = InodeKey(KeyKind::kLinkCount, inode);
  key.parent = directory;
  return key;
}

Key ChunkKey(Inode inode, uint32_t index) {
  Key key = InodeKey(KeyKind::kChunk, inode);
  key.number = index;
  return key;
}

Key SymlinkKey(Inode inode) { return InodeKey(KeyKind::kSymlink, inode); }

Key XattrKey(Inode inode, std::string_view name) {
  Key key = InodeKey(KeyKind::kXattr, inode);
  key.name = Bytes(name);
  return key;
}

Key DeletedFileKey(Inode inode, uint64_t length) {
  Key key = InodeKey(KeyKind::kDeletedFile, inode);
  key.number = length;
  return key;
}

Key FlocksKey(Inode inode) { return InodeKey(KeyKind::kFlocks, inode); }
Key PlocksKey(Inode inode) { return InodeKey(KeyKind::kPlocks, inode); }

Key SliceReferencesKey(uint64_t slice_id, uint32_t size) {
  Key key = IdKey(KeyKind::kSliceReferences, slice_id);
  key.number = size;
  return key;
}

Key DelayedSlicesKey(uint64_t seconds, uint64_t slice_id) {
  Key key = IdKey(KeyKind::kDelayedSlices, slice_id);
  key.number = seconds;
  return key;
}

Key SessionKey(KeyKind kind, uint64_t session) {
  CHECK(kind == KeyKind::kSessionExpiry || kind == KeyKind::kSessionInfo || kind == KeyKind::kSessionHeartbeat)
      << KeyKindName(kind);
  return IdKey(kind, session);
}

Key SustainedKey(uint64_t session, Inode inode) {
  Key key = InodeKey(KeyKind::kSustained, inode);
  key.id = session;
  return key;
}

Key DirStatKey(Inode inode) { return InodeKey(KeyKind::kDirStat, inode); }
Key DetachedKey(Inode inode) { return InodeKey(KeyKind::kDetached, inode); }
Key DirQuotaKey(Inode inode) { return InodeKey(KeyKind::kDirQuota, inode); }
Key UserQuotaKey(uint64_t uid) { return IdKey(KeyKind::kUserQuota, uid); }
Key GroupQuotaKey(uint64_t gid) { return IdKey(KeyKind::kGroupQuota, gid); }
Key AclRuleKey(uint32_t id) { return IdKey(KeyKind::kAclRule, id); }
Key DelegationTokenKey(uint32_t id) { return IdKey(KeyKind::kDelegationToken, id); }

Key ChangelogKey(uint8_t shard, uint64_t start_ts) {
  Key key;
  key.kind = KeyKind::kChangelog;
  key.shard = shard;
  key.number = start_ts;
  return key;
}

Bytes EncodeKey(const Key& key) {
  Bytes bytes;
  switch (key.kind) {
    case KeyKind::kSetting:
      return "setting";
    case KeyKind::kCounter:
      return "C" + key.name;
    case KeyKind::kAttr:
      return InodeRecordKey(key.inode, 'I');
    case KeyKind::kDentry:
      return InodeRecordKey(key.inode, 'D') + key.name;
    case KeyKind::kLinkCount:
      bytes = InodeRecordKey(key.inode, 'P');
      AppendLe64(&bytes, key.parent.value());
      return bytes;
    case KeyKind::kChunk:
      bytes = InodeRecordKey(key.inode, 'C');
      AppendBe32(&bytes, static_cast<uint32_t>(key.number));
      return bytes;
    case KeyKind::kSymlink:
      return InodeRecordKey(key.inode, 'S');
    case KeyKind::kXattr:
      return InodeRecordKey(key.inode, 'X') + key.name;
    case KeyKind::kDeletedFile:
      bytes = TagAndInode("D", key.inode);
      AppendBe64(&bytes, key.number);
      return bytes;
    case KeyKind::kFlocks:
      return TagAndInode("F", key.inode);
    case KeyKind::kPlocks:
      return TagAndInode("P", key.inode);
    case KeyKind::kSliceReferences:
      bytes = TagAndBe64("K", key.id);
      AppendBe32(&bytes, static_cast<uint32_t>(key.number));
      return bytes;
    case KeyKind::kDelayedSlices:
      bytes = TagAndBe64("L", key.number);
      AppendBe64(&bytes, key.id);
      return bytes;
    case KeyKind::kSessionExpiry:
      return TagAndBe64("SE", key.id);
    case KeyKind::kSessionInfo:
      return TagAndBe64("SI", key.id);
    case KeyKind::kSessionHeartbeat:
      return TagAndBe64("SH", key.id);
    case KeyKind::kSustained:
      bytes = TagAndBe64("SS", key.id);
      AppendLe64(&bytes, key.inode.value());
      return bytes;
    case KeyKind::kDirStat:
      return TagAndInode("U", key.inode);
    case KeyKind::kDetached:
      return TagAndInode("N", key.inode);
    case KeyKind::kDirQuota:
      return TagAndInode("QD", key.inode);
    case KeyKind::kUserQuota:
      return TagAndBe64("QU", key.id);
    case KeyKind::kGroupQuota:
      return TagAndBe64("QG", key.id);
    case KeyKind::kAclRule:
      bytes = "R";
      AppendBe32(&bytes, static_cast<uint32_t>(key.id));
      return bytes;
    case KeyKind::kDelegationToken:
      bytes = "XKD";
      AppendBe32(&bytes, static_cast<uint32_t>(key.id));
      return bytes;
    case KeyKind::kChangelog:
      bytes = "XLOG";
      bytes.push_back(static_cast<char>(key.shard));
      AppendBe64(&bytes, key.number);
      return bytes;
  }
  CHECK(false) << "key kind " << static_cast<int>(key.kind);
  return bytes;
}

Result<Key> ParseKey(std::string_view bytes) {
  if (bytes == "setting") {
    return SettingKey();
  }
  if (bytes.empty()) {
    return Unknown(bytes);
  }
  switch (bytes[0]) {
    case 'A':
      return ParseInodeRecordKey(bytes);
    case 'C':
      return bytes.size() > 1 ? Result<Key>(CounterKey(bytes.substr(1))) : Malformed(bytes, "a counter name after C");
    case 'S':
      return ParseSessionKey(bytes);
    case 'Q':
      return ParseQuotaKey(bytes);
    case 'X':
      return ParseExtensionKey(bytes);
    default:
      return ParseFixedKey(bytes);
  }
}

}  // namespace kvjury::juicefs
