#include "fakes/ports/ordered_calls.h"

#include "fakes/ports/messages.h"

namespace kvjury::ports {

void OrderedCalls::Add(const Exchange::Ptr& exchange, sim::MessagePtr request) {
  calls_->live()->Post([self = shared_from_this(), exchange, request = std::move(request)]() mutable {
    self->waiting_.push_back(std::move(request));
    if (!self->running_) {
      self->Next(exchange);
    }
  });
}

void OrderedCalls::Close(const Exchange::Ptr& exchange) {
  calls_->live()->Post([self = shared_from_this(), exchange]() {
    self->closed_ = true;
    if (!self->running_) {
      exchange->End(grpc::Status::OK);
    }
  });
}

void OrderedCalls::Next(const Exchange::Ptr& exchange) {
  if (waiting_.empty() || exchange->ended()) {
    running_ = false;
    if (closed_) {
      exchange->End(grpc::Status::OK);
    }
    return;
  }
  running_ = true;
  sim::MessagePtr request = std::move(waiting_.front());
  waiting_.pop_front();
  constexpr Micros kTimeoutUs = 60'000'000;
  calls_->StartNow(path_, std::move(request), kTimeoutUs, [self = shared_from_this(), exchange](Result<sim::MessagePtr> answer) {
    if (!answer.ok()) {
      exchange->End(ToGrpc(answer.error()));
    } else {
      exchange->Send(Serialize(**answer));
    }
    self->Next(exchange);
  });
}

}  // namespace kvjury::ports
