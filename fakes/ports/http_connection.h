// HttpConnection: HTTP/1.1 on one accepted descriptor, parsed and written by cpp-httplib.
#pragma once

#include <functional>
#include <string>

#include "proto/tikv/http.pb.h"

namespace kvjury::ports {

/// Serves requests on `descriptor` (blocking) until the peer closes, a bound is passed or `stopping` says so; does not close it.
void ServeHttp(int descriptor, const std::function<::http::Response(const ::http::Request&)>& handler,
               const std::function<bool()>& stopping);

}  // namespace kvjury::ports
