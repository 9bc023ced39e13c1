// Recorder: makes the calls of a list as they stand and keeps what came back, as a file of recorded calls.
//
// Nothing is mapped: whoever writes the list writes ids of the cluster that is asked. A store's calls go to the store of their
// context, else to the first one. A client cannot tell all gRPC codes apart: what is none of UNIMPLEMENTED, UNAVAILABLE,
// DEADLINE_EXCEEDED and CANCELLED is written as "Unknown".
#pragma once

#include <map>
#include <vector>

#include "fakes/sim/channel.h"
#include "harness/drift/recorded_call.h"

namespace kvjury::drift {

class Recorder {
 public:
  Recorder(sim::Channel* channel, sim::Address pd, Micros timeout_us)
      : channel_(channel), pd_(std::move(pd)), timeout_us_(timeout_us) {}
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// The same calls with their answers; answers that the list has are forgotten. Errors: kUnavailable and kDeadlineExceeded when
  /// PD does not answer; kDataLoss for a request that is none, with the line. Suspends.
  sim::Task<Result<std::vector<RecordedCall>>> Record(std::vector<RecordedCall> requests);

 private:
  sim::Task<Status> FindStores();
  sim::Task<Status> RecordOne(RecordedCall* call);
  sim::Task<Status> RecordHttp(RecordedCall* call);
  sim::Task<Status> RecordStream(RecordedCall* call, sim::Address to, sim::MessagePtr request);
  sim::CallOptions NextCall();

  sim::Channel* channel_;
  sim::Address pd_;
  Micros timeout_us_;
  std::map<uint64_t, sim::Address> addresses_;
  uint64_t calls_made_ = 0;
};

}  // namespace kvjury::drift
