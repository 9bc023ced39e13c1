// One gRPC call of a client with messages as bytes, and what is under way in a channel.
//
// Included by the few files that include gRPC.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "fakes/sim/channel.h"

namespace kvjury::remote {

/// The calls that have not ended, so that all can be cancelled and waited for. Any thread.
///
/// A call holds its channel. Whoever lets go of a channel last ends gRPC's threads, which none of these threads may do: so a call is
/// gone before it counts as ended, and a channel's owner waits for all.
class CallsUnderWay {
 public:
  /// `owner` keeps the context alive.
  void Add(grpc::ClientContext* context, std::shared_ptr<void> owner);
  /// The last thing that a call does: it is gone afterwards, unless somebody else holds it.
  void Remove(grpc::ClientContext* context);
  void CancelAllAndWait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<grpc::ClientContext*, std::shared_ptr<void>> contexts_;
  size_t not_gone_ = 0;
};

/// Everything about a call but its messages.
struct CallTarget {
  std::shared_ptr<grpc::GenericStub> stub;
  std::string path;
  Micros timeout_us = 0;
  std::shared_ptr<CallsUnderWay> under_way;
  const google::protobuf::Message* response = nullptr;  // default instance
};

using OnAnswer = std::function<void(Result<sim::MessagePtr>)>;

/// `done` is called once, on a gRPC thread.
void StartUnary(const CallTarget& target, const google::protobuf::Message& request, OnAnswer done);

/// A stream with one request. Messages are asked for one by one. Any thread.
class MessageStream {
 public:
  static std::shared_ptr<MessageStream> Open(const CallTarget& target, const google::protobuf::Message& request);
  virtual ~MessageStream() = default;
  /// The next message, null at the proper end, or why it broke; on a gRPC thread or at once. One at a time.
  virtual void Read(OnAnswer done) = 0;
  /// Nobody will read any more. Idempotent.
  virtual void Close() = 0;
};

}  // namespace kvjury::remote
