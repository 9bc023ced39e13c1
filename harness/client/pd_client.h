// PdClient: what a transactional client asks of PD: its cluster, timestamps, regions and stores.
//
// Each call is tried again with back-off while PD does not answer; with several members it goes to their leader, who is
// looked up again, member by member, whenever a call failed. One timestamp a call.
// Not modelled: batching of timestamps, the regular look for a new leader.
// Source: pdpb.PD of TiKV 8.5; client-go v2.0.7.
#pragma once

#include <optional>
#include <vector>

#include "fakes/pd/methods.h"
#include "harness/client/backoff.h"

namespace kvjury::client {

class PdClient {
 public:
  PdClient(Messenger* messenger, sim::Address address) : messenger_(messenger), address_(std::move(address)) {}

  /// A new timestamp. Errors: kUnavailable, kRejected, kCancelled. Suspends.
  sim::Task<Result<Timestamp>> GetTimestamp(Backoffer* backoff);

  /// A timestamp that may be two seconds old, as client-go's low-resolution one, but is fresh when by our own clock
  /// `expiry_ms` has come and the remembered one is still before it. Errors as GetTimestamp. May suspend.
  sim::Task<Result<Timestamp>> RecentTimestamp(int64_t expiry_ms, Backoffer* backoff);
  /// The newest timestamp seen; invalid in the beginning.
  [[nodiscard]] Timestamp newest() const { return newest_; }

  /// The region that holds the encoded key; no value while PD knows none. Errors as GetTimestamp. Suspends.
  sim::Task<Result<std::optional<pdpb::GetRegionResponse>>> GetRegion(Bytes encoded_key, Bytes key_for_label,
                                                                     Backoffer* backoff);
  /// Errors: kNotFound for a store that is gone; as GetTimestamp. Suspends.
  sim::Task<Result<metapb::Store>> GetStore(StoreId store, Backoffer* backoff);

  /// Versions below it may be gone. Errors as GetTimestamp. Suspends.
  sim::Task<Result<Timestamp>> GetGcSafePoint(Backoffer* backoff);

  /// Moves it forward, whatever services hold; returns where it is now. Errors as GetTimestamp. Suspends.
  sim::Task<Result<Timestamp>> UpdateGcSafePoint(Timestamp safe_point, Backoffer* backoff);

  /// Whom to ask: the leader as far as is known.
  [[nodiscard]] const sim::Address& leader() const { return address_; }
  /// After a failed call: asks the next of several members who leads. May suspend.
  sim::Task<void> FollowLeader(Backoffer* backoff);

  /// The cluster's id, asked once. Errors as GetTimestamp. May suspend.
  sim::Task<Result<uint64_t>> ClusterId(Backoffer* backoff);

 private:
  template <class Request, class Response>
  sim::Task<Result<std::shared_ptr<const Response>>> Ask(sim::UnaryMethod<Request, Response> method, std::string piece,
                                                         Bytes key_for_label, Request request, Backoffer* backoff);
  /// Remembers the members and, if there are several, turns to the leader that they name.
  void Learn(const pdpb::GetMembersResponse& response);
  Messenger* messenger_;
  /// Whom the next call goes to.
  sim::Address address_;
  std::vector<sim::Address> members_;
  size_t next_member_ = 0;
  uint64_t cluster_id_ = 0;
  Timestamp newest_;
  Micros newest_at_us_ = 0;
};

}  // namespace kvjury::client
