#include "harness/drift/scratch_check.h"

#include <map>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/methods.h"
#include "fakes/tikv/methods.h"

namespace kvjury::drift {

namespace {

constexpr Micros kTimeoutUs = 10'000'000;

class Check {
 public:
  Check(sim::Channel* channel, sim::Address pd) : channel_(channel), pd_(std::move(pd)) {}
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;

  sim::Task<Result<std::string>> Run() {
    auto members_call = sim::Call(channel_, pd::kGetMembers, pd_, pdpb::GetMembersRequest(), NextCall());
    CO_ASSIGN_OR_RETURN(const auto members, co_await std::move(members_call));
    cluster_id_ = members->header().cluster_id();
    auto stores_call = sim::Call(channel_, pd::kGetAllStores, pd_, ToPd<pdpb::GetAllStoresRequest>(), NextCall());
    CO_ASSIGN_OR_RETURN(const auto stores, co_await std::move(stores_call));
    for (const metapb::Store& store : stores->stores()) {
      addresses_[store.id()] = store.address();
    }
    auto tso_request = ToPd<pdpb::TsoRequest>();
    tso_request.set_count(1);
    auto tso_call = sim::Call(channel_, pd::kTso, pd_, std::move(tso_request), NextCall());
    CO_ASSIGN_OR_RETURN(const auto tso, co_await std::move(tso_call));
    const Timestamp now = Timestamp::Compose(tso->timestamp().physical(), static_cast<uint32_t>(tso->timestamp().logical()));
    auto regions_call = sim::Call(channel_, pd::kScanRegions, pd_, ToPd<pdpb::ScanRegionsRequest>(), NextCall());
    CO_ASSIGN_OR_RETURN(const auto regions, co_await std::move(regions_call));
    for (const pdpb::Region& region : regions->regions()) {
      auto asking = KeyIn(&region, now);
      CO_ASSIGN_OR_RETURN(std::string key, co_await std::move(asking));
      if (!key.empty()) {
        co_return key;
      }
    }
    co_return std::string();
  }

 private:
  template <class Request>
  Request ToPd() const {
    Request request;
    request.mutable_header()->set_cluster_id(cluster_id_);
    return request;
  }
  sim::CallOptions NextCall() {
    sim::CallOptions options;
    options.label = sim::Label("scratch").Numbered("call", ++calls_);
    options.timeout_us = kTimeoutUs;
    return options;
  }
  static Status Unknown(const pdpb::Region& region, const std::string& why) {
    return Status::Unavailable("cannot tell whether region " + std::to_string(region.region().id()) + " holds data: " + why);
  }

  sim::Task<Result<std::string>> KeyIn(const pdpb::Region* region, Timestamp now) {
    kvrpcpb::Context context;
    context.set_region_id(region->region().id());
    *context.mutable_region_epoch() = region->region().region_epoch();
    *context.mutable_peer() = region->leader();
    const sim::Address store = addresses_[region->leader().store_id()];
    const Result<Bytes> start = DecodeBoundary(region->region().start_key());
    const Result<Bytes> end = DecodeBoundary(region->region().end_key());
    // A region that ends at the encoded empty key holds no transactional key; one with raw boundaries none that can be asked for.
    const bool before_all = !region->region().end_key().empty() && end.ok() && end->empty();
    if (start.ok() && end.ok() && !before_all) {
      kvrpcpb::ScanRequest request;
      *request.mutable_context() = context;
      request.set_start_key(*start);
      request.set_end_key(*end);
      request.set_limit(1);
      request.set_version(now.value());
      auto scan = sim::Call(channel_, tikv::kKvScan, store, std::move(request), NextCall());
      CO_ASSIGN_OR_RETURN(const auto answer, co_await std::move(scan));
      if (answer->has_region_error()) {
        co_return Unknown(*region, answer->region_error().message());
      }
      if (answer->has_error() || answer->pairs_size() > 0) {
        co_return "0x" + ToHex(answer->pairs_size() > 0 ? answer->pairs(0).key() : answer->error().locked().key());
      }
    }
    kvrpcpb::RawScanRequest request;
    *request.mutable_context() = context;
    request.set_start_key(region->region().start_key());
    request.set_end_key(region->region().end_key());
    request.set_limit(1);
    auto scan = sim::Call(channel_, tikv::kRawScan, store, std::move(request), NextCall());
    const auto answer = co_await std::move(scan);
    if (!answer.ok()) {
      co_return answer.error().code() == StatusCode::kUnsupported ? Result<std::string>(std::string()) : answer.error();
    }
    if ((*answer)->has_region_error()) {
      co_return Unknown(*region, (*answer)->region_error().message());
    }
    co_return (*answer)->kvs_size() > 0 ? "raw 0x" + ToHex((*answer)->kvs(0).key()) : std::string();
  }

  sim::Channel* channel_;
  sim::Address pd_;
  uint64_t cluster_id_ = 0;
  std::map<uint64_t, sim::Address> addresses_;
  uint64_t calls_ = 0;
};

}  // namespace

sim::Task<Result<std::string>> FirstKeyOf(sim::Channel* channel, sim::Address pd) {
  Check check(channel, std::move(pd));
  auto running = check.Run();
  co_return co_await std::move(running);
}

}  // namespace kvjury::drift
