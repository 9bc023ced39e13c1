#include "fakes/ports/grpc_server.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/server_posix.h>

#include <limits>

#include "fakes/ports/batch_commands.h"
#include "fakes/ports/exchange.h"
#include "fakes/ports/messages.h"
#include "fakes/ports/ordered_calls.h"

namespace kvjury::ports {

namespace {

constexpr char kBatchCommandsPath[] = "/tikvpb.Tikv/BatchCommands";
constexpr char kHealthCheckPath[] = "/grpc.health.v1.Health/Check";
// HealthCheckResponse{status: SERVING}: field 1, varint 1.
constexpr std::string_view kServing("\x08\x01", 2);
constexpr Micros kTimeoutMaxUs = 3'600'000'000;

Micros TimeoutOf(const grpc::GenericCallbackServerContext& context) {
  const auto left = context.deadline() - std::chrono::system_clock::now();
  const Micros us = std::chrono::duration_cast<std::chrono::microseconds>(left).count();
  return std::clamp<Micros>(us, 1, kTimeoutMaxUs);
}

// A stream's messages to gRPC.
class ExchangeSink final : public StreamSink {
 public:
  ExchangeSink(LiveWorld* live, Exchange::Ptr exchange) : live_(live), exchange_(std::move(exchange)) {}
  [[nodiscard]] bool ended() const override { return exchange_->ended(); }
  void Send(const google::protobuf::Message& message, std::function<void()> written) override {
    exchange_->Send(Serialize(message), [live = live_, written = std::move(written)]() { live->Post(written); });
  }
  void End(const Status& status) override { exchange_->End(ToGrpc(status)); }

 private:
  LiveWorld* live_;
  Exchange::Ptr exchange_;
};

}  // namespace

class GrpcServer::Impl : public grpc::CallbackGenericService {
 public:
  Impl(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, GrpcServerOptions options)
      : methods_(methods), calls_(live, methods, log, options.script, std::move(options.address)) {
    calls_.RefuseWrites(std::move(options.read_only));
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() override { Stop(0); }

  Status Start() {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(this);
    builder.SetMaxReceiveMessageSize(-1);
    builder.SetMaxSendMessageSize(-1);
    // As TiKV and PD: pings at any time, without calls too.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, std::numeric_limits<int>::max());
    server_ = builder.BuildAndStart();
    return server_ != nullptr ? Status::Ok() : Status::Environment("gRPC did not start a server");
  }

  void AddConnection(int descriptor) { grpc::AddInsecureChannelFromFd(server_.get(), descriptor); }

  void Stop(int grace_ms) {
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
      server_.reset();
    }
  }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    const std::string& path = context->method();
    if (path == kBatchCommandsPath && methods_->FindUnary("/tikvpb.Tikv/KvGet") != nullptr) {
      return ServeBatchCommands(&calls_, context);
    }
    if (path == kHealthCheckPath) {
      return Answer(context, grpc::ByteBuffer(&serving_, 1));
    }
    const std::optional<MethodTypes> types = FindMethod(path);
    if (types && methods_->FindStream(path) != nullptr) {
      return ServerStream(context, *types);
    }
    if (types && methods_->FindUnary(path) != nullptr) {
      return types->client_streaming ? MessageStream(context, *types) : Unary(context, *types);
    }
    return Refuse(context, grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "unknown method " + path));
  }

 private:
  static bool IgnoreMessage(const Exchange::Ptr&, grpc::ByteBuffer) { return false; }
  static void IgnoreHalfClose(const Exchange::Ptr&, bool) {}

  grpc::ServerGenericBidiReactor* Refuse(grpc::GenericCallbackServerContext* context, grpc::Status status) {
    Exchange::Ptr exchange = Exchange::Begin(context, &IgnoreMessage, &IgnoreHalfClose);
    Exchange* reactor = exchange.get();
    exchange->End(std::move(status));
    return reactor;
  }

  grpc::ServerGenericBidiReactor* Answer(grpc::GenericCallbackServerContext* context, grpc::ByteBuffer answer) {
    Exchange::Ptr exchange = Exchange::Begin(context, &IgnoreMessage, &IgnoreHalfClose);
    Exchange* reactor = exchange.get();
    exchange->Send(std::move(answer));
    exchange->End(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerGenericBidiReactor* Unary(grpc::GenericCallbackServerContext* context, const MethodTypes& types) {
    auto on_message = [this, types](const Exchange::Ptr& exchange, grpc::ByteBuffer bytes) {
      sim::MessagePtr request = Parse(*types.request, &bytes);
      if (request == nullptr) {
        exchange->End(Unreadable(types));
        return false;
      }
      calls_.Start(types.path, std::move(request), TimeoutOf(*exchange->context()), [exchange](Result<sim::MessagePtr> answer) {
        if (answer.ok()) {
          exchange->Send(Serialize(**answer));
          exchange->End(grpc::Status::OK);
        } else {
          exchange->End(ToGrpc(answer.error()));
        }
      });
      return false;
    };
    return Exchange::Begin(context, std::move(on_message), &NoRequest).get();
  }

  grpc::ServerGenericBidiReactor* MessageStream(grpc::GenericCallbackServerContext* context, const MethodTypes& types) {
    auto ordered = std::make_shared<OrderedCalls>(&calls_, types.path);
    auto on_message = [types, ordered](const Exchange::Ptr& exchange, grpc::ByteBuffer bytes) {
      sim::MessagePtr request = Parse(*types.request, &bytes);
      if (request == nullptr) {
        exchange->End(Unreadable(types));
        return false;
      }
      ordered->Add(exchange, std::move(request));
      return true;
    };
    auto on_half_close = [ordered](const Exchange::Ptr& exchange, bool) { ordered->Close(exchange); };
    return Exchange::Begin(context, std::move(on_message), std::move(on_half_close)).get();
  }

  grpc::ServerGenericBidiReactor* ServerStream(grpc::GenericCallbackServerContext* context, const MethodTypes& types) {
    auto on_message = [this, types](const Exchange::Ptr& exchange, grpc::ByteBuffer bytes) {
      sim::MessagePtr request = Parse(*types.request, &bytes);
      if (request == nullptr) {
        exchange->End(Unreadable(types));
        return false;
      }
      calls_.Open(types.path, std::move(request), TimeoutOf(*exchange->context()), std::make_shared<ExchangeSink>(calls_.live(), exchange));
      return false;
    };
    return Exchange::Begin(context, std::move(on_message), &NoRequest).get();
  }

  static void NoRequest(const Exchange::Ptr& exchange, bool got_none) {
    if (got_none) {
      exchange->End(grpc::Status(grpc::StatusCode::INTERNAL, "the call ended without a request"));
    }
  }
  static grpc::Status Unreadable(const MethodTypes& types) {
    return {grpc::StatusCode::INTERNAL, "cannot parse the request of " + types.path};
  }

  const sim::MethodTable* methods_;
  OutsideCalls calls_;
  grpc::Slice serving_{std::string(kServing)};
  std::unique_ptr<grpc::Server> server_;
};

GrpcServer::GrpcServer(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, GrpcServerOptions options)
    : impl_(std::make_unique<Impl>(live, methods, log, std::move(options))) {}
GrpcServer::~GrpcServer() = default;
Status GrpcServer::Start() { return impl_->Start(); }
void GrpcServer::AddConnection(int descriptor, const std::string&) { impl_->AddConnection(descriptor); }
void GrpcServer::Stop(int grace_ms) { impl_->Stop(grace_ms); }

}  // namespace kvjury::ports
