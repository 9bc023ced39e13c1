// A client of real ports for tests: blocking calls by method path, without generated stubs.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "fakes/sim/channel.h"

namespace kvjury::ports {

/// Whether `holds` comes true within ten seconds.
inline bool Soon(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

class TestClient {
 public:
  explicit TestClient(const std::string& address,
                      const std::shared_ptr<grpc::ChannelCredentials>& credentials = grpc::InsecureChannelCredentials()) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(address, credentials, arguments);
  }

  template <class Request, class Response>
  grpc::Status Call(sim::UnaryMethod<Request, Response> method, const Request& request, Response* response, int timeout_ms = 20'000) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    const grpc::internal::RpcMethod rpc(method.path, grpc::internal::RpcMethod::NORMAL_RPC);
    return grpc::internal::BlockingUnaryCall(channel_.get(), rpc, &context, request, response);
  }

  template <class Request, class Response>
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> Stream(const char* path, grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const grpc::internal::RpcMethod rpc(path, grpc::internal::RpcMethod::BIDI_STREAMING);
    return std::unique_ptr<grpc::ClientReaderWriter<Request, Response>>(
        grpc::internal::ClientReaderWriterFactory<Request, Response>::Create(channel_.get(), rpc, context));
  }

  template <class Request, class Response>
  std::unique_ptr<grpc::ClientReader<Response>> ServerStream(const char* path, grpc::ClientContext* context, const Request& request) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const grpc::internal::RpcMethod rpc(path, grpc::internal::RpcMethod::SERVER_STREAMING);
    return std::unique_ptr<grpc::ClientReader<Response>>(
        grpc::internal::ClientReaderFactory<Response>::Create(channel_.get(), rpc, context, request));
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace kvjury::ports
