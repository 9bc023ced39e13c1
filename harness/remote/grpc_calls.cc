#include "harness/remote/grpc_calls.h"

#include <grpcpp/support/client_callback.h>

#include <chrono>

#include "fakes/base/handover.h"
#include "fakes/ports/messages.h"

namespace kvjury::remote {

namespace {

std::chrono::system_clock::time_point DeadlineIn(Micros timeout_us) {
  return std::chrono::system_clock::now() + std::chrono::microseconds(timeout_us);
}

Result<sim::MessagePtr> ParseAnswer(const CallTarget& target, grpc::ByteBuffer* bytes) {
  sim::MessagePtr message = ports::Parse(*target.response, bytes);
  if (message == nullptr) {
    return Status::DataLoss("the answer of " + target.path + " is no message of its type");
  }
  return message;
}

// As calls that are under way these live until gRPC is through with them.
class Unary : public grpc::ClientUnaryReactor {
 public:
  Unary(CallTarget target, grpc::ByteBuffer request, OnAnswer done)
      : target_(std::move(target)), request_(std::move(request)), done_(std::move(done)) {}
  Unary(const Unary&) = delete;
  Unary& operator=(const Unary&) = delete;

  void Begin(const std::shared_ptr<Unary>& self) {
    context_.set_deadline(DeadlineIn(target_.timeout_us));
    target_.under_way->Add(&context_, self);
    target_.stub->PrepareUnaryCall(&context_, target_.path, {}, &request_, &response_, this);
    HandOver(this);
    StartCall();
  }

 private:
  void OnDone(const grpc::Status& status) override {
    const InCallback callback(this);
    done_(status.ok() ? ParseAnswer(target_, &response_) : Result<sim::MessagePtr>(ports::FromGrpc(status)));
    const std::shared_ptr<CallsUnderWay> under_way = target_.under_way;  // it outlives this
    under_way->Remove(&context_);
  }

  const CallTarget target_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  const OnAnswer done_;
};

class Stream : public MessageStream, public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Stream(CallTarget target) : target_(std::move(target)) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void Begin(const std::shared_ptr<Stream>& self, grpc::ByteBuffer request) {
    request_ = std::move(request);
    context_.set_deadline(DeadlineIn(target_.timeout_us));
    target_.under_way->Add(&context_, self);
    target_.stub->PrepareBidiStreamingCall(&context_, target_.path, {}, this);
    AddHold();  // reads are asked for from outside of gRPC's callbacks
    HandOver(this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartCall();
  }

  void Read(OnAnswer done) override {
    std::unique_lock lock(mutex_);
    if (end_) {
      lock.unlock();
      done(*end_);
      return;
    }
    waiting_ = std::move(done);
    if (held_) {
      HandOver(this);
      StartRead(&incoming_);
    }
  }

  void Close() override {
    std::unique_lock lock(mutex_);
    const bool ended = end_.has_value();
    lock.unlock();
    if (!ended) {
      context_.TryCancel();
    }
    ReleaseHold();
  }

 private:
  void ReleaseHold() {
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(held_, false)) {
        return;
      }
    }
    RemoveHold();
  }

  void OnReadDone(bool ok) override {
    const InCallback callback(this);
    if (!ok) {
      ReleaseHold();
      return;  // OnDone tells why
    }
    OnAnswer done;
    {
      const std::lock_guard lock(mutex_);
      done = std::exchange(waiting_, {});
    }
    done(ParseAnswer(target_, &incoming_));
  }

  void OnDone(const grpc::Status& status) override {
    const InCallback callback(this);
    OnAnswer done;
    {
      const std::lock_guard lock(mutex_);
      end_ = status.ok() ? Result<sim::MessagePtr>(sim::MessagePtr()) : Result<sim::MessagePtr>(ports::FromGrpc(status));
      done = std::exchange(waiting_, {});
    }
    if (done) {
      done(*end_);
    }
    const std::shared_ptr<CallsUnderWay> under_way = target_.under_way;  // it outlives this
    under_way->Remove(&context_);
  }

  const CallTarget target_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer incoming_;
  std::mutex mutex_;
  bool held_ = true;
  OnAnswer waiting_;
  std::optional<Result<sim::MessagePtr>> end_;
};

}  // namespace

void CallsUnderWay::Add(grpc::ClientContext* context, std::shared_ptr<void> owner) {
  const std::lock_guard lock(mutex_);
  contexts_.emplace(context, std::move(owner));
  ++not_gone_;
}

void CallsUnderWay::Remove(grpc::ClientContext* context) {
  std::unique_lock lock(mutex_);
  const auto found = contexts_.find(context);
  CHECK(found != contexts_.end());
  std::shared_ptr<void> owner = std::move(found->second);
  contexts_.erase(found);
  lock.unlock();
  owner.reset();
  lock.lock();
  --not_gone_;
  changed_.notify_all();
}

void CallsUnderWay::CancelAllAndWait() {
  std::unique_lock lock(mutex_);
  std::map<grpc::ClientContext*, std::shared_ptr<void>> all = contexts_;
  lock.unlock();  // a call may end, and tell so, inside of TryCancel
  for (const auto& [context, owner] : all) {
    context->TryCancel();
  }
  all.clear();
  lock.lock();
  changed_.wait(lock, [this]() { return not_gone_ == 0; });
}

void StartUnary(const CallTarget& target, const google::protobuf::Message& request, OnAnswer done) {
  const auto call = std::make_shared<Unary>(target, ports::Serialize(request), std::move(done));
  call->Begin(call);
}

std::shared_ptr<MessageStream> MessageStream::Open(const CallTarget& target, const google::protobuf::Message& request) {
  auto stream = std::make_shared<Stream>(target);
  stream->Begin(stream, ports::Serialize(request));
  return stream;
}

}  // namespace kvjury::remote
