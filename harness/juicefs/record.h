// Record: one decoded key and value of a volume.
//
// DecodeRecord gives a record or the reason why there is none; EncodeRecord gives back the same two byte strings.
// Kinds whose value is a bare number, raw bytes or a list share an alternative: the key's kind says what it means.
#pragma once

#include <utility>
#include <variant>
#include <vector>

#include "harness/juicefs/attr.h"
#include "harness/juicefs/format.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

// Bytes:   kSymlink, kXattr, kSessionInfo (JSON), kDelegationToken, kChangelog (text), kSustained (always 01)
// int64_t: kCounter, kLinkCount, kDeletedFile, kSliceReferences, kSessionExpiry, kSessionHeartbeat, kDetached
using RecordValue = std::variant<int64_t, Bytes, Setting, Attr, Dentry, std::vector<SliceRecord>, std::vector<SliceName>,
                                 std::vector<Flock>, std::vector<Plock>, DirStat, Quota, AclRule>;

struct Record {
  Key key;
  RecordValue value;
  friend bool operator==(const Record&, const Record&) = default;
};

/// Errors: those of the value decoders, prefixed with DescribeKey(key).
Result<RecordValue> DecodeValue(const Key& key, std::string_view value);

/// The value alternative must fit the key's kind.
Bytes EncodeValue(const Key& key, const RecordValue& value);

/// Errors: those of ParseKey and DecodeValue.
Result<Record> DecodeRecord(std::string_view key_bytes, std::string_view value_bytes);

std::pair<Bytes, Bytes> EncodeRecord(const Record& record);

}  // namespace kvjury::juicefs
