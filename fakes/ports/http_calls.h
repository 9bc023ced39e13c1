// HttpCalls: HTTP requests from a socket as calls of an address's handler (sim::kHttp), and the answer awaited.
//
// /metrics is answered here, for every address.
#pragma once

#include <functional>

#include "fakes/ports/call_log.h"
#include "fakes/ports/live_world.h"
#include "fakes/ports/metrics.h"
#include "fakes/ports/outside_calls.h"
#include "fakes/sim/http.h"

namespace kvjury::ports {

class HttpCalls {
 public:
  /// The numbers of the address at this moment. Called on the world's thread.
  using Measure = std::function<MetricsOfAddress()>;

  HttpCalls(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, CallScript* script, sim::Address address,
            Measure measure)
      : calls_(live, methods, log, script, std::move(address)), log_(log), measure_(std::move(measure)) {}

  /// Blocks until the handler has answered. 503 when the world ends first or the address is down, 404 without a handler.
  ::http::Response Answer(const ::http::Request& request);

 private:
  ::http::Response Metrics();

  OutsideCalls calls_;
  const CallLog* log_;
  Measure measure_;
};

}  // namespace kvjury::ports
