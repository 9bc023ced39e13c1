// OutsideCalls: puts calls that came through a socket into the world and brings the answers back.
//
// Each call gets a label made of names, "external/KvGet/region[/in]#3": the third outside KvGet on the region that starts at
// /in, so that the fault plan of a case strikes real clients' calls as it strikes simulated ones.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fakes/base/bytes.h"
#include "fakes/ports/call_log.h"
#include "fakes/ports/exchange.h"
#include "fakes/ports/live_world.h"

namespace kvjury::ports {

class OutsideCalls {
 public:
  using Done = std::function<void(Result<sim::MessagePtr>)>;

  /// The start key of a region by its id, as a user writes it; empty if there is none. Called on the world's thread.
  using RegionStart = std::function<Bytes(uint64_t region_id)>;

  OutsideCalls(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, sim::Address address, RegionStart region_start);

  /// One unary call; `done` runs on the world's thread. Any thread.
  void Start(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  /// The same from the world's thread.
  void StartNow(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  /// A server stream; the next message is asked for when the one before is written. Any thread.
  void Open(std::string path, sim::MessagePtr request, Micros timeout_us, Exchange::Ptr exchange);

  [[nodiscard]] bool Serves(const std::string& path) const { return methods_->FindUnary(path) != nullptr; }
  LiveWorld* live() { return live_; }

 private:
  sim::Task<void> Unary(std::string path, sim::MessagePtr request, Micros timeout_us, Done done);
  sim::Task<void> Stream(std::string path, sim::MessagePtr request, Micros timeout_us, Exchange::Ptr exchange);
  sim::Label NextLabel(const std::string& path, const google::protobuf::Message& request);
  void Count(const std::string& path, std::chrono::steady_clock::time_point begun, bool ok);

  LiveWorld* live_;
  const sim::MethodTable* methods_;
  CallLog* log_;
  sim::Address address_;
  RegionStart region_start_;
  bool about_cluster_ = false;
  sim::Label root_{"external"};
  std::map<std::pair<std::string, std::string>, uint64_t> numbers_;
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
