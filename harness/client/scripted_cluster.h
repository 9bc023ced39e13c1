// For tests: PD and three stores that answer what the test has written down, each request in turn.
//
// Every method has a list of answers to give before its standing answer, and keeps what it was asked. Regions are what the
// test says; no data, no transactions, no checks.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/methods.h"
#include "fakes/sim/world.h"
#include "fakes/tikv/methods.h"
#include "harness/client/client.h"

namespace kvjury::client {

template <class RequestType, class ResponseType>
class Script {
 public:
  using Request = RequestType;
  using Response = ResponseType;
  struct Seen {
    Request request;
    sim::Address to;
    std::string label;
    Micros at_us;
  };
  using Rule = std::function<Response(const Seen&)>;

  void Next(Rule rule) { next_.push_back(std::move(rule)); }
  void Next(Response response) {
    next_.push_back([response](const Seen&) { return response; });
  }
  void Always(Rule rule) { always_ = std::move(rule); }

  std::vector<Seen> seen;

  sim::Task<Result<Response>> Answer(std::shared_ptr<const Request> request, sim::CallContext context, Micros now_us) {
    seen.push_back(Seen{*request, context.to, context.label.text(), now_us});
    if (next_.empty()) {
      co_return always_ == nullptr ? Response() : always_(seen.back());
    }
    Rule rule = std::move(next_.front());
    next_.pop_front();
    co_return rule(seen.back());
  }

 private:
  std::deque<Rule> next_;
  Rule always_;
};

class ScriptedCluster {
 public:
  ScriptedCluster();
  ScriptedCluster(const ScriptedCluster&) = delete;
  ScriptedCluster& operator=(const ScriptedCluster&) = delete;
  /// Waits for all background work.
  ~ScriptedCluster();

  /// Runs a task to its end and returns its result.
  template <class T>
  T Await(sim::Task<T> task) {
    std::optional<T> out;
    const sim::RunEnd end = world.Run(Keep<T>(std::move(task), &out), Micros{3600} * 1'000'000);
    CHECK(end == sim::RunEnd::kDone && out.has_value()) << "the task did not end";
    return *std::move(out);
  }
  void Join();

  /// A region with peers on stores 1 to 3 (peer id = 10 * region + store) whose first peer leads. Boundaries are user keys.
  static metapb::Region MakeRegion(uint64_t id, const Bytes& start, const Bytes& end, uint64_t version);
  /// What PD knows.
  std::vector<metapb::Region> routes;
  uint64_t leader_store = 1;
  int64_t clock_ms = 1'000'000;

  sim::World world{record::Case()};
  Client client;

  Script<pdpb::TsoRequest, pdpb::TsoResponse> tso;
  Script<pdpb::GetMembersRequest, pdpb::GetMembersResponse> get_members;
  Script<pdpb::GetRegionRequest, pdpb::GetRegionResponse> get_region;
  Script<pdpb::GetStoreRequest, pdpb::GetStoreResponse> get_store;
  Script<kvrpcpb::GetRequest, kvrpcpb::GetResponse> get;
  Script<kvrpcpb::BatchGetRequest, kvrpcpb::BatchGetResponse> batch_get;
  Script<kvrpcpb::ScanRequest, kvrpcpb::ScanResponse> scan;
  Script<kvrpcpb::PrewriteRequest, kvrpcpb::PrewriteResponse> prewrite;
  Script<kvrpcpb::CommitRequest, kvrpcpb::CommitResponse> commit;
  Script<kvrpcpb::BatchRollbackRequest, kvrpcpb::BatchRollbackResponse> rollback;
  Script<kvrpcpb::CheckTxnStatusRequest, kvrpcpb::CheckTxnStatusResponse> check_txn_status;
  Script<kvrpcpb::CheckSecondaryLocksRequest, kvrpcpb::CheckSecondaryLocksResponse> check_secondary_locks;
  Script<kvrpcpb::ResolveLockRequest, kvrpcpb::ResolveLockResponse> resolve_lock;
  Script<kvrpcpb::ScanLockRequest, kvrpcpb::ScanLockResponse> scan_lock;

 private:
  template <class T>
  static sim::Task<void> Keep(sim::Task<T> task, std::optional<T>* out) {
    out->emplace(co_await std::move(task));
  }
  template <auto kScript, class Request, class Response>
  sim::Task<Result<Response>> Serve(std::shared_ptr<const Request> request, sim::CallContext context) {
    return (this->*kScript).Answer(std::move(request), std::move(context), world.scheduler().now_us());
  }
  template <auto kScript, class Request, class Response>
  void Add(sim::UnaryMethod<Request, Response> method) {
    table_.Add(method, this, &ScriptedCluster::Serve<kScript, Request, Response>);
  }

  sim::MethodTable table_;
  int64_t next_logical_ = 0;
};

}  // namespace kvjury::client
