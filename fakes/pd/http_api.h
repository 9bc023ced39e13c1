// HttpApi: PD's REST interface, /pd/api/v1, as br, pd-ctl and people read it.
//
// Modelled: members and health, stores, regions, statistics of regions, the configuration (values that are set are kept, those
// with ttlSecond expire), schedulers and their pauses, region labels, placement rules to read, safe points, reset-ts, the minimal
// resolved timestamp. Sizes, flows and scores are what an idle cluster of small regions shows.
// Not modelled: changes of placement rules, hot regions, operators by hand, splitting by key (a split is a call of TiKV's here).
// Source: recorded answers of a real PD 8.5.7 (shapes, order of members, content types) and its documented paths.
// Times: Unix time is the cluster's clock start plus virtual time.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fakes/sim/channel.h"
#include "proto/tikv/http.pb.h"

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

 private:
  using Json = nlohmann::ordered_json;
  struct Question;
  struct State;
  using Handler = ::http::Response (HttpApi::*)(const Question&);

  sim::Task<Result<::http::Response>> Handle(std::shared_ptr<const ::http::Request> request, sim::CallContext context);

  ::http::Response Members(const Question& question);
  ::http::Response Stores(const Question& question);
  ::http::Response Regions(const Question& question);
  ::http::Response RegionStatistics(const Question& question);
  ::http::Response Cluster(const Question& question);
  ::http::Response Config(const Question& question);
  ::http::Response Schedulers(const Question& question);
  ::http::Response RegionLabels(const Question& question);
  ::http::Response Rules(const Question& question);
  ::http::Response Gc(const Question& question);
  ::http::Response ResetTs(const Question& question);

  Json StoreJson(uint64_t id) const;
  Json ConfigJson();

  Pd* pd_;
  std::unique_ptr<State> state_;
};

}  // namespace kvjury::pd
