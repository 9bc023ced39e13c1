// Exchange: one gRPC call on the server side, with messages as bytes, whatever its kind.
//
// Reads one message at a time and hands it on; writes what it is given, one after another, while reading goes on. May be
// answered from any thread, also after the client has gone: then nothing happens.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace kvjury::ports {

class Exchange : public grpc::ServerGenericBidiReactor {
 public:
  using Ptr = std::shared_ptr<Exchange>;
  /// Called with each message on a gRPC thread, in order; must not block. Returns whether to read another one at once.
  using OnMessage = std::function<bool(const Ptr&, grpc::ByteBuffer)>;
  /// Called once when the client will send no more: `got_none` if it never sent anything.
  using OnHalfClose = std::function<void(const Ptr&, bool got_none)>;
  /// Makes what is to be written next when the writer is free; false if there is nothing.
  using Fill = std::function<bool(grpc::ByteBuffer*)>;

  /// `fill` may be empty; otherwise it is asked whenever the writer is free and Refill was called.
  static Ptr Begin(grpc::GenericCallbackServerContext* context, OnMessage on_message, OnHalfClose on_half_close, Fill fill = {});

  [[nodiscard]] grpc::GenericCallbackServerContext* context() const { return context_; }
  [[nodiscard]] std::chrono::steady_clock::time_point begun() const { return begun_; }

  /// `written` is called once it is written or will never be; not if the exchange has ended before.
  void Send(grpc::ByteBuffer message, std::function<void()> written = {});
  /// There is something to fill a message with.
  void Refill();
  /// Ends the call once everything that was sent is written. The first status wins.
  void End(grpc::Status status);
  [[nodiscard]] bool ended() const;
  /// The client has cancelled, or its connection is gone.
  [[nodiscard]] bool cancelled() const { return context_->IsCancelled(); }

 private:
  struct Outgoing {
    grpc::ByteBuffer message;
    std::function<void()> written;
  };
  Exchange(grpc::GenericCallbackServerContext* context, OnMessage on_message, OnHalfClose on_half_close, Fill fill);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  void Advance(std::unique_lock<std::mutex>* lock);
  static void Forget(const std::deque<Outgoing>& never);

  grpc::GenericCallbackServerContext* context_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  OnMessage on_message_;
  OnHalfClose on_half_close_;
  Fill fill_;
  Ptr self_;
  grpc::ByteBuffer incoming_;
  bool got_any_ = false;
  mutable std::mutex mutex_;
  std::deque<Outgoing> outgoing_;
  Outgoing writing_;
  bool write_pending_ = false;
  bool refill_ = false;
  bool ending_ = false;
  bool finished_ = false;
  grpc::Status status_;
};

}  // namespace kvjury::ports
