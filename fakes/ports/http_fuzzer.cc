// Any bytes on an HTTP connection lead to answers that begin like answers, one for each request that was handed on, and to an end.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "fakes/ports/http_connection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kInputBytesMax = 16 << 10;
  int pair[2];
  if (size > kInputBytesMax || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return 0;
  }
  (void)!send(pair[1], data, size, 0);
  shutdown(pair[1], SHUT_WR);
  size_t asked = 0;
  kvjury::ports::ServeHttp(
      pair[0],
      [&asked](const http::Request& request) {
        ++asked;
        // What the handlers get is text, or it could not travel as a message.
        http::Request again;
        if (request.method().empty() || !again.ParseFromString(request.SerializeAsString())) {
          std::abort();
        }
        http::Response response;
        response.set_status(200);
        return response;
      },
      []() { return false; });
  shutdown(pair[0], SHUT_WR);
  std::string answers;
  char bytes[4096];
  for (ssize_t got = 0; (got = recv(pair[1], bytes, sizeof(bytes), 0)) > 0;) {
    answers.append(bytes, static_cast<size_t>(got));
  }
  close(pair[0]);
  close(pair[1]);
  size_t answered = 0;
  for (size_t at = answers.find("HTTP/1.1 "); at != std::string::npos; at = answers.find("HTTP/1.1 ", at + 1)) {
    ++answered;
  }
  if (answered < asked || (!answers.empty() && answers.rfind("HTTP/1.1 ", 0) != 0)) {
    std::abort();
  }
  return 0;
}
