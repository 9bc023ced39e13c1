#include "fakes/ports/http_connection.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kvjury::ports {

namespace {

// A request's bytes must follow each other within this time; an idle connection is kept longer.
constexpr int kReadTimeoutMs = 10'000;
constexpr int kIdlePollMs = 100;
constexpr int kIdlePollsMax = 1'200;
// A request line and its headers: httplib bounds each line, not their number.
constexpr size_t kHeadBytesMax = size_t{1} << 20;
// Of the last piece, and of the frames of a chunked body.
constexpr size_t kSlackBytes = size_t{1} << 20;
// A slow body leaves in pieces of so many parts of a second.
constexpr uint64_t kPiecesPerS = 20;

// A request has a body if its head says how long it is (RFC 9112, 6.3); httplib would wait for the end of the connection.
bool TellsOfBody(std::string line) {
  std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::tolower(c); });
  return line.starts_with("content-length:") || line.starts_with("transfer-encoding:");
}

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

bool WaitFor(int descriptor, short events, int timeout_ms) {
  pollfd wanted{descriptor, events, 0};
  return poll(&wanted, 1, timeout_ms) > 0;
}

class DescriptorStream : public httplib::Stream {
 public:
  DescriptorStream(int descriptor, const std::function<bool()>& stopping, uint64_t body_bytes_max)
      : descriptor_(descriptor), stopping_(stopping), body_bytes_max_(body_bytes_max) {}
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
    // httplib writes the head of an answer at once, and then its body.
    const bool head = !std::exchange(head_written_, true);
    return head || (bytes_per_s_ == 0 && cut_after_ >= size) ? Send(bytes, size) : SendShaped(bytes, size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return descriptor_; }
  /// Another request begins.
  void Refill() {
    head_left_ = kHeadBytesMax;
    body_left_ = body_bytes_max_ + kSlackBytes;
    has_body_ = false;
    in_head_ = true;
    ShapeBody(0, UINT64_MAX);
    line_.clear();
    fields_.clear();
  }
  /// The body of the answer leaves no faster than this (0: at once), and ends after so many bytes together with the connection.
  void ShapeBody(uint64_t bytes_per_s, uint64_t cut_after) {
    bytes_per_s_ = bytes_per_s;
    cut_after_ = cut_after;
    head_written_ = false;
  }
  /// No byte leaves any more, and the connection ends.
  void Mute() { mute_ = true; }
  [[nodiscard]] bool mute() const { return mute_; }
  /// The header fields of the request as they came.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  ssize_t Send(const char* bytes, size_t size) const { return !mute_ && is_writable() ? send(descriptor_, bytes, size, MSG_NOSIGNAL) : -1; }

  ssize_t SendShaped(const char* bytes, size_t size) {
    const size_t end = std::min<uint64_t>(size, cut_after_);
    for (size_t at = 0; at < end && !stopping_();) {
      size_t piece = end - at;
      if (bytes_per_s_ > 0) {
        piece = std::min<size_t>(piece, std::max<uint64_t>(bytes_per_s_ / kPiecesPerS, 1));
        std::this_thread::sleep_for(std::chrono::microseconds(1'000'000 * piece / bytes_per_s_));
      }
      const ssize_t sent = Send(bytes + at, piece);
      if (sent <= 0) {
        return -1;
      }
      at += static_cast<size_t>(sent);
    }
    mute_ = mute_ || end < size || stopping_();
    return static_cast<ssize_t>(size);
  }

  void NoteHead(char c) {
    if (!in_head_) {
      return;  // the line of a chunk
    }
    if (c != '\n') {
      line_ += c;
      return;
    }
    if (!line_.empty() && line_.back() == '\r') {
      line_.pop_back();
    }
    in_head_ = !line_.empty();
    if (const size_t colon = line_.find(':'); colon != std::string::npos && line_.find(' ') > colon) {
      fields_.emplace_back(line_.substr(0, colon), Trimmed(line_.substr(colon + 1)));
    }
    has_body_ = has_body_ || TellsOfBody(std::move(line_));
    line_.clear();
  }

  int descriptor_;
  const std::function<bool()>& stopping_;
  uint64_t body_bytes_max_;
  uint64_t bytes_per_s_ = 0;
  uint64_t cut_after_ = UINT64_MAX;
  bool head_written_ = false;
  std::vector<std::pair<std::string, std::string>> fields_;
  bool in_head_ = true;
  bool mute_ = false;
  std::string line_;
  bool has_body_ = false;
  size_t head_left_ = 0;
  size_t body_left_ = 0;
};

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Header fields with other bytes are left out: nobody here reads them, and they are no text.
::http::Request FromHttplib(const httplib::Request& request, const DescriptorStream& stream) {
  ::http::Request message;
  message.set_method(request.method);
  const size_t question = request.target.find('?');
  message.set_path(request.target.substr(0, question));
  message.set_query(question == std::string::npos ? std::string() : request.target.substr(question + 1));
  message.set_body(request.body);
  for (const auto& [name, value] : stream.fields()) {
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
  Engine(const std::function<::http::Response(const ::http::Request&)>& handler, DescriptorStream* stream, uint64_t body_bytes_max)
      : stream_(stream) {
    set_payload_max_length(body_bytes_max);
    auto answer = [this, &handler](const httplib::Request& request, httplib::Response& response) {
      if (!IsAscii(request.target)) {
        response.status = 400;
        return;
      }
      Fill(handler(FromHttplib(request, *stream_)), request.method == "HEAD", &response);
    };
    constexpr char kAny[] = R"([\s\S]*)";
    Get(kAny, answer);
    Post(kAny, answer);
    Put(kAny, answer);
    Patch(kAny, answer);
    Delete(kAny, answer);
    Options(kAny, answer);
  }
  /// False when the connection should end.
  bool ServeOne() {
    bool closed = false;
    const auto leave_ranges = [](httplib::Request& request) {
      request.ranges.clear();
      request.headers.erase("Accept-Encoding");
    };
    return process_request(*stream_, false, closed, leave_ranges) && !closed && !stream_->mute();
  }

 private:
  void Fill(::http::Response message, bool head, httplib::Response* response) {
    if (message.status() == 0) {
      stream_->Mute();
    }
    response->status = static_cast<int>(message.status());
    for (const ::http::Header& header : message.headers()) {
      response->set_header(header.name(), header.value());
    }
    if (head) {
      response->set_header("Content-Length", std::to_string(std::max<uint64_t>(message.length(), message.body().size())));
      message.clear_body();
    }
    const std::string type = message.content_type().empty() ? "text/plain" : message.content_type();
    stream_->ShapeBody(message.bytes_per_s(), message.has_cut_after() ? message.cut_after() : UINT64_MAX);
    response->body = std::move(*message.mutable_body());
    response->set_header("Content-Type", type);
    if (message.content_type().empty()) {
      response->headers.erase("Content-Type");
    }
  }

  DescriptorStream* stream_;
};

}  // namespace

void ServeHttp(int descriptor, const std::function<::http::Response(const ::http::Request&)>& handler,
               const std::function<bool()>& stopping, uint64_t body_bytes_max) {
  DescriptorStream stream(descriptor, stopping, body_bytes_max);
  Engine engine(handler, &stream, body_bytes_max);
  for (int idle = 0; idle < kIdlePollsMax && !stopping();) {
    if (!WaitFor(descriptor, POLLIN, kIdlePollMs)) {
      ++idle;
      continue;
    }
    stream.Refill();
    char first = 0;
    if (recv(descriptor, &first, 1, MSG_PEEK) <= 0 || !engine.ServeOne()) {
      return;
    }
    idle = 0;
  }
}

}  // namespace kvjury::ports
