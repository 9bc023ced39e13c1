#include "fakes/tikv/store_calls.h"

namespace kvjury::tikv {

RegionBounds StoreCalls::BoundsOf(const kvrpcpb::Context& context) const {
  const Region* region = cluster_->regions().Find(RegionId(context.region_id()));
  CHECK(region != nullptr) << "checked before";
  return RegionBounds{region->id.value(), region->start, region->end};
}

sim::Task<Result<std::optional<errorpb::Error>>> StoreCalls::Admit(StoreRunPtr run, const kvrpcpb::Context& context,
                                                                   Micros cost_us, const sim::CallContext& call) const {
  sim::Task<bool> working = cluster_->Work(store_, run, cost_us, call.label.hash());
  if (!co_await std::move(working)) {
    co_return StoreIsDown();
  }
  if (const uint64_t backoff_ms = cluster_->TakeBusy(call.label); backoff_ms > 0) {
    co_return std::optional<errorpb::Error>(ServerIsBusyError("scheduler is busy", backoff_ms));
  }
  co_return cluster_->Check(store_, context, false);
}

}  // namespace kvjury::tikv
