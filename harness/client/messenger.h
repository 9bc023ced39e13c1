// Messenger: the one place through which a client's messages leave. Counts them, and can be switched off: a dead client.
//
// A client that "crashed" sends nothing from that moment on, and whatever it was waiting for ends with kCancelled: a call
// when its answer arrives or its time is up, a back-off when it ends. What it left in the stores stays there.
// Not modelled: requests that a dying process still had in its own queues.
// Determinism: the decisions of a client go to the digest component that carries its name.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "fakes/sim/channel.h"
#include "fakes/sim/event_log.h"
#include "fakes/sim/label.h"
#include "fakes/sim/scheduler.h"

namespace kvjury::client {

struct ClientOptions {
  /// How long a store, and PD, may take for one answer: client-go's ReadTimeoutShort and PD's default.
  Micros store_timeout_us = 30'000'000;
  Micros pd_timeout_us = 3'000'000;
  /// Changes nothing in the cluster: only calls that read are sent (CHECK), and a read that meets a lock finds out by reads what it
  /// stands for (fate_reader.h); where that is undecided it waits for the owner and asks again, for `lock_wait_us` in all; then it
  /// ends with kUndetermined, naming the lock.
  bool passive = false;
  Micros lock_wait_us = 20'000'000;
};

/// What a client did so far.
struct Counters {
  uint64_t messages = 0;
  uint64_t committed_one_phase = 0;
  uint64_t committed_async = 0;
  uint64_t committed_two_phase = 0;
  uint64_t conflicts = 0;
  uint64_t undetermined = 0;
  uint64_t fallbacks_to_two_phase = 0;  // the store declined 1PC or async commit
  uint64_t commit_ts_expired = 0;
  uint64_t transport_errors = 0;  // calls that ended with a Status
  uint64_t region_errors = 0;
  uint64_t backoffs = 0;
  uint64_t locks_met = 0;
  uint64_t locks_resolved = 0;  // ResolveLock requests that succeeded
  uint64_t async_recoveries = 0;  // fates of async-commit transactions decided through their secondaries
};

/// Gives every message of one operation a label of its own: the n-th message of a kind about a key is "kind[key]#n".
class Labels {
 public:
  explicit Labels(sim::Label base) : base_(std::move(base)) {}
  [[nodiscard]] const sim::Label& base() const { return base_; }
  sim::Label Keyed(const std::string& piece, const Bytes& key) { return base_.Keyed(piece, key, ++counts_[{piece, key}]); }
  sim::Label Numbered(const std::string& piece) { return base_.Numbered(piece, ++counts_[{piece, Bytes()}]); }

 private:
  sim::Label base_;
  std::map<std::pair<std::string, Bytes>, uint64_t> counts_;
};
/// Shared, because background work of an operation may outlive the operation.
using LabelsPtr = std::shared_ptr<Labels>;

class Messenger {
 public:
  /// `log` may be null. All must outlive the messenger.
  Messenger(sim::Channel* channel, sim::Scheduler* scheduler, std::string name, sim::EventLog* log, ClientOptions options);
  Messenger(const Messenger&) = delete;
  Messenger& operator=(const Messenger&) = delete;

  /// One call. Errors: as Channel::CallRaw; kCancelled once the messenger is switched off. Suspends.
  template <class Request, class Response>
  sim::Task<Result<std::shared_ptr<const Response>>> Call(sim::UnaryMethod<Request, Response> method, sim::Address to,
                                                          std::shared_ptr<const Request> request, sim::Label label,
                                                          Micros timeout_us) {
    if (off_) {
      co_return Status::Cancelled(name_ + " is dead");
    }
    CHECK(!options_.passive || OnlyReads(method.path)) << method.path;
    ++counters_.messages;
    sim::CallOptions options;
    options.label = std::move(label);
    options.timeout_us = timeout_us;
    sim::MessagePtr message = std::move(request);
    auto call = channel_->CallRaw(method.path, std::move(to), std::move(message), std::move(options));
    Result<sim::MessagePtr> answer = co_await std::move(call);
    if (off_) {
      co_return Status::Cancelled(name_ + " is dead");
    }
    if (!answer.ok()) {
      ++counters_.transport_errors;
      co_return answer.error();
    }
    co_return std::static_pointer_cast<const Response>(*std::move(answer));
  }

  /// Nothing more is sent; waiting calls end with kCancelled.
  void SwitchOff() { off_ = true; }
  [[nodiscard]] bool off() const { return off_; }

  /// Adds a decision to the client's digest.
  void Note(std::string_view kind, uint64_t a, uint64_t b = 0);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  sim::Scheduler* scheduler() { return scheduler_; }
  Counters& counters() { return counters_; }

 private:
  // What a passive client may send.
  static bool OnlyReads(std::string_view path);

  sim::Channel* channel_;
  sim::Scheduler* scheduler_;
  std::string name_;
  sim::EventLog* log_;
  RollingDigest* digest_ = nullptr;
  ClientOptions options_;
  Counters counters_;
  bool off_ = false;
};

}  // namespace kvjury::client
