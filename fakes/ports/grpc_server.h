// GrpcServer: one address of the world behind real gRPC.
//
// Generic: the protobuf descriptors say which methods there are and what their messages look like; whatever the address's
// method table answers in the simulation is answered here by the same handler, through the same fabric and fault plan.
//   unary, server stream   as declared
//   stream both ways       each message is one unary call, answered in order (Tso, QueryRegion)
//   BatchCommands          each command is the unary call with its request type; answers as they come, all ids answered
// Anything else is UNIMPLEMENTED, as several fall-backs of clients ask for. Health checks answer SERVING.
// A handler's Status becomes the gRPC code of its kind; inside BatchCommands it ends the stream, as a broken connection does.
// Not modelled: compression, flow control of requests, client streams.
// Threads: gRPC's own; handlers run in the world. Source: gRPC 1.51, tikvpb, pdpb; TiKV's and PD's server options.
#pragma once

#include <memory>
#include <string>

#include "fakes/ports/call_log.h"
#include "fakes/ports/call_script.h"
#include "fakes/ports/live_world.h"

namespace kvjury::ports {

struct GrpcServerOptions {
  /// Where the handlers listen in the world: "pd", "store-1".
  sim::Address address;
  /// Names the calls.
  CallScript* script = nullptr;
  /// Not empty: calls that would change data are refused with this sentence.
  std::string read_only;
};

class GrpcServer {
 public:
  /// `live`, `log` and the script must outlive the server. `methods` is the address's table, complete and unchanging.
  GrpcServer(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, GrpcServerOptions options);
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;
  /// Stops.
  ~GrpcServer();

  /// Errors: kEnvironment when gRPC does not start.
  Status Start();
  /// Takes an accepted, non-blocking connection whose HTTP/2 preface has not been read.
  void AddConnection(int descriptor, const std::string& peer);
  /// Ends all calls with CANCELLED within `grace_ms` and waits for it.
  void Stop(int grace_ms = 200);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::ports
