// Tls: certificates of a served cluster, and decrypting what comes in.
//
// gRPC of this version takes accepted descriptors only without TLS. So a connection is decrypted here and its plain bytes go
// through a socket pair to whoever would have had the descriptor: gRPC or HTTP/1.1, told apart by the same first bytes.
// With a CA every client must show a certificate that it signed (mutual TLS); who does not is refused with an alert.
// ALPN: "http/1.1" to clients that offer it, else "h2", which is all that clients of gRPC offer.
// Not modelled: session tickets, revocation, certificates that change while serving. TLS 1.2 and 1.3. Source: OpenSSL 3.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fakes/base/status.h"

namespace kvjury::ports {

struct TlsFiles {
  /// Empty: clients need no certificate.
  std::string ca;
  std::string certificate;
  std::string key;
};

class TlsContext {
 public:
  /// Errors: kEnvironment naming the file that cannot be read or does not fit the others.
  static Result<std::shared_ptr<TlsContext>> Load(const TlsFiles& files);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  /// Shakes hands on `encrypted`, then carries bytes between it and `plain` until one side ends or `stopping` says so. Closes
  /// neither. Blocks. Errors: kRejected with the reason of a failed handshake ("peer did not return a certificate").
  Status Carry(int encrypted, int plain, const std::function<bool()>& stopping) const;

 private:
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Makes a small CA for tests in `folder`: ca.pem, server.pem and server-key.pem (for 127.0.0.1, ::1 and localhost), client.pem and
/// client-key.pem; ECDSA on P-256, ten years. Errors: kAlreadyExists if one of the files is there, kEnvironment.
Status MakeTestCertificates(const std::string& folder);

}  // namespace kvjury::ports
