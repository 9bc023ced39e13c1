// HttpApi: PD's REST interface, /pd/api/v1 and the key spaces of /pd/api/v2, as br, pd-ctl and people use it.
//
// Modelled: members, health and the leader (who may be moved), stores, regions with splitting and scattering, statistics of
// regions, the configuration (what is set reads back; with ttlSecond until it expires or is taken back), schedulers and their
// pauses, region labels, placement rules, operators, safe points, timestamps and ids, minimal resolved timestamps, key spaces.
// A follower forwards to the leader what only the leader knows; while there is none it waits for three seconds.
// Not modelled: what rules, labels and schedulers would do to regions; hot regions, flows, sizes and loads (an idle cluster's
// are told), changes of members, plug-ins, unsafe recovery, logs, profiles. Such paths are PD's 404.
// Source: recorded answers of a real PD 8.5.7 (shapes, order of members, content types); PD 8.5.7 for words and status codes.
// Times: Unix time is the cluster's clock start plus virtual time.
#pragma once

#include <memory>
#include <string>

#include "fakes/sim/channel.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::record {
class PdState;
}  // namespace kvjury::record

namespace kvjury::pd {

class Pd;

class HttpApi {
 public:
  /// `pd` must outlive this.
  explicit HttpApi(Pd* pd);
  HttpApi(const HttpApi&) = delete;
  HttpApi& operator=(const HttpApi&) = delete;
  ~HttpApi();

  void Register(sim::MethodTable* methods);

  /// What was set over HTTP. `clock_offset_ms`: the milliseconds since the epoch at virtual time 0.
  void Save(record::PdState* state, int64_t clock_offset_ms) const;
  /// Errors: kDataLoss.
  Status Restore(const record::PdState& state, int64_t clock_offset_ms);

 private:
  class Impl;
  sim::Task<Result<::http::Response>> Handle(std::shared_ptr<const ::http::Request> request, sim::CallContext context);

  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::pd
