#include "fakes/tikv/commands_raw.h"

#include <algorithm>

#include "fakes/base/digest.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

template <class Pairs>
void AnswerPair(Pairs* pairs, const RawError& error) {
  *pairs->Add()->mutable_error() = AbortError(error.debug);
}

/// The region error of a key that a write may not touch.
template <class Response>
bool AnswerOutside(Response* response, const Bytes& key, const RegionBounds& region) {
  *response->mutable_region_error() = KeyNotInRegionError(key, RegionId(region.region_id), region.start, region.end);
  return true;
}

/// A scan may begin at the region's end, and finds nothing there.
bool MayBeginAt(const Bytes& key, const RegionBounds& region) {
  return key >= region.start && (region.end.empty() || key <= region.end);
}

const Bytes& Earlier(const Bytes& a, const Bytes& b) { return b.empty() || (!a.empty() && a < b) ? a : b; }

struct ScanShape {
  ColumnFamily cf = ColumnFamily::kDefault;
  uint64_t limit = 0;
  bool key_only = false;
  bool reverse = false;
};

/// One range; false if it begins outside the region. Descending, `start` is the exclusive upper bound.
template <class Pairs>
bool ScanRange(const Snapshot& snapshot, const RegionBounds& region, const ScanShape& shape, const Bytes& start,
               const Bytes& end, Pairs* pairs) {
  if (shape.limit == 0) {
    return true;
  }
  if (!MayBeginAt(start, region)) {
    return false;
  }
  if (shape.reverse && start.empty()) {
    return true;  // nothing is smaller
  }
  const Bytes lower = shape.reverse ? std::max(end, region.start) : start;
  const Bytes upper = shape.reverse ? start : Earlier(end, region.end);
  if (!upper.empty() && lower >= upper) {
    return true;
  }
  Iterator at = shape.reverse ? snapshot.ReverseScan(shape.cf, lower, upper) : snapshot.Scan(shape.cf, lower, upper);
  for (uint64_t count = 0; at.Valid() && count < shape.limit; at.Next(), ++count) {
    kvrpcpb::KvPair* pair = pairs->Add();
    pair->set_key(at.key());
    if (!shape.key_only) {
      pair->set_value(at.value());
    }
  }
  return true;
}

/// An empty end of a range stands for the start of the next one.
Bytes EndOf(const kvrpcpb::RawBatchScanRequest& request, int i) {
  const bool next = request.ranges(i).end_key().empty() && i + 1 < request.ranges_size();
  return next ? request.ranges(i + 1).start_key() : request.ranges(i).end_key();
}

bool AreInOrder(const kvrpcpb::RawBatchScanRequest& request) {
  for (int i = 0; i < request.ranges_size(); ++i) {
    const Bytes& start = request.ranges(i).start_key();
    const Bytes end = EndOf(request, i);
    if (!end.empty() && (request.reverse() ? start <= end : start >= end)) {
      return false;
    }
  }
  return true;
}

}  // namespace

// --- reads ---

void RawGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* /*unused*/,
            const kvrpcpb::RawGetRequest& request, kvrpcpb::RawGetResponse* response) {
  std::optional<RawError> wrong = WrongFamily(request.cf());
  if (!wrong.has_value()) {
    wrong = WrongPlace(request.key(), region);
  }
  if (wrong.has_value()) {
    response->set_error(wrong->words);
    return;
  }
  const Bytes* value = snapshot.Get(*RawFamily(request.cf()), request.key());
  if (value == nullptr) {
    response->set_not_found(true);
  } else {
    response->set_value(*value);
  }
}

void RawBatchGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* /*unused*/,
                 const kvrpcpb::RawBatchGetRequest& request, kvrpcpb::RawBatchGetResponse* response) {
  if (const std::optional<RawError> wrong = WrongFamily(request.cf())) {
    AnswerPair(response->mutable_pairs(), *wrong);
    return;
  }
  for (const Bytes& key : request.keys()) {
    if (const std::optional<RawError> wrong = WrongPlace(key, region)) {
      AnswerPair(response->mutable_pairs(), *wrong);
    } else if (const Bytes* value = snapshot.Get(*RawFamily(request.cf()), key)) {
      kvrpcpb::KvPair* pair = response->add_pairs();
      pair->set_key(key);
      pair->set_value(*value);
    }
  }
}

void RawScan(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* /*unused*/,
             const kvrpcpb::RawScanRequest& request, kvrpcpb::RawScanResponse* response) {
  if (const std::optional<RawError> wrong = WrongFamily(request.cf())) {
    AnswerPair(response->mutable_kvs(), *wrong);
    return;
  }
  const ScanShape shape{*RawFamily(request.cf()), request.limit(), request.key_only(), request.reverse()};
  if (!ScanRange(snapshot, region, shape, request.start_key(), request.end_key(), response->mutable_kvs())) {
    AnswerOutside(response, request.start_key(), region);
  }
}

void RawBatchScan(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* /*unused*/,
                  const kvrpcpb::RawBatchScanRequest& request, kvrpcpb::RawBatchScanResponse* response) {
  std::optional<RawError> wrong = WrongFamily(request.cf());
  if (!wrong.has_value() && !AreInOrder(request)) {
    wrong = InvalidKeyRanges();
  }
  if (wrong.has_value()) {
    AnswerPair(response->mutable_kvs(), *wrong);
    return;
  }
  const ScanShape shape{*RawFamily(request.cf()), request.each_limit(), request.key_only(), request.reverse()};
  for (int i = 0; i < request.ranges_size(); ++i) {
    const Bytes& start = request.ranges(i).start_key();
    if (!ScanRange(snapshot, region, shape, start, EndOf(request, i), response->mutable_kvs())) {
      response->clear_kvs();
      AnswerOutside(response, start, region);
      return;
    }
  }
}

void RawGetKeyTtl(const Snapshot& /*snapshot*/, const RegionBounds& /*region*/, ConcurrencyManager* /*unused*/,
                  const kvrpcpb::RawGetKeyTTLRequest& /*request*/, kvrpcpb::RawGetKeyTTLResponse* response) {
  response->set_error("get ttl on non-ttl store");
}

void RawChecksum(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* /*unused*/,
                 const kvrpcpb::RawChecksumRequest& request, kvrpcpb::RawChecksumResponse* response) {
  uint64_t checksum = 0;
  uint64_t pairs = 0;
  uint64_t bytes = 0;
  for (const kvrpcpb::KeyRange& range : request.ranges()) {
    if (!MayBeginAt(range.start_key(), region)) {
      AnswerOutside(response, range.start_key(), region);
      return;
    }
    const Bytes upper = Earlier(range.end_key(), region.end);
    if (!upper.empty() && range.start_key() >= upper) {
      continue;
    }
    for (Iterator at = snapshot.Scan(ColumnFamily::kDefault, range.start_key(), upper); at.Valid(); at.Next()) {
      checksum ^= Crc64Xz(at.key(), at.value());
      ++pairs;
      bytes += at.key().size() + at.value().size();
    }
  }
  response->set_checksum(checksum);
  response->set_total_kvs(pairs);
  response->set_total_bytes(bytes);
}

// --- writes ---

CommandResult<kvrpcpb::RawPutResponse> RawPut(const RegionBounds& region, const kvrpcpb::RawPutRequest& request) {
  CommandResult<kvrpcpb::RawPutResponse> result;
  if (!region.Contains(request.key())) {
    AnswerOutside(&result.response, request.key(), region);
    return result;
  }
  result.writes.Put(*RawFamily(request.cf()), request.key(), request.value());
  return result;
}

CommandResult<kvrpcpb::RawBatchPutResponse> RawBatchPut(const RegionBounds& region,
                                                        const kvrpcpb::RawBatchPutRequest& request) {
  CommandResult<kvrpcpb::RawBatchPutResponse> result;
  for (const kvrpcpb::KvPair& pair : request.pairs()) {
    if (!region.Contains(pair.key())) {
      AnswerOutside(&result.response, pair.key(), region);
      result.writes = {};
      return result;
    }
    result.writes.Put(*RawFamily(request.cf()), pair.key(), pair.value());
  }
  return result;
}

CommandResult<kvrpcpb::RawDeleteResponse> RawDelete(const RegionBounds& region, const kvrpcpb::RawDeleteRequest& request) {
  CommandResult<kvrpcpb::RawDeleteResponse> result;
  if (!region.Contains(request.key())) {
    AnswerOutside(&result.response, request.key(), region);
    return result;
  }
  result.writes.Delete(*RawFamily(request.cf()), request.key());
  return result;
}

CommandResult<kvrpcpb::RawBatchDeleteResponse> RawBatchDelete(const RegionBounds& region,
                                                              const kvrpcpb::RawBatchDeleteRequest& request) {
  CommandResult<kvrpcpb::RawBatchDeleteResponse> result;
  for (const Bytes& key : request.keys()) {
    if (!region.Contains(key)) {
      AnswerOutside(&result.response, key, region);
      result.writes = {};
      return result;
    }
    result.writes.Delete(*RawFamily(request.cf()), key);
  }
  return result;
}

CommandResult<kvrpcpb::RawDeleteRangeResponse> RawDeleteRange(const RegionBounds& region,
                                                              const kvrpcpb::RawDeleteRangeRequest& request) {
  CommandResult<kvrpcpb::RawDeleteRangeResponse> result;
  const Bytes& start = request.start_key();
  const Bytes& end = request.end_key();
  if (!end.empty() && start >= end) {
    *result.response.mutable_region_error() =
        MessageError("\"[components/raftstore/src/store/fsm/apply.rs:1967]: invalid delete range command, start_key: " +
                     RustBytes(start) + ", end_key: " + RustBytes(end) + "\"");
  } else if (!region.Contains(start)) {
    AnswerOutside(&result.response, start, region);
  } else if (!region.end.empty() && (end.empty() || end > region.end)) {
    AnswerOutside(&result.response, end, region);
  } else {
    result.writes.DeleteRange(*RawFamily(request.cf()), start, end);
  }
  return result;
}

CommandResult<kvrpcpb::RawCASResponse> RawCompareAndSwap(const Snapshot& snapshot, const RegionBounds& region,
                                                         const kvrpcpb::RawCASRequest& request) {
  CommandResult<kvrpcpb::RawCASResponse> result;
  if (const std::optional<RawError> wrong = WrongPlace(request.key(), region)) {
    result.response.set_error(wrong->words);
    return result;
  }
  const ColumnFamily cf = *RawFamily(request.cf());
  const Bytes* found = snapshot.Get(cf, request.key());
  const bool matches = found == nullptr ? request.previous_not_exist()
                                        : !request.previous_not_exist() && *found == request.previous_value();
  if (found == nullptr) {
    result.response.set_previous_not_exist(true);
  } else {
    result.response.set_previous_value(*found);
  }
  result.response.set_succeed(matches);
  if (matches) {
    result.writes.Put(cf, request.key(), request.value());
  }
  return result;
}

// --- latches ---

std::vector<Bytes> KeysOf(const kvrpcpb::RawPutRequest& request) {
  return request.for_cas() ? std::vector<Bytes>{request.key()} : std::vector<Bytes>();
}
std::vector<Bytes> KeysOf(const kvrpcpb::RawBatchPutRequest& request) {
  std::vector<Bytes> keys;
  for (const kvrpcpb::KvPair& pair : request.pairs()) {
    if (request.for_cas()) {
      keys.push_back(pair.key());
    }
  }
  return keys;
}
std::vector<Bytes> KeysOf(const kvrpcpb::RawDeleteRequest& request) {
  return request.for_cas() ? std::vector<Bytes>{request.key()} : std::vector<Bytes>();
}
std::vector<Bytes> KeysOf(const kvrpcpb::RawBatchDeleteRequest& request) {
  return request.for_cas() ? std::vector<Bytes>{request.keys().begin(), request.keys().end()} : std::vector<Bytes>();
}
std::vector<Bytes> KeysOf(const kvrpcpb::RawDeleteRangeRequest& /*request*/) { return {}; }
std::vector<Bytes> KeysOf(const kvrpcpb::RawCASRequest& request) { return {request.key()}; }

}  // namespace kvjury::tikv
