#include "fakes/ports/messages.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/codegen/proto_utils.h>

namespace kvjury::ports {

namespace protobuf = google::protobuf;

std::optional<MethodTypes> FindMethod(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (path.size() < 2 || path[0] != '/' || slash == 0 || slash == std::string_view::npos) {
    return std::nullopt;
  }
  std::string name(path.substr(1));
  name[slash - 1] = '.';
  const protobuf::MethodDescriptor* method = protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
  if (method == nullptr) {
    return std::nullopt;
  }
  MethodTypes types;
  types.path = path;
  types.request = protobuf::MessageFactory::generated_factory()->GetPrototype(method->input_type());
  types.response = protobuf::MessageFactory::generated_factory()->GetPrototype(method->output_type());
  types.client_streaming = method->client_streaming();
  types.server_streaming = method->server_streaming();
  return types;
}

sim::MessagePtr Parse(const protobuf::Message& type, grpc::ByteBuffer* bytes) {
  std::shared_ptr<protobuf::Message> message(type.New());
  const grpc::Status parsed = grpc::GenericDeserialize<grpc::ProtoBufferReader, protobuf::Message>(bytes, message.get());
  return parsed.ok() ? message : nullptr;
}

grpc::ByteBuffer Serialize(const protobuf::Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  const grpc::Status done = grpc::GenericSerialize<grpc::ProtoBufferWriter, protobuf::Message>(message, &bytes, &own);
  CHECK(done.ok()) << done.error_message();
  return bytes;
}

grpc::Status ToGrpc(const Status& status) {
  using grpc::StatusCode;
  switch (status.code()) {
    case kvjury::StatusCode::kOk: return grpc::Status::OK;
    case kvjury::StatusCode::kCancelled: return {StatusCode::CANCELLED, status.message()};
    case kvjury::StatusCode::kInvalidArgument: return {StatusCode::INVALID_ARGUMENT, status.message()};
    case kvjury::StatusCode::kNotFound: return {StatusCode::NOT_FOUND, status.message()};
    case kvjury::StatusCode::kAlreadyExists: return {StatusCode::ALREADY_EXISTS, status.message()};
    case kvjury::StatusCode::kUnavailable: return {StatusCode::UNAVAILABLE, status.message()};
    case kvjury::StatusCode::kDeadlineExceeded: return {StatusCode::DEADLINE_EXCEEDED, status.message()};
    case kvjury::StatusCode::kUnsupported: return {StatusCode::UNIMPLEMENTED, status.message()};
    // PD and etcd give these refusals codes of their own.
    case kvjury::StatusCode::kRejected: {
      const std::string& said = status.message();
      const bool precondition = said.starts_with("mismatch ") || said == "etcdserver: lease already exists";
      const bool range = said.starts_with("etcdserver: mvcc: required revision") || said == "etcdserver: too large lease TTL";
      return {precondition ? StatusCode::FAILED_PRECONDITION : range ? StatusCode::OUT_OF_RANGE : StatusCode::UNKNOWN, said};
    }
    default: return {StatusCode::UNKNOWN, status.message()};
  }
}

Status FromGrpc(const grpc::Status& status) {
  using grpc::StatusCode;
  switch (status.error_code()) {
    case StatusCode::OK: return Status::Ok();
    case StatusCode::CANCELLED: return Status::Cancelled(status.error_message());
    case StatusCode::UNAVAILABLE: return Status::Unavailable(status.error_message());
    case StatusCode::DEADLINE_EXCEEDED: return Status::DeadlineExceeded(status.error_message());
    case StatusCode::UNIMPLEMENTED: return Status::Unsupported(status.error_message());
    default: return Status::Rejected(status.error_message());
  }
}

}  // namespace kvjury::ports
