// Round trips of generated keys, attributes and chunk values.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "harness/juicefs/record.h"

namespace kvjury::juicefs {
namespace {

/// A number with any bit length, so that small and huge ones are equally common.
uint64_t DrawNumber() {
  const uint64_t bits = *rc::gen::arbitrary<uint64_t>();
  const int shift = *rc::gen::inRange(0, 64);
  return bits >> shift;
}

Bytes DrawName() {
  const auto bytes = *rc::gen::resize(60, rc::gen::nonEmpty(rc::gen::container<std::string>(
                                              rc::gen::suchThat<char>([](char c) { return c != '/' && c != '\0'; }))));
  return bytes.substr(0, kNameBytesMax);
}

Key DrawKey(KeyKind kind) {
  const Inode inode(DrawNumber());
  const uint64_t number = DrawNumber();
  const auto small = static_cast<uint32_t>(number);
  switch (kind) {
    case KeyKind::kSetting:
      return SettingKey();
    case KeyKind::kCounter:
      return CounterKey(DrawName());
    case KeyKind::kAttr:
      return AttrKey(inode);
    case KeyKind::kDentry:
      return DentryKey(inode, DrawName());
    case KeyKind::kLinkCount:
      return LinkCountKey(inode, Inode(number));
    case KeyKind::kChunk:
      return ChunkKey(inode, small);
    case KeyKind::kSymlink:
      return SymlinkKey(inode);
    case KeyKind::kXattr:
      return XattrKey(inode, DrawName());
    case KeyKind::kDeletedFile:
      return DeletedFileKey(inode, number);
    case KeyKind::kFlocks:
      return FlocksKey(inode);
    case KeyKind::kPlocks:
      return PlocksKey(inode);
    case KeyKind::kSliceReferences:
      return SliceReferencesKey(inode.value(), small);
    case KeyKind::kDelayedSlices:
      return DelayedSlicesKey(number, inode.value());
    case KeyKind::kSessionExpiry:
    case KeyKind::kSessionInfo:
    case KeyKind::kSessionHeartbeat:
      return SessionKey(kind, number);
    case KeyKind::kSustained:
      return SustainedKey(number, inode);
    case KeyKind::kDirStat:
      return DirStatKey(inode);
    case KeyKind::kDetached:
      return DetachedKey(inode);
    case KeyKind::kDirQuota:
      return DirQuotaKey(inode);
    case KeyKind::kUserQuota:
      return UserQuotaKey(number);
    case KeyKind::kGroupQuota:
      return GroupQuotaKey(number);
    case KeyKind::kAclRule:
      return AclRuleKey(small);
    case KeyKind::kDelegationToken:
      return DelegationTokenKey(small);
    case KeyKind::kChangelog:
      return ChangelogKey(static_cast<uint8_t>(number), inode.value());
  }
  return SettingKey();
}

RC_GTEST_PROP(KeysProperty, AKeyOfEveryKindComesBack, ()) {
  for (size_t kind = 0; kind < kKeyKindCount; ++kind) {
    const Key key = DrawKey(static_cast<KeyKind>(kind));
    RC_TAG(IsTrash(key.inode) ? "inode of the trash" : "ordinary inode");
    const Bytes bytes = EncodeKey(key);
    const Result<Key> parsed = ParseKey(bytes);
    RC_ASSERT(parsed.ok());
    RC_ASSERT(*parsed == key);
    RC_ASSERT(EncodeKey(*parsed) == bytes);
    RC_ASSERT(DescribeKey(bytes) == DescribeKey(key));
  }
}

Attr DrawAttr() {
  Attr attr;
  attr.flags = *rc::gen::arbitrary<uint8_t>();
  attr.type = static_cast<uint8_t>(*rc::gen::inRange(0, 16));
  attr.mode = static_cast<uint16_t>(*rc::gen::inRange(0, 4096));
  attr.uid = *rc::gen::arbitrary<uint32_t>();
  attr.gid = *rc::gen::arbitrary<uint32_t>();
  attr.atime_s = static_cast<int64_t>(DrawNumber());
  attr.atime_ns = *rc::gen::arbitrary<uint32_t>();
  attr.mtime_s = static_cast<int64_t>(DrawNumber());
  attr.mtime_ns = *rc::gen::arbitrary<uint32_t>();
  attr.ctime_s = static_cast<int64_t>(DrawNumber());
  attr.ctime_ns = *rc::gen::arbitrary<uint32_t>();
  attr.nlink = *rc::gen::arbitrary<uint32_t>();
  attr.length = DrawNumber();
  attr.rdev = *rc::gen::arbitrary<uint32_t>();
  attr.parent = Inode(DrawNumber());
  return attr;
}

RC_GTEST_PROP(AttrsProperty, EveryShapeComesBack, ()) {
  Attr attr = DrawAttr();
  const auto nonzero = static_cast<uint32_t>(*rc::gen::inRange(1, 1000));
  const std::map<size_t, std::pair<uint32_t, uint8_t>> shapes = {{72, {0, 0}}, {73, {0, 2}}, {80, {nonzero, 0}}, {81, {nonzero, 1}}};
  for (const auto& [size, acl_and_tier] : shapes) {
    (*rc::gen::arbitrary<bool>() ? attr.access_acl : attr.default_acl) = acl_and_tier.first;
    attr.tier = acl_and_tier.second;
    const Bytes value = EncodeAttr(attr);
    RC_ASSERT(value.size() == size);
    RC_ASSERT(IsAttrLength(value.size()));
    RC_ASSERT(DecodeAttr(value).value() == attr);
  }
}

RC_GTEST_PROP(AttrsProperty, AnyBytesThatDecodeComeBack, (const std::vector<uint8_t>& tail)) {
  Bytes value = EncodeAttr(DrawAttr()).substr(0, 63);
  value.append(tail.begin(), tail.end());
  RC_CLASSIFY(!IsAttrLength(value.size()), "odd length");
  const Result<Attr> decoded = DecodeAttr(value);
  RC_ASSERT(decoded.ok());
  RC_ASSERT(EncodeAttr(*decoded) == value);
}

RC_GTEST_PROP(SlicesProperty, ChunkValuesComeBackAndBrokenLengthsDoNotDecode, ()) {
  const auto count = *rc::gen::inRange<size_t>(1, 40);
  std::vector<SliceRecord> records;
  for (size_t i = 0; i < count; ++i) {
    SliceRecord record;
    record.position = static_cast<uint32_t>(DrawNumber());
    record.id = DrawNumber();
    record.size = static_cast<uint32_t>(DrawNumber());
    record.offset = static_cast<uint32_t>(DrawNumber());
    record.length = static_cast<uint32_t>(DrawNumber());
    records.push_back(record);
  }
  const Bytes value = EncodeChunk(records);
  RC_ASSERT(DecodeChunk(value).value() == records);
  const auto cut = *rc::gen::inRange<size_t>(1, kSliceRecordBytes);
  RC_ASSERT(!DecodeChunk(value.substr(0, value.size() - cut)).ok());
}

RC_GTEST_PROP(RecordsProperty, ArbitraryBytesNeverDecodeToSomethingThatEncodesDifferently,
              (const std::vector<uint8_t>& bytes)) {
  const auto kind = static_cast<KeyKind>(*rc::gen::inRange<int>(0, static_cast<int>(kKeyKindCount)));
  const Key key = DrawKey(kind);
  const Bytes value(bytes.begin(), bytes.end());
  const Result<RecordValue> decoded = DecodeValue(key, value);
  RC_CLASSIFY(decoded.ok(), "decodes");
  if (decoded.ok()) {
    RC_ASSERT(EncodeValue(key, *decoded) == value);
  }
}

}  // namespace
}  // namespace kvjury::juicefs
