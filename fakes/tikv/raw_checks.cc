#include "fakes/tikv/raw_checks.h"

#include "fakes/base/memcomparable.h"

namespace kvjury::tikv {

namespace {

/// TiKV's limit on a raw key, which is not encoded.
constexpr size_t kRawKeyBytesMax = 8192;

std::optional<RawError> WrongApiVersion(const kvrpcpb::Context& context, const char* command) {
  if (context.api_version() == kvrpcpb::V1) {
    return std::nullopt;
  }
  const std::string asked = context.api_version() == kvrpcpb::V1TTL ? "V1ttl" : kvrpcpb::APIVersion_Name(context.api_version());
  return RawError{std::string("Api version in request does not match with TiKV storage, cmd: ") + command +
                      ", storage: V1, request: " + asked,
                  std::string("Error(ApiVersionNotMatched { cmd: ") + command +
                      ", storage_api_version: V1, req_api_version: " + asked + " })"};
}

std::optional<RawError> WrongKeySize(const Bytes& key) {
  if (key.size() <= kRawKeyBytesMax) {
    return std::nullopt;
  }
  const std::string size = std::to_string(key.size());
  const std::string limit = std::to_string(kRawKeyBytesMax);
  return RawError{"max key size exceeded, size: " + size + ", limit: " + limit,
                  "Error(KeyTooLarge { size: " + size + ", limit: " + limit + " })"};
}

std::optional<RawError> WrongTtl(uint64_t ttl) {
  if (ttl == 0) {
    return std::nullopt;
  }
  return RawError{"ttl is not enabled, but get put request with ttl", "Error(TtlNotEnabled)"};
}

// Transactions read these families and expect their own records there.
std::optional<RawError> WrongRecord(const std::string& cf, const Bytes& key, const Bytes& value) {
  const ColumnFamily family = *RawFamily(cf);
  const bool good = family == ColumnFamily::kDefault ||
                    (family == ColumnFamily::kLock && DecodeKey(key).ok() && LockRecord::Decode(value).ok()) ||
                    (family == ColumnFamily::kWrite && DecodeVersionedKey(key).ok() && WriteRecord::Decode(value).ok());
  if (good) {
    return std::nullopt;
  }
  const std::string words = "not a record of a transaction, which the family " + cf + " is for";
  return RawError{words, "Error(Other(\"" + words + "\"))"};
}

/// Puts the first of the errors into a response with an error text.
template <class Response>
bool Answer(Response* response, std::initializer_list<std::optional<RawError>> errors) {
  for (const std::optional<RawError>& error : errors) {
    if (error.has_value()) {
      response->set_error(error->words);
      return true;
    }
  }
  return false;
}

template <class Command, class Pairs>
bool RefusePairs(const Command& request, const char* name, Pairs* pairs) {
  if (const std::optional<RawError> wrong = WrongApiVersion(request.context(), name)) {
    *pairs->Add()->mutable_error() = AbortError(wrong->debug);
    return true;
  }
  return false;
}

}  // namespace

std::optional<ColumnFamily> RawFamily(const std::string& cf) {
  return cf.empty() ? std::optional<ColumnFamily>(ColumnFamily::kDefault) : FindColumnFamily(cf);
}

std::optional<RawError> WrongFamily(const std::string& cf) {
  if (RawFamily(cf).has_value()) {
    return std::nullopt;
  }
  return RawError{"invalid cf name: " + cf, "Error(InvalidCf(\"" + cf + "\"))"};
}

std::optional<RawError> WrongPlace(std::string_view key, const RegionBounds& region) {
  if (region.Contains(key)) {
    return std::nullopt;
  }
  const std::string words = KeyOutOfRegionWords(key, region);
  return RawError{"unknown error " + words, "Error(Kv(Error(Other(" + words + "))))"};
}

RawError InvalidKeyRanges() {
  const std::string words = "[src/storage/mod.rs:2840]: Invalid KeyRanges";
  return {words, "Error(Other(\"" + words + "\"))"};
}

bool Refuse(const kvrpcpb::RawGetRequest& request, kvrpcpb::RawGetResponse* response) {
  return Answer(response, {WrongApiVersion(request.context(), "raw_get")});
}
bool Refuse(const kvrpcpb::RawBatchGetRequest& request, kvrpcpb::RawBatchGetResponse* response) {
  return RefusePairs(request, "raw_batch_get", response->mutable_pairs());
}
bool Refuse(const kvrpcpb::RawScanRequest& request, kvrpcpb::RawScanResponse* response) {
  return RefusePairs(request, "raw_scan", response->mutable_kvs());
}
bool Refuse(const kvrpcpb::RawBatchScanRequest& request, kvrpcpb::RawBatchScanResponse* response) {
  return RefusePairs(request, "raw_batch_scan", response->mutable_kvs());
}
bool Refuse(const kvrpcpb::RawGetKeyTTLRequest& request, kvrpcpb::RawGetKeyTTLResponse* response) {
  return Answer(response, {WrongApiVersion(request.context(), "raw_get_key_ttl")});
}
bool Refuse(const kvrpcpb::RawChecksumRequest& request, kvrpcpb::RawChecksumResponse* response) {
  return Answer(response, {WrongApiVersion(request.context(), "raw_checksum")});
}

bool Refuse(const kvrpcpb::RawPutRequest& request, kvrpcpb::RawPutResponse* response) {
  const bool atomic = request.for_cas();
  return Answer(response, {WrongApiVersion(request.context(), atomic ? "raw_atomic_store" : "raw_put"),
                           atomic ? WrongFamily(request.cf()) : WrongKeySize(request.key()), WrongTtl(request.ttl()),
                           WrongFamily(request.cf())}) ||
         Answer(response, {WrongRecord(request.cf(), request.key(), request.value())});
}

bool Refuse(const kvrpcpb::RawBatchPutRequest& request, kvrpcpb::RawBatchPutResponse* response) {
  if (Answer(response, {WrongApiVersion(request.context(), request.for_cas() ? "raw_atomic_store" : "raw_batch_put"),
                        WrongFamily(request.cf())})) {
    return true;
  }
  for (const kvrpcpb::KvPair& pair : request.pairs()) {
    if (!request.for_cas() && Answer(response, {WrongKeySize(pair.key())})) {
      return true;
    }
  }
  // One time to live that is not zero is refused, however many there are; their number matters only where they are enabled.
  for (const uint64_t ttl : request.ttls()) {
    if (Answer(response, {WrongTtl(ttl)})) {
      return true;
    }
  }
  for (const kvrpcpb::KvPair& pair : request.pairs()) {
    if (Answer(response, {WrongRecord(request.cf(), pair.key(), pair.value())})) {
      return true;
    }
  }
  return false;
}

bool Refuse(const kvrpcpb::RawDeleteRequest& request, kvrpcpb::RawDeleteResponse* response) {
  const bool atomic = request.for_cas();
  return Answer(response, {WrongApiVersion(request.context(), atomic ? "raw_atomic_store" : "raw_delete"),
                           atomic ? std::nullopt : WrongKeySize(request.key()), WrongFamily(request.cf())});
}

bool Refuse(const kvrpcpb::RawBatchDeleteRequest& request, kvrpcpb::RawBatchDeleteResponse* response) {
  if (Answer(response, {WrongApiVersion(request.context(), request.for_cas() ? "raw_atomic_store" : "raw_batch_delete"),
                        WrongFamily(request.cf())})) {
    return true;
  }
  for (const Bytes& key : request.keys()) {
    if (!request.for_cas() && Answer(response, {WrongKeySize(key)})) {
      return true;
    }
  }
  return false;
}

bool Refuse(const kvrpcpb::RawDeleteRangeRequest& request, kvrpcpb::RawDeleteRangeResponse* response) {
  return Answer(response, {WrongKeySize(request.start_key()), WrongKeySize(request.end_key()),
                           WrongApiVersion(request.context(), "raw_delete_range"), WrongFamily(request.cf())});
}

bool Refuse(const kvrpcpb::RawCASRequest& request, kvrpcpb::RawCASResponse* response) {
  return Answer(response, {WrongApiVersion(request.context(), "raw_compare_and_swap"), WrongFamily(request.cf()),
                           WrongTtl(request.ttl())}) ||
         Answer(response, {WrongRecord(request.cf(), request.key(), request.value())});
}

}  // namespace kvjury::tikv
