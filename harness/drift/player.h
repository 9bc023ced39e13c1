// Player: makes recorded calls on another cluster, in their order, and tells which answers differ.
//
// Over a channel: the same lines play against a simulated cluster and against real ports. A call goes to PD or, by the store of
// its context, to a store; a call that names no store of the recording goes to the target's first one. Answers of a backup are
// ordered by their ranges, since a store gives them as they are ready. Timestamps of PD must grow by what was asked for.
// A gRPC error is compared by its kind and its words; the words of UNIMPLEMENTED are the server's library's own.
// Not modelled: calls that were made at the same time; the time between calls.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fakes/sim/channel.h"
#include "harness/drift/compare.h"
#include "harness/drift/identity.h"
#include "harness/drift/recorded_call.h"
#include "harness/drift/recorded_cluster.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::drift {

struct PlayOptions {
  sim::Address pd;
  /// Where backups may be written, as the stores see it; empty: where the recorded requests say.
  std::string folder;
  Micros timeout_us = 60'000'000;
};

struct Difference {
  std::string case_name;
  /// Which call of its case, from 1.
  size_t number = 0;
  size_t line = 0;
  std::string method;
  FieldDifference what;
  /// Why it is no surprise; empty: nobody knows.
  std::string reason;
};

/// "case#n method field: recorded X, got Y".
std::string ToText(const Difference& difference);

struct Played {
  size_t calls = 0;
  size_t compared = 0;
  /// Made for what they leave behind.
  size_t unrecorded = 0;
  std::vector<Difference> differences;
  /// Why the calls that are left were not made, with line and method; ok when all were.
  Status stopped;
};

class Player {
 public:
  Player(sim::Channel* channel, PlayOptions options) : channel_(channel), options_(std::move(options)) {}
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  /// Stops where PD or a store is not reached. Errors: kUnavailable and kDeadlineExceeded when PD does not answer in the
  /// beginning; kDataLoss for a recorded message that is none. At most once. Suspends.
  sim::Task<Result<Played>> Play(std::vector<RecordedCall> calls);

 private:
  // Who the target is, and what of it stands for what of the recording.
  sim::Task<Status> Introduce(RecordedCluster recorded);
  template <class Request, class Response>
  sim::Task<Result<std::shared_ptr<const Response>>> AskPd(sim::UnaryMethod<Request, Response> method, Request request);
  sim::Task<Status> PlayOne(const RecordedCall* call);
  sim::Task<Status> PlayUnary(const RecordedCall* call);
  sim::Task<Status> PlayStream(const RecordedCall* call);
  sim::Task<Status> PlayHttp(const RecordedCall* call);
  // A region that the recording uses but never describes: the one that holds the request's first key.
  sim::Task<Status> LocateAskedRegion(const RecordedCall* call, const google::protobuf::Message* request);
  sim::MessagePtr MapRequest(const google::protobuf::Message& recorded);
  [[nodiscard]] sim::Address AddressFor(const RecordedCall& call, const google::protobuf::Message& recorded) const;
  sim::CallOptions NextCall();

  void CompareAnswer(const RecordedCall& call, const Bytes& recorded, const google::protobuf::Message& got, uint64_t asked_region,
                     const std::string& at);
  void CompareError(const RecordedCall& call, const Status& got, uint64_t asked_region);
  void CheckTimestamp(const RecordedCall& call, const google::protobuf::Message& got);
  void Report(const RecordedCall& call, FieldDifference what);

  sim::Channel* channel_;
  PlayOptions options_;
  Identity identity_;
  Played played_;
  std::map<uint64_t, sim::Address> addresses_;  // by the target's store
  uint64_t cluster_id_ = 0;
  std::map<std::string, size_t> calls_of_case_;
  uint64_t last_timestamp_ = 0;
  uint64_t calls_made_ = 0;
};

}  // namespace kvjury::drift
