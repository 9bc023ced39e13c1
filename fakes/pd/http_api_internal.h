// What the files of HttpApi share: the table of paths and their handlers, and what was set.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "fakes/pd/http_api.h"
#include "fakes/pd/pd.h"

namespace kvjury::pd {

class HttpApi::Impl {
 public:
  using Json = nlohmann::ordered_json;
  using Response = ::http::Response;
  struct Question {
    const ::http::Request* request = nullptr;
    std::string method;
    /// The pieces of the path where its pattern has {}, decoded.
    std::vector<std::string> pieces;
    /// Decoded.
    std::map<std::string, std::string> query;
    /// The place of the member that was asked.
    size_t member = 0;

    [[nodiscard]] std::string Query(const std::string& name) const {
      const auto found = query.find(name);
      return found == query.end() ? std::string() : found->second;
    }
    /// Discarded (nlohmann) if it is no JSON.
    [[nodiscard]] Json Body() const { return Json::parse(request->body(), nullptr, false); }
  };
  using Handler = Response (Impl::*)(const Question&);
  struct Route {
    std::string_view method;
    std::string_view pattern;
    Handler handler;
    /// Every member answers for itself.
    bool local = false;
  };
  struct Override {
    Json value;
    Micros expires_us = 0;
  };
  struct Scheduler {
    std::string name;
    Micros paused_at_us = 0;
    /// 0 when it runs.
    Micros paused_until_us = 0;
  };
  struct RuleGroup {
    int64_t index = 0;
    bool overrides = false;
  };

  explicit Impl(Pd* pd);

  /// Answers for one member, or tells that the leader must: nothing.
  std::optional<Response> Answer(const ::http::Request& request, size_t member, bool leads);
  [[nodiscard]] Pd* pd() const { return pd_; }

  void Save(record::PdState* state, int64_t clock_offset_ms) const;
  Status Restore(const record::PdState& state, int64_t clock_offset_ms);

 private:
  static const Route kRoutes[];
  static const size_t kRoutesCount;

  // http_members.cc
  Response GetMembers(const Question& question);
  Response GetLeader(const Question& question);
  Response GetHealth(const Question& question);
  Response Ping(const Question& question);
  Response ResignLeader(const Question& question);
  Response TransferLeader(const Question& question);
  Response GetVersion(const Question& question);
  Response GetStatus(const Question& question);
  Response GetCluster(const Question& question);
  Response GetClusterStatus(const Question& question);
  Response GetLabels(const Question& question);
  Response GetReplicationStatus(const Question& question);
  Response GetServiceMiddleware(const Question& question);

  // http_config.cc
  Response GetConfig(const Question& question);
  Response GetConfigSection(const Question& question);
  Response GetClusterVersion(const Question& question);
  Response SetConfig(const Question& question);
  Response SetConfigSection(const Question& question);
  Response SetConfigForAWhile(const Json& items, const std::string& ttl);
  /// The configuration as the member shows it.
  Json ConfigOf(size_t member);
  /// Whether the item has a value for a while.
  bool HasOverride(const std::string& key);

  // http_rules.cc
  Response GetRules(const Question& question);
  Response SetRules(const Question& question);
  Response GetRule(const Question& question);
  Response SetRule(const Question& question);
  Response DeleteRule(const Question& question);
  Response BatchRules(const Question& question);
  Response GetRuleGroups(const Question& question);
  Response SetRuleGroup(const Question& question);
  Response DeleteRuleGroup(const Question& question);
  Response GetBundles(const Question& question);
  Response SetBundles(const Question& question);
  Response DeleteBundle(const Question& question);
  Json BundleOf(const std::string& group) const;
  /// A rule in PD's own form. Errors: kInvalidArgument with PD's words.
  Result<Json> AdjustedRule(const Json& given, const std::string& group) const;
  void PutRule(Json rule);
  bool RemoveRule(const std::string& group, const std::string& id);
  Status PutBundle(const Json& bundle, const std::string& group);

  // http_labels.cc
  Response GetRegionLabels(const Question& question);
  Response SetRegionLabel(const Question& question);
  Response PatchRegionLabels(const Question& question);
  Response DeleteRegionLabel(const Question& question);
  void PutRegionLabel(Json rule);
  bool RemoveRegionLabel(const std::string& id);

  // http_regions.cc
  Response GetStores(const Question& question);
  Response GetStore(const Question& question);
  Response GetRegions(const Question& question);
  Response GetRegionsByKey(const Question& question);
  Response GetRegionCount(const Question& question);
  Response GetStoreRegions(const Question& question);
  Response GetRegionById(const Question& question);
  Response GetRegionByKey(const Question& question);
  Response GetSiblings(const Question& question);
  Response GetRegionStatistics(const Question& question);
  Response GetTrend(const Question& question);
  Response GetHotRegions(const Question& question);
  Json StoreJson(uint64_t id) const;

  // http_schedule.cc
  Response GetSchedulers(const Question& question);
  Response CreateScheduler(const Question& question);
  Response PauseScheduler(const Question& question);
  Response DeleteScheduler(const Question& question);
  Response GetOperators(const Question& question);
  Response GetOperator(const Question& question);
  Response DeleteOperators(const Question& question);
  Response SplitRegions(const Question& question);
  Response ScatterRegions(const Question& question);
  Response AccelerateSchedule(const Question& question);
  [[nodiscard]] std::string OperatorText(uint64_t region) const;

  // http_admin.cc
  Response GetSafePoints(const Question& question);
  Response DeleteSafePoint(const Question& question);
  Response GetMinResolvedTs(const Question& question);
  Response ResetTs(const Question& question);
  Response SetBaseId(const Question& question);
  Response GetSnapshotMark(const Question& question);
  Response SetSnapshotMark(const Question& question);
  Response GetKeyspaces(const Question& question);
  Response GetKeyspace(const Question& question);
  Response CreateKeyspace(const Question& question);
  Response SetKeyspaceConfig(const Question& question);
  Response SetKeyspaceState(const Question& question);
  [[nodiscard]] uint64_t MinResolvedTsOf(uint64_t store, uint64_t now) const;

  /// Something that Save writes has changed.
  void Changed();

  Pd* pd_;
  Json config_;
  /// By item ("schedule.leader-schedule-limit"): values for a while. They act on scheduling and are not shown.
  std::map<std::string, Override> overrides_;
  std::vector<Scheduler> schedulers_;
  Json region_labels_ = Json::array();
  /// In PD's order.
  Json rules_ = Json::array();
  std::map<std::string, RuleGroup> rule_groups_;
  bool touched_ = false;
};

/// PD's own form: indented by two, a line end behind it.
::http::Response JsonAnswer(uint32_t status, const nlohmann::ordered_json& body);
/// A sentence as a JSON string.
::http::Response SentenceAnswer(uint32_t status, const std::string& sentence);
::http::Response TextAnswer(uint32_t status, const std::string& text);
::http::Response NotFoundAnswer();
/// A body that is no JSON of the wanted kind.
::http::Response BadBodyAnswer();

/// A decimal number; nothing if it is none.
std::optional<uint64_t> ParseNumber(std::string_view text);

}  // namespace kvjury::pd
