// A small client of a whole cluster for tests over real ports: timestamps, one-phase writes, reads; it follows regions and leaders.
//
// Not a model of a real client: no locks, no transactions of several keys, and it gives up instead of resolving anything.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/methods.h"
#include "fakes/ports/test_client.h"
#include "fakes/tikv/methods.h"

namespace kvjury::ports {

class TestClusterClient {
 public:
  explicit TestClusterClient(const std::string& pd_address) : pd_(pd_address) {
    pdpb::GetMembersResponse members;
    if (pd_.Call(pd::kGetMembers, pdpb::GetMembersRequest(), &members).ok()) {
      cluster_id_ = members.header().cluster_id();
    }
  }

  /// 0 if PD did not answer.
  [[nodiscard]] uint64_t cluster_id() const { return cluster_id_; }
  TestClient& pd() { return pd_; }

  template <class Request>
  Request ForPd() const {
    Request request;
    request.mutable_header()->set_cluster_id(cluster_id_);
    return request;
  }

  /// 0 if PD did not answer.
  uint64_t Now() {
    if (tso_ == nullptr) {
      tso_context_ = std::make_unique<grpc::ClientContext>();
      tso_ = pd_.Stream<pdpb::TsoRequest, pdpb::TsoResponse>(pd::kTso.path, tso_context_.get());
    }
    auto request = ForPd<pdpb::TsoRequest>();
    request.set_count(1);
    pdpb::TsoResponse response;
    if (!tso_->Write(request) || !tso_->Read(&response)) {
      tso_context_->TryCancel();
      tso_ = nullptr;
      return 0;
    }
    return static_cast<uint64_t>(response.timestamp().physical()) << 18 | static_cast<uint64_t>(response.timestamp().logical());
  }

  struct Route {
    kvrpcpb::Context context;
    TestClient* store = nullptr;
  };
  /// Asks PD. Null store if it did not answer or knows no leader.
  Route Find(const std::string& key) {
    Route route;
    auto request = ForPd<pdpb::GetRegionRequest>();
    request.set_region_key(EncodeKey(key));
    pdpb::GetRegionResponse response;
    if (!pd_.Call(pd::kGetRegion, request, &response, 3'000).ok() || !response.has_leader()) {
      return route;
    }
    route.context.set_region_id(response.region().id());
    *route.context.mutable_region_epoch() = response.region().region_epoch();
    *route.context.mutable_peer() = response.leader();
    route.store = Store(response.leader().store_id());
    return route;
  }

  TestClient* Store(uint64_t id) {
    auto request = ForPd<pdpb::GetStoreRequest>();
    request.set_store_id(id);
    pdpb::GetStoreResponse response;
    if (!pd_.Call(pd::kGetStore, request, &response, 3'000).ok()) {
      return nullptr;
    }
    std::unique_ptr<TestClient>& store = stores_[response.store().address()];
    if (store == nullptr) {
      store = std::make_unique<TestClient>(response.store().address());
    }
    return store.get();
  }

  static kvrpcpb::PrewriteRequest OnePhase(const kvrpcpb::Context& context, const std::string& key, const std::string& value, uint64_t start_ts) {
    kvrpcpb::PrewriteRequest request;
    *request.mutable_context() = context;
    kvrpcpb::Mutation* mutation = request.add_mutations();
    mutation->set_op(kvrpcpb::Put);
    mutation->set_key(key);
    mutation->set_value(value);
    request.set_primary_lock(key);
    request.set_start_version(start_ts);
    request.set_lock_ttl(3'000);
    request.set_txn_size(1);
    request.set_try_one_pc(true);
    request.set_use_async_commit(true);
    request.set_min_commit_ts(start_ts + 1);
    return request;
  }

  static kvrpcpb::GetRequest GetAt(const kvrpcpb::Context& context, const std::string& key, uint64_t version = UINT64_MAX) {
    kvrpcpb::GetRequest request;
    *request.mutable_context() = context;
    request.set_key(key);
    request.set_version(version);
    return request;
  }

  /// One attempt at a one-phase write. The commit timestamp if it was acknowledged, else nothing: it may have happened or not.
  std::optional<uint64_t> Put(const std::string& key, const std::string& value) {
    const uint64_t start_ts = Now();
    const Route route = start_ts == 0 ? Route() : Find(key);
    if (route.store == nullptr) {
      return std::nullopt;
    }
    const kvrpcpb::PrewriteRequest request = OnePhase(route.context, key, value, start_ts);
    kvrpcpb::PrewriteResponse response;
    last_ = route.store->Call(tikv::kKvPrewrite, request, &response, call_timeout_ms_);
    if (!last_.ok() || response.has_region_error() || response.errors_size() > 0 || response.one_pc_commit_ts() == 0) {
      return std::nullopt;
    }
    return response.one_pc_commit_ts();
  }

  /// Tries again, as one whose region has just changed has to.
  std::optional<uint64_t> PutSoon(const std::string& key, const std::string& value, std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    const auto until = std::chrono::steady_clock::now() + patience;
    std::optional<uint64_t> commit_ts = Put(key, value);
    while (!commit_ts && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      commit_ts = Put(key, value);
    }
    return commit_ts;
  }

  struct Read {
    bool answered = false;
    std::optional<std::string> value;
  };
  /// Tries again until it is answered or `patience` is over.
  Read Get(const std::string& key, uint64_t version = UINT64_MAX, std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    const auto until = std::chrono::steady_clock::now() + patience;
    do {
      const Route route = Find(key);
      if (route.store != nullptr) {
        const kvrpcpb::GetRequest request = GetAt(route.context, key, version);
        kvrpcpb::GetResponse response;
        last_ = route.store->Call(tikv::kKvGet, request, &response, call_timeout_ms_);
        if (last_.ok() && !response.has_region_error() && !response.has_error()) {
          return {true, response.not_found() ? std::nullopt : std::optional<std::string>(response.value())};
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    } while (std::chrono::steady_clock::now() < until);
    return {};
  }

  /// Of the calls to stores.
  void set_call_timeout_ms(int timeout_ms) { call_timeout_ms_ = timeout_ms; }
  /// What gRPC said about the last call to a store.
  [[nodiscard]] const grpc::Status& last() const { return last_; }

 private:
  TestClient pd_;
  uint64_t cluster_id_ = 0;
  grpc::Status last_;
  int call_timeout_ms_ = 3'000;
  std::unique_ptr<grpc::ClientContext> tso_context_;
  std::unique_ptr<grpc::ClientReaderWriter<pdpb::TsoRequest, pdpb::TsoResponse>> tso_;
  std::map<std::string, std::unique_ptr<TestClient>> stores_;
};

}  // namespace kvjury::ports
