#include "harness/client/pd_client.h"

namespace kvjury::client {

namespace {

constexpr Micros kRecentUs = 2'000'000;

// An error that waiting does not cure. The refusal of a timestamp by a member that does not lead has no code of its own.
bool IsFinal(const Status& status) {
  return status.code() != StatusCode::kUnavailable && status.code() != StatusCode::kDeadlineExceeded &&
         status.message().find("is not leader") == std::string::npos;
}

// "http://127.0.0.1:2379" is dialled as "127.0.0.1:2379".
sim::Address DialledAs(const std::string& url) {
  const size_t scheme = url.find("://");
  return scheme == std::string::npos ? url : url.substr(scheme + 3);
}

}  // namespace

// Asks until PD answers. An application error in the header other than "not bootstrapped" is returned to the caller inside
// the response.
template <class Request, class Response>
sim::Task<Result<std::shared_ptr<const Response>>> PdClient::Ask(sim::UnaryMethod<Request, Response> method, std::string piece,
                                                                 Bytes key_for_label, Request request,
                                                                 Backoffer* backoff) {
  auto message = std::make_shared<const Request>(std::move(request));
  while (true) {
    sim::Label label = backoff->labels()->Keyed(piece, key_for_label);
    auto call = messenger_->Call(method, address_, message, std::move(label), messenger_->options().pd_timeout_us);
    Result<std::shared_ptr<const Response>> response = co_await std::move(call);
    std::string reason;
    if (response.ok()) {
      const pdpb::ResponseHeader& header = (*response)->header();
      if (header.error().type() != pdpb::NOT_BOOTSTRAPPED) {
        co_return response;
      }
      reason = header.error().message();
    } else {
      if (IsFinal(response.error())) {
        co_return response;
      }
      reason = response.error().message();
    }
    auto wait = backoff->Wait(BackoffKind::kPdRpc, "PD: " + reason);
    CO_RETURN_IF_ERROR(co_await std::move(wait));
    auto follow = FollowLeader(backoff);
    co_await std::move(follow);
  }
}

void PdClient::Learn(const pdpb::GetMembersResponse& response) {
  members_.clear();
  for (const pdpb::Member& member : response.members()) {
    if (member.client_urls_size() > 0) {
      members_.push_back(DialledAs(member.client_urls(0)));
    }
  }
  if (members_.size() > 1 && response.leader().client_urls_size() > 0) {
    address_ = DialledAs(response.leader().client_urls(0));
  }
}

sim::Task<void> PdClient::FollowLeader(Backoffer* backoff) {
  if (members_.size() < 2) {
    co_return;
  }
  const sim::Address asked = members_[next_member_++ % members_.size()];
  auto message = std::make_shared<const pdpb::GetMembersRequest>();
  sim::Label label = backoff->labels()->Keyed("members", Bytes());
  auto call = messenger_->Call(pd::kGetMembers, asked, message, std::move(label), messenger_->options().pd_timeout_us);
  const Result<std::shared_ptr<const pdpb::GetMembersResponse>> response = co_await std::move(call);
  if (response.ok() && (*response)->header().cluster_id() == cluster_id_) {
    Learn(**response);
  }
}

sim::Task<Result<uint64_t>> PdClient::ClusterId(Backoffer* backoff) {
  if (cluster_id_ == 0) {
    auto ask = Ask(pd::kGetMembers, "members", Bytes(), pdpb::GetMembersRequest(), backoff);
    auto response = co_await std::move(ask);
    if (!response.ok()) {
      co_return response.error();
    }
    if ((*response)->header().cluster_id() == 0) {
      co_return Status::Rejected("PD names no cluster");
    }
    cluster_id_ = (*response)->header().cluster_id();
    Learn(**response);
  }
  co_return cluster_id_;
}

sim::Task<Result<Timestamp>> PdClient::GetTimestamp(Backoffer* backoff) {
  auto id = ClusterId(backoff);
  CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(id));
  pdpb::TsoRequest request;
  request.mutable_header()->set_cluster_id(cluster_id);
  request.set_count(1);
  request.set_dc_location("global");
  auto ask = Ask(pd::kTso, "tso", Bytes(), std::move(request), backoff);
  auto response = co_await std::move(ask);
  if (!response.ok()) {
    co_return response.error();
  }
  const pdpb::TsoResponse& tso = **response;
  if (tso.header().error().type() != pdpb::OK || tso.count() != 1) {
    co_return Status::Rejected("PD gives no timestamp: " + tso.header().error().message());
  }
  const Timestamp ts = Timestamp::Compose(tso.timestamp().physical(), tso.timestamp().logical());
  if (ts > newest_) {
    newest_ = ts;
    newest_at_us_ = messenger_->scheduler()->now_us();
  }
  messenger_->Note("tso", ts.value());
  co_return ts;
}

sim::Task<Result<Timestamp>> PdClient::RecentTimestamp(int64_t expiry_ms, Backoffer* backoff) {
  const Micros age_us = messenger_->scheduler()->now_us() - newest_at_us_;
  const int64_t estimated_ms = newest_.physical_ms() + age_us / 1000;
  const bool expired_meanwhile = estimated_ms > expiry_ms && newest_.physical_ms() <= expiry_ms;
  if (newest_.valid() && age_us < kRecentUs && !expired_meanwhile) {
    co_return newest_;
  }
  auto fresh = GetTimestamp(backoff);
  co_return co_await std::move(fresh);
}

sim::Task<Result<std::optional<pdpb::GetRegionResponse>>> PdClient::GetRegion(Bytes encoded_key, Bytes key_for_label,
                                                                             Backoffer* backoff) {
  auto id = ClusterId(backoff);
  CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(id));
  pdpb::GetRegionRequest request;
  request.mutable_header()->set_cluster_id(cluster_id);
  request.set_region_key(std::move(encoded_key));
  auto ask = Ask(pd::kGetRegion, "route", std::move(key_for_label), std::move(request), backoff);
  auto response = co_await std::move(ask);
  if (!response.ok()) {
    co_return response.error();
  }
  if (!(*response)->has_region() || (*response)->region().id() == 0) {
    co_return std::optional<pdpb::GetRegionResponse>();
  }
  co_return std::optional<pdpb::GetRegionResponse>(**response);
}

sim::Task<Result<metapb::Store>> PdClient::GetStore(StoreId store, Backoffer* backoff) {
  auto id = ClusterId(backoff);
  CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(id));
  pdpb::GetStoreRequest request;
  request.mutable_header()->set_cluster_id(cluster_id);
  request.set_store_id(store.value());
  auto ask = Ask(pd::kGetStore, "store", std::to_string(store.value()), std::move(request), backoff);
  auto response = co_await std::move(ask);
  if (!response.ok()) {
    co_return response.error();
  }
  const pdpb::GetStoreResponse& answer = **response;
  const std::string& text = answer.header().error().message();
  const bool gone = text.find("invalid store ID") != std::string::npos && text.find("not found") != std::string::npos;
  if (gone || (answer.header().error().type() == pdpb::OK && answer.store().state() == metapb::Tombstone)) {
    co_return Status::NotFound("store " + std::to_string(store.value()) + " is gone");
  }
  if (answer.header().error().type() != pdpb::OK) {
    co_return Status::Rejected("PD: " + text);
  }
  if (answer.store().address().empty()) {
    co_return Status::NotFound("store " + std::to_string(store.value()) + " has no address");
  }
  co_return answer.store();
}

sim::Task<Result<Timestamp>> PdClient::GetGcSafePoint(Backoffer* backoff) {
  auto id = ClusterId(backoff);
  CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(id));
  pdpb::GetGCSafePointRequest request;
  request.mutable_header()->set_cluster_id(cluster_id);
  auto ask = Ask(pd::kGetGcSafePoint, "gc_safe_point", Bytes(), std::move(request), backoff);
  auto response = co_await std::move(ask);
  if (!response.ok()) {
    co_return response.error();
  }
  if ((*response)->header().error().type() != pdpb::OK) {
    co_return Status::Rejected("PD tells no GC safe point: " + (*response)->header().error().message());
  }
  co_return Timestamp((*response)->safe_point());
}

sim::Task<Result<Timestamp>> PdClient::UpdateGcSafePoint(Timestamp safe_point, Backoffer* backoff) {
  auto id = ClusterId(backoff);
  CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(id));
  pdpb::UpdateGCSafePointRequest request;
  request.mutable_header()->set_cluster_id(cluster_id);
  request.set_safe_point(safe_point.value());
  auto ask = Ask(pd::kUpdateGcSafePoint, "update_gc_safe_point", Bytes(), std::move(request), backoff);
  auto response = co_await std::move(ask);
  if (!response.ok()) {
    co_return response.error();
  }
  if ((*response)->header().error().type() != pdpb::OK) {
    co_return Status::Rejected("PD does not move the GC safe point: " + (*response)->header().error().message());
  }
  co_return Timestamp((*response)->new_safe_point());
}

}  // namespace kvjury::client
