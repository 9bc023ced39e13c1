// Preface: what a new connection speaks, decided from its first bytes.
//
// PD's port carries gRPC (its own and etcd's: HTTP/2 with prior knowledge) and HTTP/1.1 at once. A pure function, so that it can
// be fuzzed. Source: RFC 9113 section 3.4 for the preface of HTTP/2; RFC 9112 for a request line.
#pragma once

#include <string_view>

namespace kvjury::ports {

inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Speech {
  kNeedMore,  // all bytes so far fit one of the others, none is certain
  kHttp2,
  kHttp1,
  kTls,      // a ClientHello
  kGarbage,  // nothing that this port speaks
};

/// Decides from the bytes that a peer has sent so far.
Speech Recognize(std::string_view bytes);

}  // namespace kvjury::ports
