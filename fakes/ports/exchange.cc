#include "fakes/ports/exchange.h"

#include "fakes/base/handover.h"

namespace kvjury::ports {

Exchange::Exchange(grpc::GenericCallbackServerContext* context, OnMessage on_message, OnHalfClose on_half_close,
                   Fill fill)
    : context_(context), on_message_(std::move(on_message)), on_half_close_(std::move(on_half_close)), fill_(std::move(fill)) {}

Exchange::Ptr Exchange::Begin(grpc::GenericCallbackServerContext* context, OnMessage on_message, OnHalfClose on_half_close,
                              Fill fill) {
  Ptr exchange(new Exchange(context, std::move(on_message), std::move(on_half_close), std::move(fill)));
  exchange->self_ = exchange;  // until OnDone
  HandOver(exchange.get());
  exchange->StartRead(&exchange->incoming_);
  return exchange;
}

void Exchange::OnReadDone(bool ok) {
  const InCallback callback(this);
  const Ptr self = self_;
  if (!ok) {
    on_half_close_(self, !got_any_);
    return;
  }
  got_any_ = true;
  grpc::ByteBuffer message;
  message.Swap(&incoming_);
  if (on_message_(self, std::move(message)) && !ended()) {
    HandOver(this);
    StartRead(&incoming_);
  }
}

void Exchange::Send(grpc::ByteBuffer message, std::function<void()> written) {
  std::unique_lock lock(mutex_);
  if (ending_) {
    return;
  }
  outgoing_.push_back({std::move(message), std::move(written)});
  Advance(&lock);
}

void Exchange::Refill() {
  std::unique_lock lock(mutex_);
  refill_ = true;
  Advance(&lock);
}

void Exchange::End(grpc::Status status) {
  std::unique_lock lock(mutex_);
  if (ending_) {
    return;
  }
  ending_ = true;
  status_ = std::move(status);
  Advance(&lock);
}

bool Exchange::ended() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

void Exchange::Advance(std::unique_lock<std::mutex>* lock) {
  if (write_pending_ || finished_) {
    return;
  }
  if (outgoing_.empty() && refill_ && !ending_) {
    refill_ = false;
    grpc::ByteBuffer message;
    if (fill_(&message)) {
      outgoing_.push_back({std::move(message), {}});
    }
  }
  if (!outgoing_.empty()) {
    writing_ = std::move(outgoing_.front());
    outgoing_.pop_front();
    write_pending_ = true;
    HandOver(this);
    lock->unlock();
    StartWrite(&writing_.message);
    return;
  }
  if (ending_) {
    finished_ = true;
    const grpc::Status status = status_;
    HandOver(this);
    lock->unlock();
    Finish(status);
  }
}

void Exchange::OnWriteDone(bool ok) {
  const InCallback callback(this);
  const Ptr self = self_;
  std::unique_lock lock(mutex_);
  write_pending_ = false;
  std::function<void()> written = std::move(writing_.written);
  writing_ = {};
  const std::deque<Outgoing> never = ok ? std::deque<Outgoing>() : std::exchange(outgoing_, {});
  if (!ok) {
    if (!ending_) {
      ending_ = true;
      status_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the client is gone");
    }
  }
  Advance(&lock);
  if (lock.owns_lock()) {
    lock.unlock();
  }
  if (written) {
    written();
  }
  Forget(never);
}

void Exchange::Forget(const std::deque<Outgoing>& never) {
  for (const Outgoing& outgoing : never) {
    if (outgoing.written) {
      outgoing.written();
    }
  }
}

void Exchange::OnCancel() {
  const InCallback callback(this);
  std::unique_lock lock(mutex_);
  const std::deque<Outgoing> never = std::exchange(outgoing_, {});
  if (!ending_) {
    ending_ = true;
    status_ = grpc::Status(grpc::StatusCode::CANCELLED, "cancelled by the client");
  }
  Advance(&lock);
  if (lock.owns_lock()) {
    lock.unlock();
  }
  Forget(never);
}

void Exchange::OnDone() {
  const InCallback callback(this);
  // Whoever still holds the exchange may call it; it does nothing any more. Callbacks may hold it in turn: let go of them.
  on_message_ = {};
  on_half_close_ = {};
  Ptr last = std::move(self_);
  std::unique_lock lock(mutex_);
  fill_ = {};
  const std::deque<Outgoing> never = std::exchange(outgoing_, {});
  lock.unlock();
  Forget(never);
}

}  // namespace kvjury::ports
