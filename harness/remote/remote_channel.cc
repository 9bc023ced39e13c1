#include "harness/remote/remote_channel.h"

#include <google/protobuf/empty.pb.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <fstream>
#include <iterator>
#include <map>

#include "fakes/ports/messages.h"
#include "fakes/sim/http.h"
#include "harness/remote/grpc_calls.h"
#include "harness/remote/http_call.h"

namespace kvjury::remote {

namespace {

constexpr int kKeepaliveMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 3'000;
constexpr int kReconnectMinMs = 100;
constexpr int kReconnectMaxMs = 3'000;

void NoLog(gpr_log_func_args*) {}

Result<std::string> ReadPem(const std::string& path) {
  if (path.empty()) {
    return std::string();
  }
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.good() && !file.eof()) {
    return Status::Environment("cannot read \"" + path + "\"");
  }
  if (text.find("-----BEGIN ") == std::string::npos) {
    return Status::Environment("\"" + path + "\" is no PEM file");
  }
  return text;
}

grpc::ChannelArguments ArgumentsOfChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMinMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

using Answer = sim::OneShot<Result<sim::MessagePtr>>;

// Brings an answer from gRPC's thread into the world.
OnAnswer IntoWorld(ports::LiveWorld* live, std::shared_ptr<Answer> answer) {
  return [live, answer = std::move(answer)](Result<sim::MessagePtr> result) {
    live->Post([answer, result = std::move(result)]() { answer->Set(result); });
  };
}

class Reader : public sim::StreamReader {
 public:
  Reader(ports::LiveWorld* live, std::shared_ptr<MessageStream> stream) : live_(live), stream_(std::move(stream)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() override { stream_->Close(); }

  sim::Task<Result<sim::MessagePtr>> Next() override {
    auto answer = std::make_shared<Answer>(&live_->world().scheduler());
    stream_->Read(IntoWorld(live_, answer));
    co_return co_await *answer;
  }

 private:
  ports::LiveWorld* live_;
  std::shared_ptr<MessageStream> stream_;
};

}  // namespace

class RemoteChannel::Impl {
 public:
  Impl(ports::LiveWorld* live, ports::TlsFiles tls, std::shared_ptr<grpc::ChannelCredentials> credentials)
      : live_(live), tls_(std::move(tls)), credentials_(std::move(credentials)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { under_way_->CancelAllAndWait(); }

  ports::LiveWorld* live() { return live_; }
  [[nodiscard]] const ports::TlsFiles& tls() const { return tls_; }

  // Only on the world's thread.
  CallTarget TargetOf(const std::string& path, const sim::Address& to, Micros timeout_us, bool* message_stream) {
    std::shared_ptr<grpc::GenericStub>& stub = stubs_[to];
    if (stub == nullptr) {
      stub = std::make_shared<grpc::GenericStub>(grpc::CreateCustomChannel(to, credentials_, ArgumentsOfChannel()));
    }
    const std::optional<ports::MethodTypes> types = ports::FindMethod(path);
    *message_stream = types && types->client_streaming;
    const google::protobuf::Message* response = types ? types->response : &google::protobuf::Empty::default_instance();
    return {stub, path, timeout_us, under_way_, response};
  }

 private:
  ports::LiveWorld* live_;
  ports::TlsFiles tls_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::shared_ptr<CallsUnderWay> under_way_ = std::make_shared<CallsUnderWay>();
  std::map<sim::Address, std::shared_ptr<grpc::GenericStub>> stubs_;
};

Result<std::unique_ptr<RemoteChannel>> RemoteChannel::Create(ports::LiveWorld* live, const ports::TlsFiles& tls) {
  gpr_set_log_function(&NoLog);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!tls.ca.empty()) {
    grpc::SslCredentialsOptions options;
    ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(tls.ca));
    ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem(tls.certificate));
    ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(tls.key));
    credentials = grpc::SslCredentials(options);
  }
  return std::unique_ptr<RemoteChannel>(new RemoteChannel(std::make_unique<Impl>(live, tls, std::move(credentials))));
}

RemoteChannel::RemoteChannel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RemoteChannel::~RemoteChannel() = default;

sim::Task<Result<sim::MessagePtr>> RemoteChannel::CallRaw(const char* path, sim::Address to, sim::MessagePtr request,
                                                          sim::CallOptions options) {
  if (std::string_view(path) == sim::kHttp.path) {
    auto result = std::make_shared<Result<::http::Response>>(Status::Unavailable("not asked"));
    auto asked = std::static_pointer_cast<const ::http::Request>(std::move(request));
    auto exchange = impl_->live()->world().Offload([result, asked, to, tls = impl_->tls(), timeout_us = options.timeout_us]() {
      *result = HttpCall(to, *asked, tls, timeout_us);
    });
    co_await std::move(exchange);
    CO_RETURN_IF_ERROR(result->status());
    co_return sim::MessagePtr(std::make_shared<const ::http::Response>(**std::move(result)));
  }
  bool message_stream = false;
  const CallTarget target = impl_->TargetOf(path, to, options.timeout_us, &message_stream);
  auto answer = std::make_shared<Answer>(&impl_->live()->world().scheduler());
  if (!message_stream) {
    StartUnary(target, *request, IntoWorld(impl_->live(), answer));
    co_return co_await *answer;
  }
  Reader reader(impl_->live(), MessageStream::Open(target, *request));
  sim::Task<Result<sim::MessagePtr>> reading = reader.Next();
  Result<sim::MessagePtr> next = co_await std::move(reading);
  if (next.ok() && *next == nullptr) {
    co_return Status::Unavailable("the stream " + target.path + " ended without an answer");
  }
  co_return next;
}

sim::Task<Result<std::unique_ptr<sim::StreamReader>>> RemoteChannel::OpenRaw(const char* path, sim::Address to,
                                                                             sim::MessagePtr request, sim::CallOptions options) {
  bool message_stream = false;
  const CallTarget target = impl_->TargetOf(path, to, options.timeout_us, &message_stream);
  co_return std::unique_ptr<sim::StreamReader>(new Reader(impl_->live(), MessageStream::Open(target, *request)));
}

}  // namespace kvjury::remote
