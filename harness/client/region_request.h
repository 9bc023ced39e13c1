// RegionSender: brings one request to the leader of a region, through everything that may stand in its way.
//
// Tries peers, follows leader hints, waits where client-go waits, and says "relocate" when the region is not what the
// caller thought: then the keys must be grouped again. Every attempt has a label of its own.
// Remembers the last transport error, because a writer must know whether an earlier attempt may have had an effect.
// Not modelled: reads from followers, stale reads, forwarding, slow scores, liveness probes (a call that ends UNAVAILABLE
// stands for an unreachable store, one that ends at its deadline for a reachable one).
// Source: client-go v2.0.7 internal/locate/region_request.go; errorpb of TiKV 8.5.
#pragma once

#include <optional>

#include "fakes/tikv/methods.h"
#include "harness/client/region_cache.h"

namespace kvjury::client {

/// What most operations need.
struct Services {
  Messenger* messenger = nullptr;
  PdClient* pd = nullptr;
  RegionCache* regions = nullptr;
  /// Background work of the client.
  sim::Scope* background = nullptr;
};

class RegionSender {
 public:
  RegionSender(Services services, Backoffer* backoff) : services_(services), backoff_(backoff) {}

  /// Sends until there is an answer without a region error. A null answer: group the keys again and send them anew (the
  /// wait for it has taken place). `piece` names the message in its label. Errors: kUnavailable, kRejected (the region
  /// refuses such requests), kDataLoss, kCancelled. Suspends.
  template <class Request, class Response>
  sim::Task<Result<std::shared_ptr<const Response>>> Send(sim::UnaryMethod<Request, Response> method, std::string piece,
                                                          RegionPtr region, Request request) {
    auto message = std::make_shared<Request>(std::move(request));
    Route route(region);
    while (true) {
      auto prepare = Prepare(&route);
      CO_ASSIGN_OR_RETURN(const bool ready, co_await std::move(prepare));
      if (!ready) {
        co_return nullptr;
      }
      if (route.attempts > 1) {
        message = std::make_shared<Request>(*message);  // what was sent is never changed
      }
      FillContext(route, message->mutable_context());
      sim::Label label = backoff_->labels()->Keyed(piece, region->start);
      std::shared_ptr<const Request> sent = message;
      auto call = services_.messenger->Call(method, route.address, std::move(sent), std::move(label),
                                            services_.messenger->options().store_timeout_us);
      Result<std::shared_ptr<const Response>> response = co_await std::move(call);
      if (!response.ok()) {
        auto failed = OnTransportError(&route, response.error());
        CO_RETURN_IF_ERROR(co_await std::move(failed));
        continue;
      }
      if (!(*response)->has_region_error()) {
        region->leader = route.peer;
        co_return response;
      }
      ++services_.messenger->counters().region_errors;
      CO_ASSIGN_OR_RETURN(Reaction reaction, React(&route, (*response)->region_error()));
      auto carry_out = CarryOut(std::move(reaction));
      CO_ASSIGN_OR_RETURN(const bool again, co_await std::move(carry_out));
      if (!again) {
        co_return nullptr;
      }
    }
  }

  /// The last attempt's failure to get an answer, kept over later attempts until it is cleared.
  [[nodiscard]] const std::optional<Status>& transport_error() const { return transport_error_; }
  void ClearTransportError() { transport_error_.reset(); }

 private:
  // Where the next attempt goes.
  struct Route {
    explicit Route(RegionPtr r) : region(std::move(r)), peer(region->leader), tries(region->peers.size(), 0) {}
    RegionPtr region;
    size_t peer;
    std::vector<int> tries;  // by peer
    sim::Address address;
    uint32_t attempts = 0;
    bool exhausted = false;
  };
  static constexpr int kTriesOfOnePeer = 10;

  // What to do about a region error.
  struct Reaction {
    bool again = false;                // send again along the route; otherwise relocate
    std::optional<BackoffKind> wait;   // none: at once, but counted
    std::string reason;
  };

  // False: relocate, after having waited.
  sim::Task<Result<bool>> Prepare(Route* route);
  static void FillContext(const Route& route, kvrpcpb::Context* context);
  sim::Task<Status> OnTransportError(Route* route, Status status);
  // Decides, moves the route and forgets what has to be forgotten. Errors: kRejected, kDataLoss.
  Result<Reaction> React(Route* route, const errorpb::Error& error);
  Result<Reaction> ReactToMovedRegion(Route* route, const errorpb::Error& error, const std::string& reason);
  Reaction ReactToNotLeader(Route* route, const errorpb::NotLeader& error);
  // True: send again along the route. False: relocate.
  sim::Task<Result<bool>> CarryOut(Reaction reaction);
  static void NextPeer(Route* route);

  Services services_;
  Backoffer* backoff_;
  std::optional<Status> transport_error_;
};

}  // namespace kvjury::client
