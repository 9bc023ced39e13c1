// RemoteChannel: a client's way to real PDs and stores, over gRPC and HTTP/1.1, plain or TLS.
//
// The same coroutines that run over the fabric of a simulation run over it, in a world that follows the clock (live_world.h).
//   unary and server streams   by method path, with the messages that our protocol files declare for it
//   message streams (Tso)      one message there, one back; the stream is closed after it
//   undeclared methods         messages without fields, whose bytes stay as they are
//   "/http"                    one HTTP/1.1 exchange with the address
// Message sizes have no limit, keepalive pings are those of client-go, a call's deadline is that of its CallOptions. A status
// becomes ours by its code; codes that no caller tells apart are kRejected. Proxies are not used.
// Not modelled: multiplexing as BatchCommands, compression, several connections to one address, renewal of certificates.
// gRPC's own log is switched off for the whole process: what went wrong is in the Status.
// Threads: gRPC's own for calls, the world's pool for HTTP; coroutines only see the world's. Source: gRPC 1.51.
#pragma once

#include <memory>
#include <string>

#include "fakes/ports/live_world.h"
#include "fakes/ports/tls.h"
#include "fakes/sim/channel.h"

namespace kvjury::remote {

class RemoteChannel : public sim::Channel {
 public:
  /// With `tls.ca` everything is encrypted and the server's certificate must be signed by it; `certificate` and `key` are shown to
  /// servers that ask. `live` must outlive the channel. Errors: kEnvironment naming a file that cannot be read.
  static Result<std::unique_ptr<RemoteChannel>> Create(ports::LiveWorld* live, const ports::TlsFiles& tls);
  RemoteChannel(const RemoteChannel&) = delete;
  RemoteChannel& operator=(const RemoteChannel&) = delete;
  /// Cancels what is under way and waits for it. Not from the world's thread.
  ~RemoteChannel() override;

  /// Addresses are host:port.
  sim::Task<Result<sim::MessagePtr>> CallRaw(const char* path, sim::Address to, sim::MessagePtr request,
                                             sim::CallOptions options) override;
  sim::Task<Result<std::unique_ptr<sim::StreamReader>>> OpenRaw(const char* path, sim::Address to, sim::MessagePtr request,
                                                                sim::CallOptions options) override;

 private:
  class Impl;
  explicit RemoteChannel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::remote
