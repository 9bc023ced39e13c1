// OutsideCalls: puts calls that came through a socket into the world and brings the answers back.
//
// Each call has a label (call_script.h), on which faults hang as on those of simulated calls; delays become real time. A message of
// a server stream that a nudge holds back lets later ones pass, as the answer of a slow region does; the stream ends behind it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "fakes/base/bytes.h"
#include "fakes/ports/call_log.h"
#include "fakes/ports/call_script.h"
#include "fakes/ports/exchange.h"
#include "fakes/ports/live_world.h"

namespace kvjury::ports {

class OutsideCalls {
 public:
  using Done = std::function<void(Result<sim::MessagePtr>)>;

  /// All must outlive this.
  OutsideCalls(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, CallScript* script, sim::Address address);

  /// One unary call; `done` runs on the world's thread. Any thread.
  void Start(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  /// The same from the world's thread.
  void StartNow(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  /// A server stream; the next message is asked for when the one before is written. Any thread.
  void Open(std::string path, sim::MessagePtr request, Micros timeout_us, Exchange::Ptr exchange);

  /// From now on calls that would change data are refused with this sentence. Before the first call.
  void RefuseWrites(std::string sentence) { refusal_ = std::move(sentence); }
  [[nodiscard]] bool Serves(const std::string& path) const { return methods_->FindUnary(path) != nullptr; }
  LiveWorld* live() { return live_; }

 private:
  sim::Task<void> Unary(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  sim::Task<void> Stream(std::string path, sim::MessagePtr request, Micros timeout_us, Exchange::Ptr exchange);
  sim::Task<Status> Forward(const std::string& path, sim::StreamReader* reader, const Exchange::Ptr& exchange, WaitingCalls::Call* waiting);
  void Count(const std::string& path, std::chrono::steady_clock::time_point begun, bool ok);

  LiveWorld* live_;
  const sim::MethodTable* methods_;
  CallLog* log_;
  CallScript* script_;
  sim::Address address_;
  bool about_cluster_ = false;
  std::string refusal_;
};

/// The messages of one stream as calls, one after another, answers in order.
class OrderedCalls : public std::enable_shared_from_this<OrderedCalls> {
 public:
  OrderedCalls(OutsideCalls* calls, std::string path) : calls_(calls), path_(std::move(path)) {}
  void Add(const Exchange::Ptr& exchange, sim::MessagePtr request);
  /// The client sends no more: the stream ends when the last answer is out.
  void Close(const Exchange::Ptr& exchange);

 private:
  void Next(const Exchange::Ptr& exchange);

  OutsideCalls* calls_;
  std::string path_;
  // Only on the world's thread.
  std::deque<sim::MessagePtr> waiting_;
  bool running_ = false;
  bool closed_ = false;
};

}  // namespace kvjury::ports
