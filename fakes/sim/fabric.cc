#include "fakes/sim/fabric.h"

#include <algorithm>
#include <deque>

namespace kvjury::sim {

namespace {

// One call in this many is serialised and parsed.
constexpr uint64_t kHonestShare = 20;

}  // namespace

// One call on its way. The answer is set once: by the reply, by a lost message's deadline, or by the peer going down.
struct Fabric::PendingCall {
  PendingCall(Scheduler* scheduler, uint64_t order) : answer(scheduler, order) {}
  const char* path = nullptr;
  CallContext context;
  Peer* peer = nullptr;  // of context.to; peers stay where they are
  MessagePtr request;
  FaultPlan::MessageFate fate;
  uint64_t incarnation = 0;
  std::shared_ptr<SimStream> stream;
  OneShot<Result<MessagePtr>> answer;
};

// Both ends of one server stream. Messages arrive in order, each by an event of its own.
class Fabric::SimStream : public StreamWriter, public std::enable_shared_from_this<Fabric::SimStream> {
 public:
  SimStream(Fabric* fabric, CallContext context, const char* path)
      : fabric_(fabric), context_(std::move(context)), path_(path), arrived_(fabric->scheduler_) {}

  Task<Status> Write(MessagePtr message) override {
    const Label label = context_.label.Numbered("message", ++written_);
    const FaultPlan::MessageFate fate = fabric_->Fate(path_, context_.to, message, label);
    if (broken_ || reader_gone_) {
      co_return Status::Unavailable("the stream is closed");
    }
    if (fate.reset_stream || fate.lose_reply || fate.lose_request) {
      Break(Status::Unavailable("stream reset"));
      co_return Status::Unavailable("stream reset");
    }
    Send(fabric_->KeepHonest(std::move(message), label), fate.delay_us);
    co_return Status::Ok();
  }

  /// The handler ended: null message for a proper end, else the Status.
  void End(Status status) {
    if (!status.ok()) {
      Break(std::move(status));
    } else {
      Send(nullptr, 0);
    }
  }
  void Break(Status status) {
    if (broken_) {
      return;
    }
    broken_ = true;
    Arrive(fabric_->options_.latency_us, std::move(status));
  }
  void ReaderGone() { reader_gone_ = true; }

  Task<Result<MessagePtr>> Next() {
    while (queue_.empty()) {
      if (fabric_->scheduler_->now_us() >= context_.deadline_us) {
        co_return Status::DeadlineExceeded(std::string(path_) + " at " + context_.to);
      }
      co_await arrived_.Wait();
    }
    Result<MessagePtr> next = std::move(queue_.front());
    queue_.pop_front();
    co_return next;
  }

 private:
  void Send(MessagePtr message, Micros delay_us) {
    Arrive(fabric_->options_.latency_us + delay_us, std::move(message));
  }
  void Arrive(Micros delay_us, Result<MessagePtr> item) {
    // In order: nothing overtakes an earlier message of the stream, so all have the stream's own order key.
    const Micros now_us = fabric_->scheduler_->now_us();
    last_arrival_us_ = std::max(last_arrival_us_, now_us + delay_us);
    auto self = shared_from_this();
    auto shared_item = std::make_shared<Result<MessagePtr>>(std::move(item));
    fabric_->scheduler_->After(last_arrival_us_ - now_us, context_.label.hash(), [self, shared_item]() {
      self->queue_.push_back(std::move(*shared_item));
      self->arrived_.NotifyAll();
    });
  }

  Fabric* fabric_;
  CallContext context_;
  const char* path_;
  Notifier arrived_;
  std::deque<Result<MessagePtr>> queue_;
  uint64_t written_ = 0;
  Micros last_arrival_us_ = 0;
  bool broken_ = false;
  bool reader_gone_ = false;
};

namespace {

template <class Stream>
class SharedReader : public StreamReader {
 public:
  explicit SharedReader(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  ~SharedReader() override { stream_->ReaderGone(); }
  SharedReader(const SharedReader&) = delete;
  SharedReader& operator=(const SharedReader&) = delete;
  Task<Result<MessagePtr>> Next() override { return stream_->Next(); }

 private:
  std::shared_ptr<Stream> stream_;
};

}  // namespace

class Fabric::ClientChannel : public Channel {
 public:
  ClientChannel(Fabric* fabric, Address from) : fabric_(fabric), from_(std::move(from)) {}
  Task<Result<MessagePtr>> CallRaw(const char* path, Address to, MessagePtr request, CallOptions options) override {
    return fabric_->Call(from_, path, std::move(to), std::move(request), std::move(options));
  }
  Task<Result<std::unique_ptr<StreamReader>>> OpenRaw(const char* path, Address to, MessagePtr request,
                                                      CallOptions options) override {
    return fabric_->Open(from_, path, std::move(to), std::move(request), std::move(options));
  }

 private:
  Fabric* fabric_;
  Address from_;
};

Fabric::Fabric(Scheduler* scheduler, FaultPlan* faults, EventLog* log, FabricOptions options)
    : scheduler_(scheduler), faults_(faults), log_(log), options_(options), handlers_(scheduler) {}

Fabric::~Fabric() = default;

void Fabric::Listen(const Address& address, const MethodTable* table) { peers_[address].table = table; }

void Fabric::SetDown(const Address& address, bool down) {
  Peer& peer = peers_[address];
  peer.down = down;
  if (!down) {
    return;
  }
  ++peer.incarnation;
  std::vector<PendingPtr> broken;
  for (const std::weak_ptr<PendingCall>& weak : in_flight_) {
    if (PendingPtr call = weak.lock(); call != nullptr && call->context.to == address) {
      broken.push_back(std::move(call));
    }
  }
  for (const PendingPtr& call : broken) {
    Break(call, Status::Unavailable(address + " went down"));
  }
}

void Fabric::PauseUntil(const Address& address, Micros until_us) {
  Peer& peer = peers_[address];
  peer.paused_until_us = std::max(peer.paused_until_us, until_us);
}

Channel* Fabric::ChannelFrom(const Address& from) {
  std::unique_ptr<ClientChannel>& channel = channels_[from];
  if (channel == nullptr) {
    channel = std::make_unique<ClientChannel>(this, from);
  }
  return channel.get();
}

FaultPlan::MessageFate Fabric::Fate(const char* path, const Address& to, const MessagePtr& request, const Label& label) {
  FaultSite site;
  site.label = label;
  site.to = to;
  site.method = path;
  site.request = request.get();
  return faults_->At(site);
}

MessagePtr Fabric::KeepHonest(MessagePtr message, const Label& label) const {
  if (message == nullptr || label.hash() % kHonestShare != 0) {
    return message;
  }
  std::shared_ptr<google::protobuf::Message> copy(message->New());
  const std::string bytes = message->SerializeAsString();
  CHECK(copy->ParseFromString(bytes)) << message->GetTypeName();
  return copy;
}

Task<Result<MessagePtr>> Fabric::Call(Address from, const char* path, Address to, MessagePtr request,
                                      CallOptions options) {
  ++calls_;
  const Label label = options.label;
  auto call = std::make_shared<PendingCall>(scheduler_, label.hash());
  call->path = path;
  call->context = CallContext{label, std::move(from), std::move(to), scheduler_->now_us() + options.timeout_us};
  call->peer = &peers_[call->context.to];
  call->request = KeepHonest(std::move(request), label);
  call->fate = Fate(path, call->context.to, call->request, label);
  log_->Add(log_->Component("fabric"), path, label.hash(), static_cast<uint64_t>(call->fate.delay_us));
  in_flight_.push_back(call);
  auto in_flight = std::prev(in_flight_.end());

  const Micros arrival_us = options_.latency_us + call->fate.delay_us;
  if (call->fate.lose_request) {
    scheduler_->After(options.timeout_us, label.hash(), [call]() {
      call->answer.Set(Status::DeadlineExceeded(std::string(call->path) + ": no answer from " + call->context.to));
    });
  } else {
    scheduler_->After(arrival_us, label.hash(), [this, call]() { Deliver(call, false); });
  }
  if (call->fate.duplicate_after_us >= 0) {
    scheduler_->After(arrival_us + call->fate.duplicate_after_us, label.hash(), [this, call]() { Deliver(call, true); });
  }
  Result<MessagePtr> answer = co_await call->answer;
  in_flight_.erase(in_flight);
  co_return answer;
}

Task<Result<std::unique_ptr<StreamReader>>> Fabric::Open(Address from, const char* path, Address to, MessagePtr request,
                                                         CallOptions options) {
  ++calls_;
  const Label label = options.label;
  auto call = std::make_shared<PendingCall>(scheduler_, label.hash());
  call->path = path;
  call->context = CallContext{label, std::move(from), std::move(to), scheduler_->now_us() + options.timeout_us};
  call->peer = &peers_[call->context.to];
  call->request = KeepHonest(std::move(request), label);
  call->fate = Fate(path, call->context.to, call->request, label);
  call->stream = std::make_shared<SimStream>(this, call->context, path);
  log_->Add(log_->Component("fabric"), path, label.hash(), static_cast<uint64_t>(call->fate.delay_us));
  in_flight_.push_back(call);
  if (call->fate.lose_request || call->fate.lose_reply || call->fate.reset_stream) {
    call->stream->Break(Status::Unavailable("stream reset"));
  } else {
    scheduler_->After(options_.latency_us + call->fate.delay_us, label.hash(), [this, call]() { Deliver(call, false); });
  }
  std::unique_ptr<StreamReader> reader = std::make_unique<SharedReader<SimStream>>(call->stream);
  co_return reader;
}

void Fabric::Deliver(PendingPtr call, bool duplicate) {
  const Peer& peer = *call->peer;
  if (peer.paused_until_us > scheduler_->now_us()) {
    scheduler_->After(peer.paused_until_us - scheduler_->now_us(), call->context.label.hash(),
                      [this, call, duplicate]() { Deliver(call, duplicate); });
    return;
  }
  if (peer.down || peer.table == nullptr) {
    if (!duplicate) {
      Break(call, Status::Unavailable(call->context.to + " is down"));
    }
    return;
  }
  call->incarnation = peer.incarnation;
  std::string name = call->context.to + " " + call->path;
  if (call->stream != nullptr) {
    handlers_.Spawn(std::move(name), RunStream(call, call->stream));
  } else {
    handlers_.Spawn(std::move(name), RunUnary(call, duplicate));
  }
}

Task<void> Fabric::RunUnary(PendingPtr call, bool duplicate) {
  const MethodTable::UnaryHandler* handler = call->peer->table->FindUnary(call->path);
  if (handler == nullptr) {
    Answer(call, Status::Unsupported(std::string(call->path) + " is not implemented at " + call->context.to));
    co_return;
  }
  Task<Result<MessagePtr>> running = (*handler)(call->request, call->context);
  Result<MessagePtr> answer = co_await std::move(running);
  const Peer& peer = *call->peer;
  if (duplicate || peer.incarnation != call->incarnation) {
    co_return;  // nobody waits for this answer: the second of two, or its sender died
  }
  if (call->fate.lose_reply) {
    const Micros wait_us = std::max<Micros>(call->context.deadline_us - scheduler_->now_us(), 0);
    scheduler_->After(wait_us, call->context.label.hash(), [call]() {
      call->answer.Set(Status::DeadlineExceeded(std::string(call->path) + ": no answer from " + call->context.to));
    });
    co_return;
  }
  Answer(call, std::move(answer));
}

Task<void> Fabric::RunStream(PendingPtr call, std::shared_ptr<SimStream> stream) {
  const MethodTable::StreamHandler* handler = call->peer->table->FindStream(call->path);
  if (handler == nullptr) {
    stream->End(Status::Unsupported(std::string(call->path) + " is not implemented at " + call->context.to));
    co_return;
  }
  Task<Status> running = (*handler)(call->request, call->context, stream.get());
  Status status = co_await std::move(running);
  if (call->peer->incarnation == call->incarnation) {
    stream->End(std::move(status));
  }
  in_flight_.remove_if([&call](const std::weak_ptr<PendingCall>& weak) { return weak.lock() == call || weak.expired(); });
}

void Fabric::Answer(const PendingPtr& call, Result<MessagePtr> answer) {
  if (answer.ok()) {
    answer = KeepHonest(*std::move(answer), call->context.label);
  }
  if (scheduler_->now_us() > call->context.deadline_us) {
    answer = Status::DeadlineExceeded(std::string(call->path) + " at " + call->context.to);
  }
  auto shared_answer = std::make_shared<Result<MessagePtr>>(std::move(answer));
  scheduler_->After(options_.latency_us, call->context.label.hash(),
                    [call, shared_answer]() { call->answer.Set(std::move(*shared_answer)); });
}

void Fabric::Break(const PendingPtr& call, Status status) {
  if (call->stream != nullptr) {
    call->stream->Break(std::move(status));
    return;
  }
  scheduler_->After(options_.latency_us, call->context.label.hash(),
                    [call, status]() { call->answer.Set(Result<MessagePtr>(status)); });
}

}  // namespace kvjury::sim
