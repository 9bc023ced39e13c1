#include "fakes/tikv/store_status.h"

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/methods.h"

namespace kvjury::tikv {

namespace {

::http::Response HttpAnswer(uint32_t status, const char* content_type, std::string body) {
  ::http::Response response;
  response.set_status(status);
  response.set_content_type(content_type);
  response.set_body(std::move(body));
  return response;
}

}  // namespace

StoreStatus::StoreStatus(const StoreCalls* calls, StoreConfig* config)
    : calls_(calls), config_(config),
      // Greater after a restart, as clients expect.
      feedback_number_(static_cast<uint64_t>(calls->cluster()->options().clock_start_ms / 1000)) {}

void StoreStatus::Register(sim::MethodTable* methods) {
  methods->Add(sim::kHttp, this, &StoreStatus::Http);
  methods->Add(kGetStoreSafeTs, this, &StoreStatus::GetStoreSafeTs);
  methods->Add(kCheckLeader, this, &StoreStatus::CheckLeader);
  methods->Add(kGetHealthFeedback, this, &StoreStatus::GetHealthFeedback);
  methods->Add(kBroadcastTxnStatus, this, &StoreStatus::BroadcastTxnStatus);
}

StoreStatus::Answer<::http::Response> StoreStatus::Http(Ptr<::http::Request> request, sim::CallContext) {
  const bool gets = request->method() == "GET";
  if (gets && request->path() == "/config") {
    co_return HttpAnswer(200, "application/json", config_->ToJson());
  }
  if (request->method() == "POST" && request->path() == "/config") {
    const Status changed = config_->Change(request->body());
    co_return changed.ok() ? HttpAnswer(200, "", "") : HttpAnswer(500, "text/plain", changed.message());
  }
  if (gets && (request->path() == "/status" || request->path() == "/metrics")) {
    co_return HttpAnswer(200, request->path() == "/status" ? "" : "text/plain; version=0.0.4", "");
  }
  co_return HttpAnswer(404, "text/plain", "path not found");
}

StoreStatus::Answer<kvrpcpb::StoreSafeTSResponse> StoreStatus::GetStoreSafeTs(Ptr<kvrpcpb::StoreSafeTSRequest> request,
                                                                              sim::CallContext context) {
  const StoreRunPtr run = calls_->cluster()->Run(calls_->store());
  sim::Task<bool> working = calls_->cluster()->Work(calls_->store(), run, kReadUs, context.label.hash());
  if (!co_await std::move(working)) {
    co_return StoreIsDown();
  }
  // The range is of encoded keys, as regions have them.
  kvrpcpb::StoreSafeTSResponse response;
  Cluster* cluster = calls_->cluster();
  if (const Result<Timestamp> now = cluster->pd().AllocateTimestamp(); now.ok()) {
    response.set_safe_ts(cluster->Resolved(request->key_range().start_key(), request->key_range().end_key(), *now).value());
  }
  calls_->cluster()->Log(calls_->store(), "safe ts", context.label.hash(), response.safe_ts());
  co_return response;
}

StoreStatus::Answer<kvrpcpb::CheckLeaderResponse> StoreStatus::CheckLeader(Ptr<kvrpcpb::CheckLeaderRequest> request,
                                                                           sim::CallContext) {
  Cluster* cluster = calls_->cluster();
  kvrpcpb::CheckLeaderResponse response;
  response.set_ts(request->ts());
  for (const kvrpcpb::LeaderInfo& asked : request->regions()) {
    const Region* region = cluster->regions().Find(RegionId(asked.region_id()));
    const Peer* leader = region == nullptr ? nullptr : region->PeerOn(cluster->raft().Leader(region->id));
    if (leader != nullptr && leader->id.value() == asked.peer_id() && cluster->raft().Term(region->id) == asked.term() &&
        region->version == asked.region_epoch().version() && region->conf_ver == asked.region_epoch().conf_ver()) {
      response.add_regions(asked.region_id());
    }
  }
  co_return response;
}

StoreStatus::Answer<kvrpcpb::GetHealthFeedbackResponse> StoreStatus::GetHealthFeedback(
    Ptr<kvrpcpb::GetHealthFeedbackRequest>, sim::CallContext) {
  kvrpcpb::GetHealthFeedbackResponse response;
  response.mutable_health_feedback()->set_store_id(calls_->store().value());
  response.mutable_health_feedback()->set_feedback_seq_no(++feedback_number_);
  response.mutable_health_feedback()->set_slow_score(1);
  co_return response;
}

StoreStatus::Answer<kvrpcpb::BroadcastTxnStatusResponse> StoreStatus::BroadcastTxnStatus(
    Ptr<kvrpcpb::BroadcastTxnStatusRequest>, sim::CallContext) {
  co_return kvrpcpb::BroadcastTxnStatusResponse();
}

}  // namespace kvjury::tikv
