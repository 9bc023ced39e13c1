// StoreStatus: what a store says of itself and of the regions it leads, apart from their data.
//
// Its status port's /config and /status (also under the path of sim::kHttp in the simulation), health feedback, the safe
// timestamp for stale reads, leader checks, the states of transactions that clients broadcast.
// Modelled: the safe timestamp as of the moment of asking (TiKV advances it every 20 s), below all locks that may still commit.
// Not modelled: slowness (the slow score is always 1); the cache that broadcast states fill, which only saves work.
// Source: TiKV 8.5.0, src/server/service/kv.rs, components/resolved_ts, src/server/status_server.
#pragma once

#include "fakes/sim/http.h"
#include "fakes/tikv/store_calls.h"
#include "fakes/tikv/store_config.h"

namespace kvjury::tikv {

class StoreStatus {
 public:
  /// `calls` and `config` must outlive it.
  StoreStatus(const StoreCalls* calls, StoreConfig* config);
  StoreStatus(const StoreStatus&) = delete;
  StoreStatus& operator=(const StoreStatus&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  template <class Message>
  using Ptr = StoreCalls::Ptr<Message>;
  template <class Message>
  using Answer = StoreCalls::Answer<Message>;

  Answer<::http::Response> Http(Ptr<::http::Request> request, sim::CallContext context);
  Answer<kvrpcpb::StoreSafeTSResponse> GetStoreSafeTs(Ptr<kvrpcpb::StoreSafeTSRequest> request, sim::CallContext context);
  Answer<kvrpcpb::CheckLeaderResponse> CheckLeader(Ptr<kvrpcpb::CheckLeaderRequest> request, sim::CallContext context);
  Answer<kvrpcpb::GetHealthFeedbackResponse> GetHealthFeedback(Ptr<kvrpcpb::GetHealthFeedbackRequest> request,
                                                               sim::CallContext context);
  Answer<kvrpcpb::BroadcastTxnStatusResponse> BroadcastTxnStatus(Ptr<kvrpcpb::BroadcastTxnStatusRequest> request,
                                                                 sim::CallContext context);
  /// The newest timestamp at which nothing in [start, end) (encoded) can change any more; zero without a region.

  const StoreCalls* calls_;
  StoreConfig* config_;
  uint64_t feedback_number_;
};

}  // namespace kvjury::tikv
