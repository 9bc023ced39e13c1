// Messages of a method by its path, from the protobuf descriptors of our own protocol files.
//
// A method that these do not declare has messages without fields, whose bytes are kept as unknown fields: it can be called and
// its answer compared as bytes.
#pragma once

#include <memory>
#include <string>

#include "fakes/base/bytes.h"
#include "fakes/sim/channel.h"
#include "harness/drift/recorded_call.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::drift {

struct MethodTypes {
  const google::protobuf::Message* request = nullptr;  // default instances
  const google::protobuf::Message* response = nullptr;
  bool declared = false;
  bool client_streaming = false;
  bool server_streaming = false;
};

/// "/pdpb.PD/GetMembers".
MethodTypes TypesOf(const std::string& path);

/// True for PD's own services and etcd's.
bool IsMethodOfPd(const std::string& path);

/// The HTTP exchange of a call, with this path and query.
::http::Request HttpRequestOf(const RecordedCall& call, const std::string& path);

/// Null if the bytes are no such message.
std::shared_ptr<google::protobuf::Message> ParseAs(const google::protobuf::Message& type, const Bytes& bytes);

}  // namespace kvjury::drift
