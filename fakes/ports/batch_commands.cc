#include "fakes/ports/batch_commands.h"

#include <google/protobuf/descriptor.h>

#include "fakes/ports/exchange.h"
#include "fakes/ports/messages.h"
#include "fakes/ports/recorder.h"
#include "proto/tikv/tikvpb.pb.h"

namespace kvjury::ports {

namespace {

namespace protobuf = google::protobuf;

constexpr Micros kTimeoutUs = 60'000'000;
constexpr uint64_t kEmptyDelayMsMax = 60'000;

// By field number of a command: the path of its unary call.
std::map<int, std::string> CommandPaths() {
  const protobuf::Descriptor* request = tikvpb::BatchCommandsRequest::Request::descriptor();
  const protobuf::ServiceDescriptor* service = request->file()->FindServiceByName("Tikv");
  CHECK(service != nullptr);
  std::map<int, std::string> paths;
  for (int i = 0; i < request->field_count(); ++i) {
    for (int j = 0; j < service->method_count(); ++j) {
      const protobuf::MethodDescriptor* method = service->method(j);
      if (method->input_type() == request->field(i)->message_type() && !method->server_streaming()) {
        paths[request->field(i)->number()] = "/" + service->full_name() + "/" + method->name();
        break;
      }
    }
  }
  return paths;
}

// The answers that wait for the writer.
class Answers {
 public:
  void Add(uint64_t id, int field, const protobuf::Message* message) {
    const std::lock_guard lock(mutex_);
    tikvpb::BatchCommandsResponse::Response* response = batch_.add_responses();
    const protobuf::FieldDescriptor* descriptor = message != nullptr ? response->GetDescriptor()->FindFieldByNumber(field) : nullptr;
    if (descriptor != nullptr) {
      response->GetReflection()->MutableMessage(response, descriptor)->CopyFrom(*message);
    }  // else no command is set, which clients take for an unknown one
    if (response->has_gethealthfeedback()) {
      *batch_.mutable_health_feedback() = response->gethealthfeedback().health_feedback();
    }
    batch_.add_request_ids(id);
  }
  bool Take(grpc::ByteBuffer* bytes) {
    const std::lock_guard lock(mutex_);
    if (batch_.responses().empty()) {
      return false;
    }
    *bytes = Serialize(batch_);
    batch_.Clear();
    return true;
  }

 private:
  std::mutex mutex_;
  tikvpb::BatchCommandsResponse batch_;
};

struct Stream {
  OutsideCalls* calls;
  Answers answers;
  std::atomic<uint64_t> running{0};
  std::atomic<bool> closed{false};

  void EndIfDone(const Exchange::Ptr& exchange) {
    if (closed.load() && running.load() == 0) {
      exchange->End(grpc::Status::OK);
    }
  }
};
using StreamPtr = std::shared_ptr<Stream>;

void Answer(const StreamPtr& stream, const Exchange::Ptr& exchange, uint64_t id, int field, Result<sim::MessagePtr> answer) {
  if (!answer.ok() && answer.error().code() != StatusCode::kUnsupported) {
    exchange->End(ToGrpc(answer.error()));
  } else {
    stream->answers.Add(id, field, answer.ok() ? answer->get() : nullptr);
    exchange->Refill();
  }
  --stream->running;
  stream->EndIfDone(exchange);
}

// The one command that is no method: an echo, later if asked for.
void AnswerEmpty(const StreamPtr& stream, const Exchange::Ptr& exchange, uint64_t id, const tikvpb::BatchCommandsEmptyRequest& request) {
  auto response = std::make_shared<tikvpb::BatchCommandsEmptyResponse>();
  response->set_test_id(request.test_id());
  const Micros delay_us = static_cast<Micros>(std::min<uint64_t>(request.delay_time(), kEmptyDelayMsMax)) * 1000;
  LiveWorld* live = stream->calls->live();
  if (live->recorder() != nullptr) {
    live->recorder()->Echo(delay_us, id);
  }
  live->world().scheduler().After(delay_us, id, [stream, exchange, id, response]() {
    Answer(stream, exchange, id, tikvpb::BatchCommandsRequest::Request::kEmpty, Result<sim::MessagePtr>(sim::MessagePtr(response)));
  });
}

void Dispatch(const StreamPtr& stream, const Exchange::Ptr& exchange,
              const std::shared_ptr<const tikvpb::BatchCommandsRequest>& batch) {
  static const std::map<int, std::string> paths = CommandPaths();
  const int count = std::min(batch->requests_size(), batch->request_ids_size());
  for (int i = 0; i < count; ++i) {
    const tikvpb::BatchCommandsRequest::Request& request = batch->requests(i);
    const uint64_t id = batch->request_ids(i);
    const int field = request.cmd_case();
    const auto path = paths.find(field);
    ++stream->running;
    if (request.has_empty()) {
      AnswerEmpty(stream, exchange, id, request.empty());
      continue;
    }
    if (path == paths.end() || !stream->calls->Serves(path->second)) {
      Answer(stream, exchange, id, field, Result<sim::MessagePtr>(Status::Unsupported("no such command")));
      continue;
    }
    const protobuf::FieldDescriptor* descriptor = request.GetDescriptor()->FindFieldByNumber(field);
    // The command lives as long as its batch.
    sim::MessagePtr command(batch, &request.GetReflection()->GetMessage(request, descriptor));
    stream->calls->StartNow(path->second, std::move(command), kTimeoutUs,
                            [stream, exchange, id, field](Result<sim::MessagePtr> answer) {
                              Answer(stream, exchange, id, field, std::move(answer));
                            });
  }
}

}  // namespace

grpc::ServerGenericBidiReactor* ServeBatchCommands(OutsideCalls* calls, grpc::GenericCallbackServerContext* context) {
  auto stream = std::make_shared<Stream>();
  stream->calls = calls;
  auto on_message = [stream](const Exchange::Ptr& exchange, grpc::ByteBuffer bytes) {
    sim::MessagePtr message = Parse(tikvpb::BatchCommandsRequest::default_instance(), &bytes);
    if (message == nullptr) {
      exchange->End(grpc::Status(grpc::StatusCode::INTERNAL, "cannot parse a frame of BatchCommands"));
      return false;
    }
    auto batch = std::static_pointer_cast<const tikvpb::BatchCommandsRequest>(message);
    ++stream->running;  // the batch itself
    stream->calls->live()->Post([stream, exchange, batch = std::move(batch)]() {
      Dispatch(stream, exchange, batch);
      --stream->running;
      stream->EndIfDone(exchange);
    });
    return true;
  };
  auto on_half_close = [stream](const Exchange::Ptr& exchange, bool) {
    stream->closed = true;
    stream->EndIfDone(exchange);
  };
  Exchange::Ptr exchange = Exchange::Begin(context, std::move(on_message), std::move(on_half_close),
                                           [stream](grpc::ByteBuffer* bytes) { return stream->answers.Take(bytes); });
  return exchange.get();
}

}  // namespace kvjury::ports
