#include "harness/juicefs/record.h"

namespace kvjury::juicefs {

namespace {

/// Lifts a decoder's result into the variant.
template <class T>
Result<RecordValue> Lift(Result<T> decoded, const Key& key) {
  if (!decoded.ok()) {
    return decoded.error().WithContext(DescribeKey(key));
  }
  return RecordValue(std::move(decoded).value());
}

Result<Bytes> DecodeSustained(std::string_view value) {
  if (value != std::string_view("\x01", 1)) {
    return Status::DataLoss("sustained mark " + ToHex(value) + ": expected 01");
  }
  return Bytes(value);
}

}  // namespace

Result<RecordValue> DecodeValue(const Key& key, std::string_view value) {
  switch (key.kind) {
    case KeyKind::kSetting:
      return Lift(DecodeSetting(value), key);
    case KeyKind::kAttr:
      return Lift(DecodeAttr(value), key);
    case KeyKind::kDentry:
      return Lift(DecodeDentry(value), key);
    case KeyKind::kChunk:
      return Lift(DecodeChunk(value), key);
    case KeyKind::kDelayedSlices:
      return Lift(DecodeSliceNames(value), key);
    case KeyKind::kFlocks:
      return Lift(DecodeFlocks(value), key);
    case KeyKind::kPlocks:
      return Lift(DecodePlocks(value), key);
    case KeyKind::kDirStat:
      return Lift(DecodeDirStat(value), key);
    case KeyKind::kDirQuota:
    case KeyKind::kUserQuota:
    case KeyKind::kGroupQuota:
      return Lift(DecodeQuota(value), key);
    case KeyKind::kAclRule:
      return Lift(DecodeAclRule(value), key);
    case KeyKind::kSustained:
      return Lift(DecodeSustained(value), key);
    case KeyKind::kCounter:
      return Lift(IsTimeCounter(key.name) ? DecodeInt64Be(value) : DecodeInt64Le(value), key);
    case KeyKind::kLinkCount:
    case KeyKind::kSliceReferences:
      return Lift(DecodeInt64Le(value), key);
    case KeyKind::kDeletedFile:
    case KeyKind::kSessionExpiry:
    case KeyKind::kSessionHeartbeat:
    case KeyKind::kDetached:
      return Lift(DecodeInt64Be(value), key);
    case KeyKind::kSymlink:
    case KeyKind::kXattr:
    case KeyKind::kSessionInfo:
    case KeyKind::kDelegationToken:
    case KeyKind::kChangelog:
      return RecordValue(Bytes(value));
  }
  CHECK(false) << "key kind " << static_cast<int>(key.kind);
  return Status::DataLoss("unreachable");
}

Bytes EncodeValue(const Key& key, const RecordValue& value) {
  switch (key.kind) {
    case KeyKind::kSetting:
      return EncodeSetting(std::get<Setting>(value));
    case KeyKind::kAttr:
      return EncodeAttr(std::get<Attr>(value));
    case KeyKind::kDentry:
      return EncodeDentry(std::get<Dentry>(value));
    case KeyKind::kChunk:
      return EncodeChunk(std::get<std::vector<SliceRecord>>(value));
    case KeyKind::kDelayedSlices:
      return EncodeSliceNames(std::get<std::vector<SliceName>>(value));
    case KeyKind::kFlocks:
      return EncodeFlocks(std::get<std::vector<Flock>>(value));
    case KeyKind::kPlocks:
      return EncodePlocks(std::get<std::vector<Plock>>(value));
    case KeyKind::kDirStat:
      return EncodeDirStat(std::get<DirStat>(value));
    case KeyKind::kDirQuota:
    case KeyKind::kUserQuota:
    case KeyKind::kGroupQuota:
      return EncodeQuota(std::get<Quota>(value));
    case KeyKind::kAclRule:
      return EncodeAclRule(std::get<AclRule>(value));
    case KeyKind::kCounter: {
      const int64_t number = std::get<int64_t>(value);
      return IsTimeCounter(key.name) ? EncodeInt64Be(number) : EncodeInt64Le(number);
    }
    case KeyKind::kLinkCount:
    case KeyKind::kSliceReferences:
      return EncodeInt64Le(std::get<int64_t>(value));
    case KeyKind::kDeletedFile:
    case KeyKind::kSessionExpiry:
    case KeyKind::kSessionHeartbeat:
    case KeyKind::kDetached:
      return EncodeInt64Be(std::get<int64_t>(value));
    case KeyKind::kSustained:
    case KeyKind::kSymlink:
    case KeyKind::kXattr:
    case KeyKind::kSessionInfo:
    case KeyKind::kDelegationToken:
    case KeyKind::kChangelog:
      return std::get<Bytes>(value);
  }
  CHECK(false) << "key kind " << static_cast<int>(key.kind);
  return {};
}

Result<Record> DecodeRecord(std::string_view key_bytes, std::string_view value_bytes) {
  ASSIGN_OR_RETURN(Key key, ParseKey(key_bytes));
  ASSIGN_OR_RETURN(RecordValue value, DecodeValue(key, value_bytes));
  return Record{std::move(key), std::move(value)};
}

std::pair<Bytes, Bytes> EncodeRecord(const Record& record) {
  return {EncodeKey(record.key), EncodeValue(record.key, record.value)};
}

}  // namespace kvjury::juicefs
