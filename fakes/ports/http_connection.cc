#include "fakes/ports/http_connection.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace kvjury::ports {

namespace {

// A request's bytes must follow each other within this time; an idle connection is kept longer.
constexpr int kReadTimeoutMs = 10'000;
constexpr int kIdlePollMs = 100;
constexpr int kIdlePollsMax = 1'200;
constexpr size_t kBodyBytesMax = size_t{16} << 20;
// A request line and its headers: httplib bounds each line, not their number.
constexpr size_t kHeadBytesMax = size_t{1} << 20;
// Of the last piece, and of the frames of a chunked body.
constexpr size_t kSlackBytes = size_t{1} << 20;

// A request has a body if its head says how long it is (RFC 9112, 6.3); httplib would wait for the end of the connection.
bool TellsOfBody(std::string line) {
  std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::tolower(c); });
  return line.starts_with("content-length:") || line.starts_with("transfer-encoding:");
}

bool WaitFor(int descriptor, short events, int timeout_ms) {
  pollfd wanted{descriptor, events, 0};
  return poll(&wanted, 1, timeout_ms) > 0;
}

class DescriptorStream : public httplib::Stream {
 public:
  explicit DescriptorStream(int descriptor) : descriptor_(descriptor) {}
  bool is_readable() const override { return WaitFor(descriptor_, POLLIN, kReadTimeoutMs); }
  bool is_writable() const override { return WaitFor(descriptor_, POLLOUT, kReadTimeoutMs); }
  ssize_t read(char* bytes, size_t size) override {
    // The head is read in single bytes, a body in pieces.
    const bool head = size == 1;
    if (!head && !has_body_) {
      return 0;
    }
    size_t& left = head ? head_left_ : body_left_;
    if (size > left || !is_readable()) {
      return -1;
    }
    const ssize_t got = recv(descriptor_, bytes, size, 0);
    left -= got > 0 ? static_cast<size_t>(got) : 0;
    if (head && got == 1) {
      NoteHead(*bytes);
    }
    return got;
  }
  ssize_t write(const char* bytes, size_t size) override {
    return is_writable() ? send(descriptor_, bytes, size, MSG_NOSIGNAL) : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return descriptor_; }
  /// Another request begins.
  void Refill() {
    head_left_ = kHeadBytesMax;
    body_left_ = kBodyBytesMax + kSlackBytes;
    has_body_ = false;
    line_.clear();
  }

 private:
  void NoteHead(char c) {
    if (c != '\n') {
      line_ += c;
      return;
    }
    has_body_ = has_body_ || TellsOfBody(std::move(line_));
    line_.clear();
  }

  int descriptor_;
  std::string line_;
  bool has_body_ = false;
  size_t head_left_ = 0;
  size_t body_left_ = 0;
};

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Header fields with other bytes are left out: nobody here reads them, and they are no text.
::http::Request FromHttplib(const httplib::Request& request) {
  ::http::Request message;
  message.set_method(request.method);
  const size_t question = request.target.find('?');
  message.set_path(request.target.substr(0, question));
  message.set_query(question == std::string::npos ? std::string() : request.target.substr(question + 1));
  message.set_body(request.body);
  for (const auto& [name, value] : request.headers) {
    if (!IsAscii(name) || !IsAscii(value)) {
      continue;
    }
    ::http::Header* header = message.add_headers();
    header->set_name(name);
    header->set_value(value);
  }
  return message;
}

// httplib's server without its sockets: parses a request from a stream of ours and writes the answer to it.
class Engine : public httplib::Server {
 public:
  explicit Engine(const std::function<::http::Response(const ::http::Request&)>& handler) {
    set_payload_max_length(kBodyBytesMax);
    auto answer = [&handler](const httplib::Request& request, httplib::Response& response) {
      if (!IsAscii(request.target)) {
        response.status = 400;
        return;
      }
      const ::http::Response message = handler(FromHttplib(request));
      response.status = static_cast<int>(message.status());
      for (const ::http::Header& header : message.headers()) {
        response.set_header(header.name(), header.value());
      }
      response.set_content(message.body(), message.content_type().empty() ? "text/plain" : message.content_type());
      if (message.content_type().empty()) {
        response.headers.erase("Content-Type");
      }
    };
    Get(".*", answer);
    Post(".*", answer);
    Put(".*", answer);
    Patch(".*", answer);
    Delete(".*", answer);
    Options(".*", answer);
  }
  /// False when the connection should end.
  bool ServeOne(httplib::Stream& stream) {
    bool closed = false;
    return process_request(stream, false, closed, nullptr) && !closed;
  }
};

}  // namespace

void ServeHttp(int descriptor, const std::function<::http::Response(const ::http::Request&)>& handler,
               const std::function<bool()>& stopping) {
  Engine engine(handler);
  DescriptorStream stream(descriptor);
  for (int idle = 0; idle < kIdlePollsMax && !stopping();) {
    if (!WaitFor(descriptor, POLLIN, kIdlePollMs)) {
      ++idle;
      continue;
    }
    stream.Refill();
    char first = 0;
    if (recv(descriptor, &first, 1, MSG_PEEK) <= 0 || !engine.ServeOne(stream)) {
      return;
    }
    idle = 0;
  }
}

}  // namespace kvjury::ports
