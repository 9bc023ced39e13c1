#include "fakes/ports/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "fakes/base/digest.h"
#include "fakes/ports/preface.h"

namespace kvjury::ports {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kHttpConnectionsMax = 512;
constexpr size_t kTlsConnectionsMax = 4'096;
constexpr auto kFullPause = std::chrono::milliseconds(20);
constexpr int kBacklog = 1024;
// Below the ports of outgoing connections, one of which could take a port while it is closed.
constexpr uint64_t kQuietPortMin = 10'240;
constexpr uint64_t kQuietPorts = 22'000;
constexpr int kQuietPortTries = 64;

int SomeQuietPort() {
  const auto now = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  return static_cast<int>(kQuietPortMin + Mix64(now, static_cast<uint64_t>(getpid())) % kQuietPorts);
}

std::string PeerOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6->sin6_port));
}

void SetBlocking(int descriptor, bool blocking) {
  const int flags = fcntl(descriptor, F_GETFL);
  fcntl(descriptor, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

}  // namespace

class Listener::Impl {
 public:
  Impl(std::string host, std::shared_ptr<const TlsContext> tls, ListenerHandlers handlers)
      : host_(std::move(host)), tls_(std::move(tls)), handlers_(std::move(handlers)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    stopping_ = true;
    Wake();
    if (thread_.joinable()) {
      thread_.join();
    }
    for (Worker& worker : workers_) {
      shutdown(worker.descriptor, SHUT_RDWR);
      worker.thread.join();
      worker.Close();
    }
    close(wake_);
  }

  Status Start(int port) {
    wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RETURN_IF_ERROR(port == 0 ? ListenSomewhere() : Listen(port));
    thread_ = std::thread([this]() { Loop(); });
    return Status::Ok();
  }

  void SetAccepting(bool accepting) {
    accepting_ = accepting;
    Wake();
  }
  [[nodiscard]] bool settled() const { return accepting_ == is_open_; }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string address() const { return host_ + ":" + std::to_string(port_); }
  [[nodiscard]] size_t open_connections() const { return open_; }

 private:
  // A connection that has not said enough yet, or a second descriptor of one that gRPC owns: to cut it, and to see it end.
  struct Watched {
    int descriptor = -1;
    bool owned_by_grpc = false;
    // Some bytes are there, too few to decide: polling for more would return at once, so these are looked at every tick.
    bool partial = false;
    // The decrypted side of a connection.
    bool inside_tls = false;
    Clock::time_point since;
    std::string peer;
  };
  // A thread for one connection: HTTP/1.1, or decrypting.
  struct Worker {
    int descriptor = -1;
    int plain = -1;  // our end of the socket pair, when decrypting
    bool http = false;
    std::atomic<bool> ended{false};
    std::thread thread;

    void Close() const {
      close(descriptor);
      if (plain >= 0) {
        close(plain);
      }
    }
  };

  void Wake() const {
    const uint64_t one = 1;
    (void)!write(wake_, &one, sizeof(one));
  }

  Status ListenSomewhere() {
    Status listening = Listen(SomeQuietPort());
    for (int i = 0; i < kQuietPortTries && listening.code() == StatusCode::kEnvironment; ++i) {
      listening = Listen(SomeQuietPort());
    }
    return listening.code() == StatusCode::kEnvironment ? Listen(0) : listening;
  }

  Status Listen(int port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
    addrinfo* found = nullptr;
    const std::string name = host_ == "localhost" ? "127.0.0.1" : host_;
    if (getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
      return Status::InvalidArgument("\"" + host_ + "\" is no address to listen on; expected one like 127.0.0.1");
    }
    listening_ = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const bool bound = bind(listening_, found->ai_addr, found->ai_addrlen) == 0 && listen(listening_, kBacklog) == 0;
    const int error = errno;
    freeaddrinfo(found);
    if (!bound) {
      close(listening_);
      listening_ = -1;
      const std::string where = host_ + ":" + std::to_string(port);
      return Status::Environment(error == EADDRINUSE ? where + " is in use already" : "cannot listen on " + where + ": " + strerror(error));
    }
    sockaddr_storage own{};
    socklen_t size = sizeof(own);
    getsockname(listening_, reinterpret_cast<sockaddr*>(&own), &size);
    port_ = ntohs(own.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&own)->sin_port
                                           : reinterpret_cast<sockaddr_in6*>(&own)->sin6_port);
    return Status::Ok();
  }

  void Loop() {
    while (!stopping_) {
      FollowAccepting();
      std::vector<pollfd> polled{{wake_, POLLIN, 0}};
      if (listening_ >= 0) {
        polled.push_back({listening_, POLLIN, 0});
      }
      const size_t first = polled.size();
      for (const Watched& watched : watched_) {
        const bool wait_for_bytes = !watched.owned_by_grpc && !watched.partial;
        polled.push_back({watched.descriptor, static_cast<short>(wait_for_bytes ? POLLIN : watched.owned_by_grpc ? POLLRDHUP : 0), 0});
      }
      const bool undecided = std::any_of(watched_.begin(), watched_.end(), [](const Watched& w) { return !w.owned_by_grpc; });
      poll(polled.data(), polled.size(), undecided ? 20 : 1000);
      uint64_t drained = 0;
      (void)!read(wake_, &drained, sizeof(drained));
      Inspect(polled, first);
      if (listening_ >= 0 && (polled[1].revents & POLLIN) != 0) {
        Accept();
      }
      JoinEndedWorkers();
      open_ = watched_.size() + workers_.size();
    }
    CloseAll();
  }

  void FollowAccepting() {
    if (!accepting_ && listening_ >= 0) {
      CloseAll();
    } else if (accepting_ && listening_ < 0) {
      (void)Listen(port_).ok();  // tried again at the next tick if somebody took the port meanwhile
    }
    is_open_ = listening_ >= 0;
  }

  void CloseAll() {
    if (listening_ >= 0) {
      close(listening_);
      listening_ = -1;
    }
    for (const Watched& watched : watched_) {
      shutdown(watched.descriptor, SHUT_RDWR);
      close(watched.descriptor);
    }
    watched_.clear();
    for (const Worker& worker : workers_) {
      shutdown(worker.descriptor, SHUT_RDWR);
    }
  }

  void Accept() {
    while (true) {
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      const int descriptor = accept4(listening_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) {
        // Without descriptors the port stays readable: others shall have time to give some back.
        if (errno == EMFILE || errno == ENFILE) {
          std::this_thread::sleep_for(kFullPause);
        }
        return;
      }
      const int on = 1;
      setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      Watch(descriptor, PeerOf(from), false);
    }
  }

  void Watch(int descriptor, std::string peer, bool inside_tls) {
    Watched& watched = watched_.emplace_back();
    watched.descriptor = descriptor;
    watched.inside_tls = inside_tls;
    watched.since = Clock::now();
    watched.peer = std::move(peer);
  }

  void Say(const std::string& line) const {
    if (handlers_.on_connection) {
      handlers_.on_connection(address() + ": " + line);
    }
  }

  void Inspect(const std::vector<pollfd>& polled, size_t first) {
    size_t i = first;
    for (auto it = watched_.begin(); it != watched_.end() && i < polled.size(); ++i) {
      const short seen = polled[i].revents;
      const bool gone = (seen & (POLLHUP | POLLERR | POLLNVAL)) != 0 || (it->owned_by_grpc && (seen & POLLRDHUP) != 0);
      bool done = gone;
      if (gone) {
        Say(it->peer + " has gone");
        close(it->descriptor);
      } else if (!it->owned_by_grpc) {
        done = Decide(&*it, (seen & POLLIN) != 0 || it->partial);
      }
      it = done ? watched_.erase(it) : std::next(it);
    }
  }

  // True when nothing is left to watch.
  bool Decide(Watched* watched, bool readable) {
    char bytes[64];
    const ssize_t got = readable ? recv(watched->descriptor, bytes, sizeof(bytes), MSG_PEEK) : -1;
    const Speech speech = got > 0 ? Recognize(std::string_view(bytes, static_cast<size_t>(got))) : Speech::kNeedMore;
    if (speech == Speech::kNeedMore) {
      watched->partial = got > 0;
      const bool too_long = Clock::now() - watched->since > handlers_.preface_timeout;
      return got == 0 ? Drop(*watched, "closed before it said anything whole") : too_long && Drop(*watched, "said nothing whole for too long");
    }
    const bool encrypted = tls_ == nullptr || watched->inside_tls;
    if (speech == Speech::kGarbage) {
      return Drop(*watched, "speaks neither HTTP/2 nor HTTP/1.1");
    }
    if (speech == Speech::kTls) {
      return encrypted ? Drop(*watched, "speaks TLS, this port is plain") : HandToTls(*watched);
    }
    if (!encrypted) {
      return Drop(*watched, "does not speak TLS, this port does");
    }
    return speech == Speech::kHttp2 ? HandToGrpc(watched) : HandToHttp(*watched);
  }

  bool Drop(const Watched& watched, const std::string& why) {
    Say(watched.peer + " " + why);
    close(watched.descriptor);
    return true;
  }

  bool HandToGrpc(Watched* watched) {
    if (!handlers_.on_grpc) {
      return Drop(*watched, "speaks gRPC, this port does not");
    }
    Say(watched->peer + " speaks gRPC");
    const int second = fcntl(watched->descriptor, F_DUPFD_CLOEXEC, 3);
    handlers_.on_grpc(watched->descriptor, watched->peer);
    watched->descriptor = second;
    watched->owned_by_grpc = true;
    return second < 0;
  }

  bool HandToHttp(const Watched& watched) {
    if (CountWorkers(true) >= kHttpConnectionsMax) {
      return Drop(watched, "is one HTTP connection too many");
    }
    Say(watched.peer + " speaks HTTP/1.1");
    SetBlocking(watched.descriptor, true);
    Worker& worker = workers_.emplace_back();
    worker.descriptor = watched.descriptor;
    worker.http = true;
    return StartWorker(watched, [this, &worker]() { 
      ServeHttp(worker.descriptor, handlers_.on_http, [this]() { return Ending(); }, handlers_.http_body_bytes_max);
    });
  }

  [[nodiscard]] size_t CountWorkers(bool http) const {
    return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(), [http](const Worker& w) { return w.http == http; }));
  }

  // A thread for the newest worker.
  bool StartWorker(const Watched& watched, std::function<void()> work) {
    Worker& worker = workers_.back();
    try {
      worker.thread = std::thread([this, &worker, work = std::move(work)]() {
        work();
        End(&worker);
      });
    } catch (const std::system_error&) {
      Say(watched.peer + " is one connection too many: there are no threads left");
      worker.Close();
      workers_.pop_back();
    }
    return true;
  }

  bool HandToTls(const Watched& watched) {
    int pair[2];
    if (CountWorkers(false) >= kTlsConnectionsMax || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
      return Drop(watched, "is one TLS connection too many");
    }
    Worker& worker = workers_.emplace_back();
    worker.descriptor = watched.descriptor;
    worker.plain = pair[0];
    Watch(pair[1], watched.peer, true);
    return StartWorker(watched, [this, &worker, peer = watched.peer]() {
      const Status carried = tls_->Carry(worker.descriptor, worker.plain, [this]() { return Ending(); });
      if (!carried.ok()) {
        Say(peer + " was refused: " + carried.message());
      }
      shutdown(worker.plain, SHUT_RDWR);
    });
  }

  [[nodiscard]] bool Ending() const { return stopping_ || !accepting_; }

  void End(Worker* worker) {
    shutdown(worker->descriptor, SHUT_RDWR);
    worker->ended = true;
    Wake();
  }

  void JoinEndedWorkers() {
    for (auto it = workers_.begin(); it != workers_.end();) {
      if (it->ended) {
        it->thread.join();
        it->Close();
        it = workers_.erase(it);
      } else {
        ++it;
      }
    }
  }

  std::string host_;
  std::shared_ptr<const TlsContext> tls_;
  ListenerHandlers handlers_;
  std::atomic<int> port_ = 0;
  int listening_ = -1;
  int wake_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> accepting_{true};
  std::atomic<bool> is_open_{true};
  std::atomic<size_t> open_{0};
  // Only on the listener's thread.
  std::list<Watched> watched_;
  std::list<Worker> workers_;
  std::thread thread_;
};

Result<std::unique_ptr<Listener>> Listener::Start(const std::string& host, int port, std::shared_ptr<const TlsContext> tls,
                                                   ListenerHandlers handlers) {
  if (!handlers.on_http) {
    handlers.on_http = [](const ::http::Request&) {
      ::http::Response response;
      response.set_status(404);
      response.set_content_type("text/plain; charset=utf-8");
      response.set_body("404 page not found\n");
      return response;
    };
  }
  auto impl = std::make_unique<Impl>(host, std::move(tls), std::move(handlers));
  RETURN_IF_ERROR(impl->Start(port));
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() = default;
int Listener::port() const { return impl_->port(); }
std::string Listener::address() const { return impl_->address(); }
void Listener::SetAccepting(bool accepting) { impl_->SetAccepting(accepting); }
bool Listener::settled() const { return impl_->settled(); }
size_t Listener::open_connections() const { return impl_->open_connections(); }

}  // namespace kvjury::ports
