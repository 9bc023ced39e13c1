// ControlSocket: a Unix socket on which a served cluster takes commands, one line a connection, and answers one line of JSON.
//
// Whoever may write to the socket may command: it is made for its owner alone (mode 0600). A line that is too long, not ended
// or slow is answered with an error and disturbs nobody. Threads: one of its own, from which the handler is called.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "fakes/base/status.h"

namespace kvjury::ports {

class ControlSocket {
 public:
  using Handler = std::function<std::string(std::string_view line)>;

  /// Takes over `path` from a socket that nobody listens on any more. Errors: kEnvironment naming the path.
  static Result<std::unique_ptr<ControlSocket>> Start(const std::string& path, Handler handler);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  /// Stops and removes the socket.
  ~ControlSocket();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ControlSocket(std::string path, int listening, int wake, Handler handler);
  void Loop();
  void Serve(int descriptor) const;

  std::string path_;
  int listening_;
  int wake_;
  Handler handler_;
  std::thread thread_;
};

/// Sends one line to a socket and returns the answer without its line end. Errors: kEnvironment when nobody listens or answers.
Result<std::string> CallControlSocket(const std::string& path, const std::string& line);

}  // namespace kvjury::ports
