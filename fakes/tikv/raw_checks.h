// What TiKV says of raw requests that it refuses, and what it refuses before it looks at the region.
//
// Source: TiKV 8.5.0, src/storage/mod.rs and src/storage/errors.rs; the order of the checks is TiKV's.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>

#include "fakes/tikv/commands_common.h"

namespace kvjury::tikv {

/// An error in the two forms in which TiKV answers it: for people, and in Rust's debug form where a pair carries it.
struct RawError {
  std::string words;
  std::string debug;
};

/// The family that a request names; none is "default".
std::optional<ColumnFamily> RawFamily(const std::string& cf);

// The errors; nothing if all is well.
std::optional<RawError> WrongFamily(const std::string& cf);
std::optional<RawError> WrongPlace(std::string_view key, const RegionBounds& region);
RawError InvalidKeyRanges();

// Refuse: what TiKV refuses before it looks at the region. True if `response` is the answer.
bool Refuse(const kvrpcpb::RawGetRequest& request, kvrpcpb::RawGetResponse* response);
bool Refuse(const kvrpcpb::RawBatchGetRequest& request, kvrpcpb::RawBatchGetResponse* response);
bool Refuse(const kvrpcpb::RawScanRequest& request, kvrpcpb::RawScanResponse* response);
bool Refuse(const kvrpcpb::RawBatchScanRequest& request, kvrpcpb::RawBatchScanResponse* response);
bool Refuse(const kvrpcpb::RawGetKeyTTLRequest& request, kvrpcpb::RawGetKeyTTLResponse* response);
bool Refuse(const kvrpcpb::RawChecksumRequest& request, kvrpcpb::RawChecksumResponse* response);
bool Refuse(const kvrpcpb::RawPutRequest& request, kvrpcpb::RawPutResponse* response);
bool Refuse(const kvrpcpb::RawBatchPutRequest& request, kvrpcpb::RawBatchPutResponse* response);
bool Refuse(const kvrpcpb::RawDeleteRequest& request, kvrpcpb::RawDeleteResponse* response);
bool Refuse(const kvrpcpb::RawBatchDeleteRequest& request, kvrpcpb::RawBatchDeleteResponse* response);
bool Refuse(const kvrpcpb::RawDeleteRangeRequest& request, kvrpcpb::RawDeleteRangeResponse* response);
bool Refuse(const kvrpcpb::RawCASRequest& request, kvrpcpb::RawCASResponse* response);

}  // namespace kvjury::tikv
