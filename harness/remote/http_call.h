// One HTTP/1.1 exchange as a client: connects, asks, closes.
//
// Source: cpp-httplib 0.11. Not modelled: connections that are kept, redirects, compressed bodies. Blocks.
#pragma once

#include <string>

#include "fakes/base/status.h"
#include "fakes/base/ids.h"
#include "fakes/ports/tls.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::remote {

/// `address` is host:port. With `tls.ca` over TLS. Errors: kUnavailable with the address and what happened.
Result<::http::Response> HttpCall(const std::string& address, const ::http::Request& request, const ports::TlsFiles& tls,
                                  Micros timeout_us);

}  // namespace kvjury::remote
