#include "fakes/ports/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "fakes/ports/pipe_signal.h"

namespace kvjury::ports {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kHandshakeTimeout = std::chrono::seconds(10);
constexpr int kPollMs = 200;
constexpr size_t kBufferBytes = size_t{64} << 10;

std::string OpensslReason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the connection broke" : reason;
}

// "http/1.1" if offered, else "h2".
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered, unsigned int size, void*) {
  const unsigned char* h2 = nullptr;
  for (unsigned int at = 0; at < size && at + 1 + offered[at] <= size; at += 1 + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name == "http/1.1") {
      *chosen = offered + at + 1;
      *chosen_size = offered[at];
      return SSL_TLSEXT_ERR_OK;
    }
    h2 = name == "h2" ? offered + at : h2;
  }
  if (h2 == nullptr) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *chosen = h2 + 1;
  *chosen_size = *h2;
  return SSL_TLSEXT_ERR_OK;
}

void SetNonBlocking(int descriptor) { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

// Bytes on their way in one direction.
struct Pipe {
  std::string bytes = std::string(kBufferBytes, '\0');
  size_t begin = 0;
  size_t end = 0;
  bool closed = false;  // its source has ended

  [[nodiscard]] bool empty() const { return begin == end; }
  [[nodiscard]] bool wants_more() const { return empty() && !closed; }
  void Filled(size_t size) {
    begin = 0;
    end = size;
  }
};

class Carrier {
 public:
  Carrier(SSL* ssl, int encrypted, int plain) : ssl_(ssl), encrypted_(encrypted), plain_(plain) {}

  // False when the connection is over.
  bool Step() {
    bool moved = false;
    if (inward_.wants_more()) {
      moved |= ReadEncrypted();
    }
    if (outward_.wants_more()) {
      moved |= ReadPlain();
    }
    if (!inward_.empty()) {
      moved |= WritePlain();
    }
    if (!outward_.empty()) {
      moved |= WriteEncrypted();
    }
    if (broken_ || (inward_.closed && inward_.empty()) || (outward_.closed && outward_.empty())) {
      return false;
    }
    if (!moved) {
      Wait();
    }
    return true;
  }

 private:
  bool ReadEncrypted() {
    const int got = SSL_read(ssl_, inward_.bytes.data(), static_cast<int>(inward_.bytes.size()));
    if (got > 0) {
      inward_.Filled(static_cast<size_t>(got));
      return true;
    }
    NoteSslError(got, &inward_);
    return false;
  }
  bool WriteEncrypted() {
    const int sent = SSL_write(ssl_, outward_.bytes.data() + outward_.begin, static_cast<int>(outward_.end - outward_.begin));
    if (sent > 0) {
      outward_.begin += static_cast<size_t>(sent);
      return true;
    }
    NoteSslError(sent, &outward_);
    return false;
  }
  void NoteSslError(int result, Pipe* pipe) {
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_ZERO_RETURN) {
      pipe->closed = true;
    } else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      broken_ = true;
    }
    ERR_clear_error();
  }
  bool ReadPlain() {
    const ssize_t got = recv(plain_, outward_.bytes.data(), outward_.bytes.size(), 0);
    if (got > 0) {
      outward_.Filled(static_cast<size_t>(got));
      return true;
    }
    outward_.closed = got == 0;
    broken_ |= got < 0 && errno != EAGAIN && errno != EINTR;
    return false;
  }
  bool WritePlain() {
    const ssize_t sent = send(plain_, inward_.bytes.data() + inward_.begin, inward_.end - inward_.begin, MSG_NOSIGNAL);
    if (sent > 0) {
      inward_.begin += static_cast<size_t>(sent);
      return true;
    }
    broken_ |= sent < 0 && errno != EAGAIN && errno != EINTR;
    return false;
  }
  void Wait() {
    short encrypted_events = inward_.wants_more() ? POLLIN : 0;
    encrypted_events = static_cast<short>(encrypted_events | (outward_.empty() ? 0 : POLLOUT));
    short plain_events = outward_.wants_more() ? POLLIN : 0;
    plain_events = static_cast<short>(plain_events | (inward_.empty() ? 0 : POLLOUT));
    pollfd polled[2] = {{encrypted_, encrypted_events, 0}, {plain_, plain_events, 0}};
    poll(polled, 2, kPollMs);
  }

  SSL* ssl_;
  int encrypted_;
  int plain_;
  Pipe inward_;
  Pipe outward_;
  bool broken_ = false;
};

Status ShakeHands(SSL* ssl, int descriptor, const std::function<bool()>& stopping) {
  const Clock::time_point deadline = Clock::now() + kHandshakeTimeout;
  while (true) {
    const int done = SSL_accept(ssl);
    if (done == 1) {
      return Status::Ok();
    }
    const int error = SSL_get_error(ssl, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return Status::Rejected(OpensslReason());
    }
    if (stopping() || Clock::now() > deadline) {
      return Status::Rejected("the handshake took too long");
    }
    pollfd polled{descriptor, static_cast<short>(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
    poll(&polled, 1, kPollMs);
  }
}

}  // namespace

struct TlsContext::Impl {
  SSL_CTX* context = nullptr;
  ~Impl() { SSL_CTX_free(context); }
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::Load(const TlsFiles& files) {
  auto impl = std::make_unique<Impl>();
  impl->context = SSL_CTX_new(TLS_server_method());
  if (impl->context == nullptr) {
    return Status::Environment("OpenSSL does not start: " + OpensslReason());
  }
  SSL_CTX_set_min_proto_version(impl->context, TLS1_2_VERSION);
  SSL_CTX_set_mode(impl->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(impl->context, &ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(impl->context, files.certificate.c_str()) != 1) {
    return Status::Environment("cannot use the certificate \"" + files.certificate + "\": " + OpensslReason());
  }
  if (SSL_CTX_use_PrivateKey_file(impl->context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Status::Environment("cannot use the key \"" + files.key + "\": " + OpensslReason());
  }
  if (!files.ca.empty()) {
    if (SSL_CTX_load_verify_locations(impl->context, files.ca.c_str(), nullptr) != 1) {
      return Status::Environment("cannot use the CA \"" + files.ca + "\": " + OpensslReason());
    }
    SSL_CTX_set_verify(impl->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

Status TlsContext::Carry(int encrypted, int plain, const std::function<bool()>& stopping) const {
  const NoPipeSignal no_signal;
  SetNonBlocking(encrypted);
  SetNonBlocking(plain);
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(impl_->context), &SSL_free);
  if (ssl == nullptr || SSL_set_fd(ssl.get(), encrypted) != 1) {
    return Status::Environment("OpenSSL takes no connection: " + OpensslReason());
  }
  RETURN_IF_ERROR(ShakeHands(ssl.get(), encrypted, stopping));
  Carrier carrier(ssl.get(), encrypted, plain);
  while (!stopping() && carrier.Step()) {
  }
  SSL_shutdown(ssl.get());
  ERR_clear_error();
  return Status::Ok();
}

}  // namespace kvjury::ports
