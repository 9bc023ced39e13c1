// Listener: one port of 127.0.0.1 (or another address) that speaks gRPC and HTTP/1.1, told apart by their first bytes.
//
// A thread accepts, peeks without reading, and hands the descriptor over: to gRPC as it is, no proxy between; to HTTP/1.1 with a
// thread for each connection while it lasts. With TLS a thread for each connection decrypts first (tls.h). A peer that says nothing, half a preface or garbage is closed after a while and
// disturbs nobody. A dead store's port refuses: SetAccepting(false) closes it and cuts what is open.
// Errors of peers never end the listener. Threads: its own; the callbacks come from them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "fakes/base/status.h"
#include "fakes/ports/http_connection.h"
#include "fakes/ports/tls.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::ports {

struct ListenerHandlers {
  /// Takes the descriptor. Without it connections that speak gRPC are closed.
  std::function<void(int descriptor, const std::string& peer)> on_grpc;
  /// Answers one request; may block for as long as the answer takes. Without it HTTP/1.1 is answered 404.
  std::function<::http::Response(const ::http::Request&)> on_http;
  /// Of one request.
  uint64_t http_body_bytes_max = kHttpBodyBytesMax;
  /// A line for people about a connection: who, what it speaks, why it ended. May be empty.
  std::function<void(const std::string& line)> on_connection;
  /// How long a peer may take until it is clear what it speaks.
  std::chrono::milliseconds preface_timeout{10'000};
};

class Listener {
 public:
  /// `port` 0 takes any free one that stays free while it is closed: none that outgoing connections get. Errors: kEnvironment naming the address ("127.0.0.1:2379 is in use").
  /// With `tls` everything must be encrypted; without, nothing may be.
  static Result<std::unique_ptr<Listener>> Start(const std::string& host, int port, std::shared_ptr<const TlsContext> tls,
                                                 ListenerHandlers handlers);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// Stops, cuts all connections and joins the threads.
  ~Listener();

  [[nodiscard]] int port() const;
  /// "127.0.0.1:2379".
  [[nodiscard]] std::string address() const;
  /// False: connection attempts are refused and what is open is cut; true: listens on the same port again. Any thread.
  void SetAccepting(bool accepting);
  /// Whether it has followed the last SetAccepting.
  [[nodiscard]] bool settled() const;
  /// Connections that are open now, of all kinds.
  [[nodiscard]] size_t open_connections() const;

 private:
  class Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::ports
