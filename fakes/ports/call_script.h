// CallScript: the labels of calls from outside, and what somebody wishes to happen to the next of them.
//
//   external/KvGet/region[/in]#3    the third outside KvGet on the region that starts at /in, whichever store it went to
//   external/GetMembers/region[]#1  a call that names no region
//   external/backup/answer[a..b]#1  the first message of a server stream that tells about the range from a to b
// Labels are made of names, so that the faults and nudges of a case strike real clients' calls as they strike simulated ones. A
// wish ("lose the next two answers of KvGet") becomes an explicit fault or nudge at the label of the call that it meets.
// Only on the world's thread.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "fakes/base/bytes.h"
#include "fakes/ports/waiting_calls.h"
#include "fakes/sim/world.h"

namespace kvjury::ports {

/// One call from outside, or one message of a stream, after it was answered. Digests are of the messages' bytes: what was said is not kept,
/// since it may hold secrets.
struct CallRecord {
  sim::Label label;
  Micros begun_us = 0;
  Micros ended_us = 0;
  StatusCode code = StatusCode::kOk;
  uint64_t request_bytes = 0;
  uint64_t request_digest = 0;
  uint64_t answer_bytes = 0;
  uint64_t answer_digest = 0;
};

class CallScript {
 public:
  /// The start key, as a user writes it, of the region that a request addresses; empty if none.
  using RegionStart = std::function<Bytes(const google::protobuf::Message& request)>;

  explicit CallScript(sim::World* world) : world_(world), waiting_(world) {}
  CallScript(const CallScript&) = delete;
  CallScript& operator=(const CallScript&) = delete;

  /// Before the first call.
  void SetRegionStart(RegionStart region_start) { region_start_ = std::move(region_start); }

  /// Told of every call in the order of answers. Before the first call; costs a serialisation of both messages.
  void RecordTo(std::function<void(const CallRecord&)> on_call) { on_call_ = std::move(on_call); }
  [[nodiscard]] bool records() const { return on_call_ != nullptr; }
  /// `answer` may be null; `request` too, for a further message of a stream.
  void Record(const sim::Label& label, Micros begun_us, const google::protobuf::Message* request, const Status& status,
              const google::protobuf::Message* answer);

  /// The label of the next call of `method` ("KvGet") at an address; what was wished for it hangs on it then.
  sim::Label Next(const sim::Address& to, const std::string& method, const google::protobuf::Message& request);
  /// The label of the next message of a stream of `method`. Messages without a range have empty bounds.
  sim::Label NextAnswer(const std::string& method, const google::protobuf::Message& answer);

  /// The number of the next server stream, from 1.
  uint64_t NextStream() { return ++streams_; }

  struct Wish {
    /// Empty: any. Of HTTP also "http/POST/pd/api/v1/schedulers": the method and how the path begins.
    std::string method;
    /// Only calls to stores, not to PD.
    bool only_at_stores = false;
    /// Without its label. Unset: only the delay.
    record::Fault fault;
    Micros delay_us = 0;
    /// The call, one of HTTP, is answered by what stands before the handlers, as by a proxy that lets it not through.
    bool refuse = false;
    /// How many calls; 0: all until the time.
    uint64_t count = 0;
    /// In virtual time; 0: no end.
    Micros until_us = 0;
  };
  /// Whether somebody wished that this call be refused. Not counted as a call.
  bool TakeRefusal(const google::protobuf::Message& request);
  void Add(Wish wish) { wishes_.push_back(std::move(wish)); }
  /// Forgets what has not happened yet. The number of wishes.
  size_t Clear();
  [[nodiscard]] size_t open_wishes() const { return wishes_.size(); }
  /// The account of who waits.
  WaitingCalls& waiting() { return waiting_; }
  /// Calls that met a wish.
  [[nodiscard]] uint64_t met() const { return met_; }

 private:
  void MeetWishes(const sim::Address& to, const std::string& method, const google::protobuf::Message& request, const sim::Label& label);

  sim::World* world_;
  RegionStart region_start_;
  std::function<void(const CallRecord&)> on_call_;
  sim::Label root_{"external"};
  // By method and key.
  std::map<std::pair<std::string, Bytes>, uint64_t> calls_;
  std::map<std::pair<std::string, Bytes>, uint64_t> answers_;
  std::list<Wish> wishes_;
  uint64_t met_ = 0;
  uint64_t streams_ = 0;
  WaitingCalls waiting_;
};

/// One line for people and for comparing: begun and ended in virtual microseconds, status, bytes and digest of the request and of the answer,
/// label. With its line end.
std::string CallLine(const CallRecord& call);

}  // namespace kvjury::ports
