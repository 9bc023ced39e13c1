#include "fakes/base/memcomparable.h"

namespace kvjury {

namespace {
constexpr size_t kGroup = 8;
constexpr uint8_t kFullMarker = 0xFF;
}  // namespace

void AppendEncodedKey(Bytes* out, std::string_view key) {
  out->reserve(out->size() + (key.size() / kGroup + 1) * (kGroup + 1) + 8);
  for (size_t at = 0; at <= key.size(); at += kGroup) {
    const std::string_view group = key.substr(at, kGroup);
    const size_t padding = kGroup - group.size();
    out->append(group);
    out->append(padding, '\0');
    out->push_back(static_cast<char>(kFullMarker - padding));
  }
}

Bytes EncodeKey(std::string_view key) {
  Bytes out;
  AppendEncodedKey(&out, key);
  return out;
}

Result<Bytes> TakeEncodedKey(std::string_view* bytes) {
  Bytes key;
  while (true) {
    if (bytes->size() < kGroup + 1) {
      return Status::DataLoss("encoded key ends inside a group: " + ToHex(*bytes));
    }
    const auto marker = static_cast<uint8_t>((*bytes)[kGroup]);
    const size_t padding = static_cast<size_t>(kFullMarker - marker);
    if (padding > kGroup) {
      return Status::DataLoss("encoded key has the marker " + std::to_string(marker));
    }
    const std::string_view group = bytes->substr(0, kGroup);
    for (size_t i = kGroup - padding; i < kGroup; ++i) {
      if (group[i] != '\0') {
        return Status::DataLoss("encoded key has padding other than zero: " + ToHex(group));
      }
    }
    key.append(group.substr(0, kGroup - padding));
    bytes->remove_prefix(kGroup + 1);
    if (padding > 0) {
      return key;
    }
  }
}

Result<Bytes> DecodeKey(std::string_view encoded) {
  std::string_view rest = encoded;
  ASSIGN_OR_RETURN(Bytes key, TakeEncodedKey(&rest));
  if (!rest.empty()) {
    return Status::DataLoss(std::to_string(rest.size()) + " bytes behind an encoded key: " + ToHex(encoded));
  }
  return key;
}

Bytes EncodeBoundary(std::string_view key) { return key.empty() ? Bytes() : EncodeKey(key); }

Result<Bytes> DecodeBoundary(std::string_view encoded) {
  if (encoded.empty()) {
    return Bytes();
  }
  return DecodeKey(encoded);
}

void AppendInvertedTimestamp(Bytes* out, Timestamp ts) { AppendBe64(out, ~ts.value()); }

Bytes EncodeVersionedKey(std::string_view key, Timestamp ts) {
  Bytes out;
  AppendEncodedKey(&out, key);
  AppendInvertedTimestamp(&out, ts);
  return out;
}

Result<VersionedKey> DecodeVersionedKey(std::string_view encoded) {
  std::string_view rest = encoded;
  ASSIGN_OR_RETURN(Bytes key, TakeEncodedKey(&rest));
  ByteReader reader(rest);
  const uint64_t inverted = reader.Be64();
  if (!reader.ok() || !reader.empty()) {
    return Status::DataLoss("expected 8 bytes of timestamp behind the key, found " + std::to_string(rest.size()));
  }
  return VersionedKey{std::move(key), Timestamp(~inverted)};
}

}  // namespace kvjury
