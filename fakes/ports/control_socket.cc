#include "fakes/ports/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace kvjury::ports {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 16;
constexpr size_t kLineBytesMax = size_t{64} << 10;
constexpr size_t kAnswerBytesMax = size_t{256} << 20;
constexpr auto kLineTimeout = std::chrono::seconds(1);
constexpr auto kAnswerTimeout = std::chrono::seconds(60);

bool AddressOf(const std::string& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.size() >= sizeof(address->sun_path)) {
    return false;
  }
  std::memcpy(address->sun_path, path.data(), path.size());
  return true;
}

Status Failed(const std::string& what, const std::string& path) {
  return Status::Environment(what + " " + path + ": " + std::strerror(errno));
}

// Everything up to the line end, which must come before the time-out; nothing otherwise.
Result<std::string> ReadLine(int descriptor, Clock::duration patience, size_t bytes_max) {
  const auto until = Clock::now() + patience;
  std::string line;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled{descriptor, POLLIN, 0};
    if (left <= 0 || poll(&polled, 1, static_cast<int>(left)) <= 0) {
      return Status::DeadlineExceeded("no whole line came");
    }
    char bytes[4096];
    const ssize_t got = recv(descriptor, bytes, sizeof(bytes), 0);
    if (got <= 0) {
      return Status::Unavailable("the connection ended without a whole line");
    }
    line.append(bytes, static_cast<size_t>(got));
    if (const size_t end = line.find('\n'); end != std::string::npos) {
      line.resize(end);
      return line;
    }
    if (line.size() > bytes_max) {
      return Status::InvalidArgument("the line is too long");
    }
  }
}

bool SendAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace

ControlSocket::ControlSocket(std::string path, int listening, int wake, Handler handler)
    : path_(std::move(path)), listening_(listening), wake_(wake), handler_(std::move(handler)), thread_([this]() { Loop(); }) {}

ControlSocket::~ControlSocket() {
  const uint64_t one = 1;
  (void)!write(wake_, &one, sizeof(one));
  thread_.join();
  close(listening_);
  close(wake_);
  unlink(path_.c_str());
}

Result<std::unique_ptr<ControlSocket>> ControlSocket::Start(const std::string& path, Handler handler) {
  sockaddr_un address{};
  if (!AddressOf(path, &address)) {
    return Status::Environment("the path of the control socket is too long: " + path);
  }
  const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listening < 0) {
    return Failed("cannot make the control socket", path);
  }
  struct stat status{};
  if (lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
    if (connect(listening, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      close(listening);
      return Status::Environment("the control socket " + path + " is in use by another process");
    }
    unlink(path.c_str());
  }
  const bool bound = bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (!bound || chmod(path.c_str(), 0600) != 0 || listen(listening, kBacklog) != 0) {
    const Status failed = Failed("cannot make the control socket", path);
    close(listening);
    return failed;
  }
  return std::unique_ptr<ControlSocket>(new ControlSocket(path, listening, eventfd(0, EFD_CLOEXEC), std::move(handler)));
}

void ControlSocket::Loop() {
  while (true) {
    pollfd polled[] = {{wake_, POLLIN, 0}, {listening_, POLLIN, 0}};
    poll(polled, 2, -1);
    if (polled[0].revents != 0) {
      return;
    }
    const int descriptor = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor >= 0) {
      Serve(descriptor);
      close(descriptor);
    }
  }
}

void ControlSocket::Serve(int descriptor) const {
  // A peer that takes no answer must not hold the thread.
  const timeval patience{1, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const Result<std::string> line = ReadLine(descriptor, kLineTimeout, kLineBytesMax);
  const std::string answer = line.ok() ? handler_(*line) : R"({"error": ")" + line.error().message() + "\"}";
  SendAll(descriptor, answer + "\n");
}

Result<std::string> CallControlSocket(const std::string& path, const std::string& line) {
  sockaddr_un address{};
  if (!AddressOf(path, &address)) {
    return Status::Environment("the path of the control socket is too long: " + path);
  }
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0 || connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const Status failed = Failed("no served cluster listens on", path);
    close(descriptor);
    return failed;
  }
  Result<std::string> answer = SendAll(descriptor, line + "\n") ? ReadLine(descriptor, kAnswerTimeout, kAnswerBytesMax) : Failed("cannot write to", path);
  close(descriptor);
  if (!answer.ok() && answer.error().code() != StatusCode::kEnvironment) {
    return Status::Environment("the served cluster at " + path + " gave no answer: " + answer.error().message());
  }
  return answer;
}

}  // namespace kvjury::ports
