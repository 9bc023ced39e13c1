// HttpConnection: HTTP/1.1 on one accepted descriptor, parsed and written by cpp-httplib.
//
// Targets and header fields reach the handler as they were sent: httplib decodes %XX in both, and signatures are over what was sent.
// Ranges and compression are the handler's business.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proto/tikv/http.pb.h"

namespace kvjury::ports {

inline constexpr uint64_t kHttpBodyBytesMax = uint64_t{16} << 20;

/// Serves requests on `descriptor` (blocking) until the peer closes, a bound is passed or `stopping` says so; does not close it.
/// A request's body may have `body_bytes_max` bytes.
void ServeHttp(int descriptor, const std::function<::http::Response(const ::http::Request&)>& handler,
               const std::function<bool()>& stopping, uint64_t body_bytes_max = kHttpBodyBytesMax);

}  // namespace kvjury::ports
