// Messages between gRPC's bytes and protobuf, with types found by method path in the descriptors that are linked in.
//
// Included by the few files that include gRPC.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <optional>
#include <string>

#include "fakes/base/status.h"
#include "fakes/sim/channel.h"

namespace kvjury::ports {

struct MethodTypes {
  std::string path;
  const google::protobuf::Message* request = nullptr;   // default instances
  const google::protobuf::Message* response = nullptr;
  bool client_streaming = false;
  bool server_streaming = false;
};

/// "/pdpb.PD/GetMembers" as declared in the .proto files; empty if no such method is declared.
std::optional<MethodTypes> FindMethod(std::string_view path);

/// Null if the bytes are no such message. Unknown fields are kept.
sim::MessagePtr Parse(const google::protobuf::Message& type, grpc::ByteBuffer* bytes);
grpc::ByteBuffer Serialize(const google::protobuf::Message& message);

/// The code that a client of a real store or PD would see.
grpc::Status ToGrpc(const Status& status);
/// The way back, as the fabric words it.
Status FromGrpc(const grpc::Status& status);

}  // namespace kvjury::ports
