// HTTP/1.1 as a method: the table of an address may answer whole HTTP exchanges beside its gRPC methods (proto/tikv/http.proto).
#pragma once

#include "fakes/sim/channel.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::sim {

/// Any HTTP request to an address. A Status that the handler returns is a broken connection; an HTTP error is in the response.
inline constexpr UnaryMethod<::http::Request, ::http::Response> kHttp{"/http"};

}  // namespace kvjury::sim
