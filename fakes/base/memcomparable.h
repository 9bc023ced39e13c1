// The memcomparable form of a user key, and timestamps behind it.
//
// Groups of eight bytes, zero padded, each followed by 0xFF minus the number of padding bytes; a length that is a multiple
// of eight gets one all-zero group more. Byte order of the encoded keys is the order of the keys.
// Trap: an empty key as a *boundary* means "unbounded" and must not be encoded: use EncodeBoundary/DecodeBoundary there.
// Source: TiKV key encoding (TiKV 8.5); the 'z' prefix is that of data keys in RocksDB.
#pragma once

#include <string_view>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"

namespace kvjury {

/// Encodes any key, the empty one too (eight zero bytes and 0xF7).
Bytes EncodeKey(std::string_view key);
void AppendEncodedKey(Bytes* out, std::string_view key);

/// The inverse; the whole input must be one encoded key. Errors: kDataLoss.
Result<Bytes> DecodeKey(std::string_view encoded);

/// Decodes one encoded key from the front of `*bytes` and advances it. Errors: kDataLoss.
Result<Bytes> TakeEncodedKey(std::string_view* bytes);

/// A region boundary: empty stays empty, since it means "no bound".
Bytes EncodeBoundary(std::string_view key);
Result<Bytes> DecodeBoundary(std::string_view encoded);

/// Eight bytes, big endian, of the inverted timestamp: newer sorts first.
void AppendInvertedTimestamp(Bytes* out, Timestamp ts);

/// EncodeKey(key) followed by the inverted timestamp: the key of the default and write column families.
Bytes EncodeVersionedKey(std::string_view key, Timestamp ts);

struct VersionedKey {
  Bytes key;
  Timestamp ts;
};
/// Splits an encoded key with a timestamp behind it. Errors: kDataLoss.
Result<VersionedKey> DecodeVersionedKey(std::string_view encoded);

/// The prefix of every data key inside RocksDB.
inline constexpr char kDataPrefix = 'z';

}  // namespace kvjury
