// RegionCalls: regions as PD lists them, stores' addresses, and bounded waiting, for tools that work in encoded keys.
//
// Unlike the client's region cache nothing is decoded and nothing is remembered: each scan asks PD anew, so that a tool sees
// what there is, boundaries that no transactional client could read among them.
// Every message has a label of its own: "restore/scan-regions[KEY]#n".
// Source: pdpb.PD/ScanRegions, GetAllStores of PD 8.5.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/backup/tool.h"
#include "proto/tikv/errorpb.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"
#include "proto/tikv/metapb.pb.h"

namespace kvjury::backup {

/// One region with its leader; boundaries as they are, encoded.
struct RegionRoute {
  metapb::Region region;
  metapb::Peer leader;
};

/// For a request to the region's leader.
kvrpcpb::Context ContextOf(const RegionRoute& route);
/// Every region error is a reason to look at the regions again: kUnavailable with its words.
Status FromRegionError(const errorpb::Error& error);

class RegionCalls {
 public:
  /// All waiting of the tool ends `time_limit_us` from now.
  RegionCalls(ToolHost host, Micros time_limit_us);
  RegionCalls(const RegionCalls&) = delete;
  RegionCalls& operator=(const RegionCalls&) = delete;

  /// The regions of [start, end), encoded, empty = unbounded: without hole, each with a leader. At most `limit` (0: all).
  /// Errors: kDeadlineExceeded when PD does not give such a list in time; kCancelled, kRejected. Suspends.
  sim::Task<Result<std::vector<RegionRoute>>> Scan(Bytes start, Bytes end, size_t limit);
  /// Errors: kNotFound; as Scan. May suspend.
  sim::Task<Result<sim::Address>> StoreAddress(uint64_t store_id);
  /// Every store that is up. Errors as Scan. Suspends.
  sim::Task<Result<std::vector<metapb::Store>>> Stores();

  /// One call without a second try. Errors: those of the channel. Suspends.
  template <class Request, class Response>
  sim::Task<Result<std::shared_ptr<const Response>>> Call(sim::UnaryMethod<Request, Response> method, sim::Address to,
                                                          Request request, sim::Label label) {
    sim::CallOptions options;
    options.label = std::move(label);
    options.timeout_us = kCallTimeoutUs;
    auto call = sim::Call(host_.channel, method, std::move(to), std::move(request), std::move(options));
    co_return co_await std::move(call);
  }
  /// The same for PD, again and again while it does not answer; the header is filled in. Suspends.
  template <class Request, class Response>
  sim::Task<Result<std::shared_ptr<const Response>>> AskPd(sim::UnaryMethod<Request, Response> method, Request request,
                                                           std::string piece, Bytes key) {
    auto identify = ClusterId();
    CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(identify));
    request.mutable_header()->set_cluster_id(cluster_id);
    for (;;) {
      sim::Label label = labels_->Keyed(piece, key);
      auto call = Call(method, PdLeader(), request, std::move(label));
      Result<std::shared_ptr<const Response>> answer = co_await std::move(call);
      if (answer.ok()) {
        co_return answer;
      }
      auto pause = PauseForPd(answer.error());
      CO_RETURN_IF_ERROR(co_await std::move(pause));
    }
  }

  /// Waits before another try. Errors: `reason` itself when it is final; kDeadlineExceeded with `reason` when the time is used
  /// up. Suspends.
  sim::Task<Status> Pause(Status reason);
  /// The same after a call to PD, whose leader is then looked up again.
  sim::Task<Status> PauseForPd(Status reason);
  /// Whom to ask.
  [[nodiscard]] const sim::Address& PdLeader() { return host_.client->services().pd->leader(); }
  [[nodiscard]] uint64_t pauses() const { return pauses_; }

  [[nodiscard]] const ToolHost& host() const { return host_; }
  client::Labels* labels() { return labels_.get(); }
  sim::World* world() { return host_.world; }
  /// Errors as Scan. May suspend.
  sim::Task<Result<uint64_t>> ClusterId();

 private:
  static constexpr Micros kCallTimeoutUs = 5'000'000;

  ToolHost host_;
  client::LabelsPtr labels_;
  Micros end_us_;
  uint64_t pauses_ = 0;
  std::map<uint64_t, sim::Address> addresses_;
};

}  // namespace kvjury::backup
