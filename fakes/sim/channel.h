// Channel: how a client reaches a service, and methods as typed constants.
//
// The fakes' API is the wire API: a call carries a protobuf request to an address and brings back a response or a Status
// with the meaning of a gRPC code. In the simulation the fabric stands behind it, elsewhere real gRPC. Requests and
// responses are shared const objects: nobody may change one after it was sent.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/sim/label.h"
#include "fakes/sim/scheduler.h"
#include "fakes/sim/task.h"

namespace kvjury::sim {

using MessagePtr = std::shared_ptr<const google::protobuf::Message>;

/// Where a service answers: "pd", "store-1" in the simulation, host:port elsewhere.
using Address = std::string;

template <class RequestType, class ResponseType>
struct UnaryMethod {
  using Request = RequestType;
  using Response = ResponseType;
  const char* path;  // "/tikvpb.Tikv/KvGet"
};

template <class RequestType, class ResponseType>
struct ServerStreamMethod {
  using Request = RequestType;
  using Response = ResponseType;
  const char* path;
};

struct CallOptions {
  /// The stable name of this message, attempt included.
  Label label;
  /// The caller gives up after this much virtual time.
  Micros timeout_us = 20'000'000;
};

/// What a handler knows about the call.
struct CallContext {
  Label label;
  Address from;
  Address to;
  /// Virtual time at which the caller gives up.
  Micros deadline_us = 0;
};

/// Reads the messages of a server stream in order.
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  /// The next message, null at the proper end, or the Status that broke the stream. Suspends.
  virtual Task<Result<MessagePtr>> Next() = 0;
};

class Channel {
 public:
  virtual ~Channel() = default;
  /// One unary call. Errors: kUnavailable (not reached, or the connection broke: the effect may have taken place),
  /// kDeadlineExceeded (likewise), kCancelled, kRejected (an application error in gRPC's own form). Suspends.
  virtual Task<Result<MessagePtr>> CallRaw(const char* path, Address to, MessagePtr request, CallOptions options) = 0;
  /// Opens a server stream. Errors as above, on opening or later from the reader.
  virtual Task<Result<std::unique_ptr<StreamReader>>> OpenRaw(const char* path, Address to, MessagePtr request,
                                                              CallOptions options) = 0;
};

/// Typed form of Channel::CallRaw.
template <class Request, class Response>
Task<Result<std::shared_ptr<const Response>>> Call(Channel* channel, UnaryMethod<Request, Response> method, Address to,
                                                   Request request, CallOptions options) {
  MessagePtr message = std::make_shared<const Request>(std::move(request));
  Task<Result<MessagePtr>> call = channel->CallRaw(method.path, std::move(to), std::move(message), std::move(options));
  Result<MessagePtr> answer = co_await std::move(call);
  if (!answer.ok()) {
    co_return answer.error();
  }
  co_return std::static_pointer_cast<const Response>(*std::move(answer));
}

/// The writing end of a server stream, given to its handler.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  /// Sends one message. Errors: kUnavailable when the reader is gone; the handler should end then. May suspend.
  virtual Task<Status> Write(MessagePtr message) = 0;
};

/// The handlers of one address, by method path.
class MethodTable {
 public:
  using UnaryHandler = std::function<Task<Result<MessagePtr>>(MessagePtr, CallContext)>;
  using StreamHandler = std::function<Task<Status>(MessagePtr, CallContext, StreamWriter*)>;

  /// `handler` is a member `Task<Result<Response>> (Service::*)(std::shared_ptr<const Request>, CallContext)`. A Status it
  /// returns is a transport error for the caller; protocol errors belong into the response. `service` must outlive the table.
  template <class Request, class Response, class Service>
  void Add(UnaryMethod<Request, Response> method, Service* service,
           Task<Result<Response>> (Service::*handler)(std::shared_ptr<const Request>, CallContext)) {
    unary_[method.path] = [service, handler](MessagePtr request, CallContext context) {
      return Unary<Request, Response, Service>(service, handler, std::move(request), std::move(context));
    };
  }
  /// The same for `Task<Status> (Service::*)(std::shared_ptr<const Request>, CallContext, StreamWriter*)`.
  template <class Request, class Response, class Service>
  void Add(ServerStreamMethod<Request, Response> method, Service* service,
           Task<Status> (Service::*handler)(std::shared_ptr<const Request>, CallContext, StreamWriter*)) {
    stream_[method.path] = [service, handler](MessagePtr request, CallContext context, StreamWriter* writer) {
      return (service->*handler)(std::static_pointer_cast<const Request>(std::move(request)), std::move(context), writer);
    };
  }

  [[nodiscard]] const UnaryHandler* FindUnary(std::string_view path) const {
    auto found = unary_.find(path);
    return found == unary_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const StreamHandler* FindStream(std::string_view path) const {
    auto found = stream_.find(path);
    return found == stream_.end() ? nullptr : &found->second;
  }

 private:
  template <class Request, class Response, class Service>
  static Task<Result<MessagePtr>> Unary(Service* service,
                                        Task<Result<Response>> (Service::*handler)(std::shared_ptr<const Request>,
                                                                                   CallContext),
                                        MessagePtr request, CallContext context) {
    std::shared_ptr<const Request> typed = std::static_pointer_cast<const Request>(std::move(request));
    Task<Result<Response>> call = (service->*handler)(std::move(typed), std::move(context));
    Result<Response> response = co_await std::move(call);
    if (!response.ok()) {
      co_return response.error();
    }
    co_return MessagePtr(std::make_shared<const Response>(*std::move(response)));
  }

  std::map<std::string, UnaryHandler, std::less<>> unary_;
  std::map<std::string, StreamHandler, std::less<>> stream_;
};

}  // namespace kvjury::sim
