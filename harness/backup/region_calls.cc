#include "harness/backup/region_calls.h"

#include <algorithm>

#include "fakes/pd/methods.h"

namespace kvjury::backup {

namespace {

constexpr Micros kPauseUs = 50'000;
constexpr int32_t kPageRegions = 128;

/// Trying again cannot help.
bool IsFinal(const Status& status) {
  return status.code() == StatusCode::kCancelled || status.code() == StatusCode::kRejected ||
         status.code() == StatusCode::kUnsupported || status.code() == StatusCode::kDataLoss;
}

/// Empty if the page is what it should be: contiguous from `cursor` on, with leaders.
std::string WhyUnusable(const pdpb::ScanRegionsResponse& page, const Bytes& cursor) {
  if (page.header().has_error() && page.header().error().type() != pdpb::OK) {
    return "PD answers: " + page.header().error().message();
  }
  if (page.regions_size() == 0) {
    return "PD knows no region at " + ToHex(cursor);
  }
  Bytes next = cursor;
  for (int i = 0; i < page.regions_size(); ++i) {
    const pdpb::Region& region = page.regions(i);
    const bool joins = i == 0 ? region.region().start_key() <= next : region.region().start_key() == next;
    if (!joins) {
      return "PD's list of regions has a hole at " + ToHex(next);
    }
    if (region.leader().store_id() == 0) {
      return "PD knows no leader of the region at " + ToHex(region.region().start_key());
    }
    next = region.region().end_key();
  }
  return {};
}

}  // namespace

std::string ToolReport::Sentence() const {
  if (!success) {
    return failure.ok() ? "it did not run" : failure.ToString();
  }
  return "success: " + std::to_string(files) + " files, " + std::to_string(keys) + " keys";
}

kvrpcpb::Context ContextOf(const RegionRoute& route) {
  kvrpcpb::Context context;
  context.set_region_id(route.region.id());
  *context.mutable_region_epoch() = route.region.region_epoch();
  *context.mutable_peer() = route.leader;
  return context;
}

Status FromRegionError(const errorpb::Error& error) {
  return Status::Unavailable("the region says: " + (error.message().empty() ? error.ShortDebugString() : error.message()));
}

RegionCalls::RegionCalls(ToolHost host, Micros time_limit_us)
    : host_(std::move(host)),
      labels_(std::make_shared<client::Labels>(host_.label)),
      end_us_(host_.world->scheduler().now_us() + time_limit_us) {}

sim::Task<Result<uint64_t>> RegionCalls::ClusterId() {
  client::Services services = host_.client->services();
  client::Backoffer backoff(services.messenger, labels_, client::kReadBudgetUs);
  auto ask = services.pd->ClusterId(&backoff);
  co_return co_await std::move(ask);
}

sim::Task<Status> RegionCalls::PauseForPd(Status reason) {
  auto pause = Pause(std::move(reason));
  CO_RETURN_IF_ERROR(co_await std::move(pause));
  client::Services services = host_.client->services();
  client::Backoffer backoff(services.messenger, labels_, client::kReadBudgetUs);
  auto follow = services.pd->FollowLeader(&backoff);
  co_await std::move(follow);
  co_return Status::Ok();
}

sim::Task<Status> RegionCalls::Pause(Status reason) {
  CHECK(!reason.ok());
  if (IsFinal(reason)) {
    co_return reason;
  }
  ++pauses_;
  sim::Scheduler& scheduler = host_.world->scheduler();
  if (scheduler.now_us() + kPauseUs > end_us_) {
    co_return Status::DeadlineExceeded("gave up: " + reason.message());
  }
  co_await scheduler.Sleep(kPauseUs, host_.label.hash());
  co_return Status::Ok();
}

sim::Task<Result<std::vector<RegionRoute>>> RegionCalls::Scan(Bytes start, Bytes end, size_t limit) {
  std::vector<RegionRoute> routes;
  Bytes cursor = start;
  for (;;) {
    pdpb::ScanRegionsRequest request;
    request.set_start_key(cursor);
    request.set_end_key(end);
    request.set_limit(limit == 0 ? kPageRegions : static_cast<int32_t>(std::min<size_t>(limit, kPageRegions)));
    auto ask = AskPd(pd::kScanRegions, std::move(request), "scan-regions", cursor);
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<const pdpb::ScanRegionsResponse> page, co_await std::move(ask));
    if (const std::string why = WhyUnusable(*page, cursor); !why.empty()) {
      auto pause = Pause(Status::Unavailable(why));
      CO_RETURN_IF_ERROR(co_await std::move(pause));
      continue;
    }
    for (const pdpb::Region& region : page->regions()) {
      routes.push_back(RegionRoute{region.region(), region.leader()});
    }
    const Bytes& last_end = routes.back().region.end_key();
    if (last_end.empty() || (!end.empty() && last_end >= end) || (limit != 0 && routes.size() >= limit)) {
      co_return routes;
    }
    cursor = last_end;
  }
}

sim::Task<Result<std::vector<metapb::Store>>> RegionCalls::Stores() {
  pdpb::GetAllStoresRequest request;
  request.set_exclude_tombstone_stores(true);
  auto ask = AskPd(pd::kGetAllStores, std::move(request), "all-stores", {});
  CO_ASSIGN_OR_RETURN(const std::shared_ptr<const pdpb::GetAllStoresResponse> answer, co_await std::move(ask));
  std::vector<metapb::Store> stores(answer->stores().begin(), answer->stores().end());
  std::sort(stores.begin(), stores.end(), [](const metapb::Store& a, const metapb::Store& b) { return a.id() < b.id(); });
  for (const metapb::Store& store : stores) {
    addresses_[store.id()] = store.address();
  }
  co_return stores;
}

sim::Task<Result<sim::Address>> RegionCalls::StoreAddress(uint64_t store_id) {
  if (addresses_.find(store_id) == addresses_.end()) {
    auto ask = Stores();
    CO_RETURN_IF_ERROR((co_await std::move(ask)).status());
  }
  auto found = addresses_.find(store_id);
  if (found == addresses_.end()) {
    co_return Status::NotFound("PD knows no store " + std::to_string(store_id));
  }
  co_return found->second;
}

}  // namespace kvjury::backup
