// Fabric: the simulated network. Carries calls between addresses with fixed latencies, and carries message faults out.
//
// Modelled: latency by kind of link; delay, loss of the request, loss of the reply after the effect took place, a duplicate
// that arrives later, a stream reset in mid-stream; addresses that are down (UNAVAILABLE after a latency; calls in flight to
// an address that goes down end with UNAVAILABLE) or paused (messages wait). Each is counted by the fault plan.
// Not modelled: a deadline that ends a call while its handler still runs: the caller then learns it when the handler ends;
// bandwidth; half-open connections. Handlers therefore bound their own waits.
// One call in twenty is serialised and parsed, to keep the messages honest.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "fakes/sim/channel.h"
#include "fakes/sim/event_log.h"
#include "fakes/sim/faults.h"
#include "fakes/sim/scheduler.h"

namespace kvjury::sim {

struct FabricOptions {
  /// One way, by default.
  Micros latency_us = 250;
};

class Fabric {
 public:
  Fabric(Scheduler* scheduler, FaultPlan* faults, EventLog* log, FabricOptions options);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  /// Lets `table` answer at `address`. The table must outlive the fabric.
  void Listen(const Address& address, const MethodTable* table);

  /// The address stops answering; calls in flight to it end with UNAVAILABLE.
  void SetDown(const Address& address, bool down);
  /// Messages to the address are held back until `until_us`.
  void PauseUntil(const Address& address, Micros until_us);

  /// The channel of one client. Lives as long as the fabric.
  Channel* ChannelFrom(const Address& from);

  [[nodiscard]] uint64_t calls() const { return calls_; }
  /// Ends when no handler runs any more. Suspends.
  Task<void> Join() { return handlers_.Join(); }
  [[nodiscard]] std::vector<std::string> running_names() const { return handlers_.running_names(); }

 private:
  class ClientChannel;
  class SimStream;
  struct Peer {
    const MethodTable* table = nullptr;
    bool down = false;
    uint64_t incarnation = 0;
    Micros paused_until_us = 0;
  };
  struct PendingCall;
  using PendingPtr = std::shared_ptr<PendingCall>;

  Task<Result<MessagePtr>> Call(Address from, const char* path, Address to, MessagePtr request, CallOptions options);
  Task<Result<std::unique_ptr<StreamReader>>> Open(Address from, const char* path, Address to, MessagePtr request,
                                                   CallOptions options);
  FaultPlan::MessageFate Fate(const char* path, const Address& to, const MessagePtr& request, const Label& label);
  MessagePtr KeepHonest(MessagePtr message, const Label& label) const;
  void Deliver(PendingPtr call, bool duplicate);
  Task<void> RunUnary(PendingPtr call, bool duplicate);
  Task<void> RunStream(PendingPtr call, std::shared_ptr<SimStream> stream);
  void Answer(const PendingPtr& call, Result<MessagePtr> answer);
  void Break(const PendingPtr& call, Status status);

  Scheduler* scheduler_;
  FaultPlan* faults_;
  EventLog* log_;
  FabricOptions options_;
  Scope handlers_;
  std::map<Address, Peer> peers_;
  std::map<Address, std::unique_ptr<ClientChannel>> channels_;
  std::list<std::weak_ptr<PendingCall>> in_flight_;
  uint64_t calls_ = 0;
};

}  // namespace kvjury::sim
