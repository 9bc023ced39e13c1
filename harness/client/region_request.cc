#include "harness/client/region_request.h"

namespace kvjury::client {

namespace {

constexpr uint32_t kNoKeyspace = 0xFFFFFFFF;
constexpr uint64_t kMaxExecutionMs = 20000;

}  // namespace

// An untried peer; when there is none the route is exhausted.
void RegionSender::NextPeer(Route* route) {
  for (size_t step = 1; step < route->tries.size(); ++step) {
    const size_t candidate = (route->peer + step) % route->tries.size();
    if (route->tries[candidate] == 0) {
      route->peer = candidate;
      return;
    }
  }
  route->exhausted = true;
}

sim::Task<Result<bool>> RegionSender::Prepare(Route* route) {
  while (true) {
    if (route->region->valid && !route->exhausted) {
      if (route->tries[route->peer] >= kTriesOfOnePeer) {
        NextPeer(route);
        continue;
      }
      const StoreId store(route->region->peers[route->peer].store_id());
      auto find = services_.regions->StoreAddress(store, backoff_);
      Result<sim::Address> address = co_await std::move(find);
      if (address.ok()) {
        ++route->tries[route->peer];
        ++route->attempts;
        route->address = *std::move(address);
        co_return true;
      }
      if (address.error().code() != StatusCode::kNotFound) {
        co_return address.error();
      }
      ++route->tries[route->peer];
      NextPeer(route);
      continue;
    }
    // Nobody is left to ask: forget the region, wait, and let the caller look again.
    services_.regions->Invalidate(route->region);
    Reaction relocate;
    relocate.wait = BackoffKind::kRegionMiss;
    relocate.reason = "no peer of the region answers";
    auto wait = CarryOut(std::move(relocate));
    co_return co_await std::move(wait);
  }
}

void RegionSender::FillContext(const Route& route, kvrpcpb::Context* context) {
  const Region& region = *route.region;
  context->set_region_id(region.version.id.value());
  context->mutable_region_epoch()->set_version(region.version.version);
  context->mutable_region_epoch()->set_conf_ver(region.version.conf_version);
  *context->mutable_peer() = region.peers[route.peer];
  context->set_keyspace_id(kNoKeyspace);
  context->set_max_execution_duration_ms(kMaxExecutionMs);
  context->set_is_retry_request(route.attempts > 1);
}

sim::Task<Status> RegionSender::OnTransportError(Route* route, Status status) {
  const StatusCode code = status.code();
  if (code != StatusCode::kUnavailable && code != StatusCode::kDeadlineExceeded) {
    co_return status;
  }
  transport_error_ = status;
  services_.messenger->Note("transport", Hash64(route->address), route->attempts);
  if (code == StatusCode::kUnavailable) {
    services_.regions->ForgetStore(StoreId(route->region->peers[route->peer].store_id()));
    NextPeer(route);
  }
  auto wait = backoff_->Wait(BackoffKind::kTikvRpc, status.message());
  co_return co_await std::move(wait);
}

sim::Task<Result<bool>> RegionSender::CarryOut(Reaction reaction) {
  if (!reaction.wait.has_value()) {
    CO_RETURN_IF_ERROR(backoff_->CountTry(reaction.reason));
    co_return reaction.again;
  }
  auto wait = backoff_->Wait(*reaction.wait, reaction.reason);
  CO_RETURN_IF_ERROR(co_await std::move(wait));
  co_return reaction.again;
}

RegionSender::Reaction RegionSender::ReactToNotLeader(Route* route, const errorpb::NotLeader& error) {
  if (!error.has_leader() || error.leader().id() == 0) {
    NextPeer(route);
    return {true, BackoffKind::kRegionScheduling, "the region has no leader"};
  }
  if (!services_.regions->SetLeader(route->region, error.leader())) {
    return {false, BackoffKind::kRegionMiss, "the leader is a peer that we do not know"};
  }
  route->peer = route->region->leader;
  return {true, std::nullopt, "the leader moves all the time"};
}

Result<RegionSender::Reaction> RegionSender::React(Route* route, const errorpb::Error& error) {
  const std::string reason = error.message().empty() ? "region error" : error.message();
  // Send again along the same route.
  if (error.has_not_leader()) {
    return ReactToNotLeader(route, error.not_leader());
  }
  if (error.has_server_is_busy()) {
    return Reaction{true, BackoffKind::kServerBusy, "the store is busy: " + error.server_is_busy().reason()};
  }
  if (error.has_stale_command()) {
    NextPeer(route);
    return Reaction{true, std::nullopt, "stale command"};
  }
  if (error.has_max_timestamp_not_synced()) {
    return Reaction{true, BackoffKind::kMaxTsNotSynced, "the leader's max_ts is not synced"};
  }
  if (error.has_read_index_not_ready() || error.has_proposal_in_merging_mode()) {
    return Reaction{true, BackoffKind::kRegionScheduling, reason};
  }
  if (error.has_region_not_initialized() || error.has_data_is_not_ready()) {
    return Reaction{true, BackoffKind::kRegionNotReady, reason};
  }
  if (error.has_bucket_version_not_match()) {
    return Reaction{true, std::nullopt, reason};
  }
  // Refused for good.
  if (error.has_undetermined_result()) {
    transport_error_ = Status::Unavailable(error.undetermined_result().message());
    return Status::Rejected("the store does not know whether the request took effect: " + reason);
  }
  if (error.has_raft_entry_too_large() || error.has_flashbackinprogress() || error.has_flashbacknotprepared()) {
    return Status::Rejected("the region refuses the request: " + reason);
  }
  return ReactToMovedRegion(route, error, reason);
}

// The region is not what we thought.
Result<RegionSender::Reaction> RegionSender::ReactToMovedRegion(Route* route, const errorpb::Error& error,
                                                                const std::string& reason) {
  RegionCache* cache = services_.regions;
  const RegionPtr& region = route->region;
  const StoreId store(region->peers[route->peer].store_id());
  if (error.has_epoch_not_match() && error.epoch_not_match().current_regions_size() > 0) {
    ASSIGN_OR_RETURN(const bool store_is_behind,
                     cache->InstallCurrentRegions(region, store, error.epoch_not_match().current_regions()));
    if (store_is_behind) {
      return Reaction{true, BackoffKind::kRegionMiss, "the store is behind our epoch of the region"};
    }
    return Reaction{false, std::nullopt, "the region's epoch changes all the time"};
  }
  if (error.has_region_not_found() && route->peer != region->leader && route->tries[region->leader] < kTriesOfOnePeer) {
    route->peer = region->leader;
    return Reaction{true, std::nullopt, reason};
  }
  if (error.has_store_not_match()) {
    cache->ForgetStore(store);
  }
  cache->Invalidate(region);
  if (error.has_epoch_not_match()) {
    return Reaction{false, std::nullopt, reason};
  }
  if (error.has_disk_full()) {
    return Reaction{false, BackoffKind::kDiskFull, reason};
  }
  if (error.has_recoveryinprogress() || error.has_is_witness()) {
    return Reaction{false, BackoffKind::kRegionRecovery, reason};
  }
  return Reaction{false, BackoffKind::kRegionMiss, reason};
}

}  // namespace kvjury::client
