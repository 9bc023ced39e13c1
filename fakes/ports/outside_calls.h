// OutsideCalls: puts calls that came through a socket into the world and brings the answers back.
//
// Each call has a label (call_script.h), on which faults hang as on those of simulated calls; delays become real time. A message of
// a server stream that a nudge holds back lets later ones pass, as the answer of a slow region does; the stream ends behind it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fakes/base/bytes.h"
#include "fakes/ports/call_log.h"
#include "fakes/ports/call_script.h"
#include "fakes/ports/live_world.h"

namespace kvjury::ports {

/// Where the messages of a server stream go.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  /// Nobody takes any more messages.
  [[nodiscard]] virtual bool ended() const = 0;
  /// `written` is called on the world's thread, once, when the message is written or never will be; not if the stream has ended before.
  virtual void Send(const google::protobuf::Message& message, std::function<void()> written) = 0;
  virtual void End(const Status& status) = 0;
};

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
  void Open(std::string path, sim::MessagePtr request, Micros timeout_us, std::shared_ptr<StreamSink> sink);
  /// The same from the world's thread.
  void OpenNow(std::string path, sim::MessagePtr request, Micros timeout_us, std::shared_ptr<StreamSink> sink);

  /// From now on calls that would change data are refused with this sentence. Before the first call.
  void RefuseWrites(std::string sentence) { refusal_ = std::move(sentence); }
  [[nodiscard]] bool Serves(const std::string& path) const { return methods_->FindUnary(path) != nullptr; }
  LiveWorld* live() { return live_; }

 private:
  sim::Task<void> Unary(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  struct Messages;
  sim::Task<void> Stream(std::string path, sim::MessagePtr request, Micros timeout_us, std::shared_ptr<Messages> messages);
  sim::Task<Status> Forward(const std::string& path, sim::StreamReader* reader, const std::shared_ptr<Messages>& messages,
                            WaitingCalls::Call* waiting);
  void Count(const std::string& path, std::chrono::steady_clock::time_point begun, bool ok);

  LiveWorld* live_;
  const sim::MethodTable* methods_;
  CallLog* log_;
  CallScript* script_;
  sim::Address address_;
  bool about_cluster_ = false;
  std::string refusal_;
};

}  // namespace kvjury::ports
