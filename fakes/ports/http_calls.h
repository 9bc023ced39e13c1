// HttpCalls: HTTP requests from a socket as calls of an address's handler (sim::kHttp), and the answer awaited.
//
// On a store's /metrics the counts of outside calls stand behind what the store itself says, in Prometheus' text form.
#pragma once

#include "fakes/ports/call_log.h"
#include "fakes/ports/live_world.h"
#include "fakes/ports/outside_calls.h"
#include "fakes/sim/http.h"

namespace kvjury::ports {

class HttpCalls {
 public:
  HttpCalls(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, sim::Address address)
      : calls_(live, methods, log, address, {}), log_(log), address_(std::move(address)) {}

  /// Blocks until the handler has answered. 503 when the world ends first or the address is down, 404 without a handler.
  ::http::Response Answer(const ::http::Request& request);

 private:
  OutsideCalls calls_;
  const CallLog* log_;
  sim::Address address_;
};

}  // namespace kvjury::ports
